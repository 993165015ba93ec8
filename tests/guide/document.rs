//! The commands and the answers in the guide.

use telecom_tests::placeholders::Placeholders;
use telecom_tests::transport::Request;

/// A command of the guide, with the answer that the guide shows below it.
#[derive(Debug, Default)]
pub struct Step {
    /// Full name of the RPC, from the comment above the command.
    rpc: Option<String>,
    /// The words of the command, without the quotes of the shell.
    words: Vec<String>,
    /// JSON that the command sends. A name such as `$SERVER` stands for a value.
    body: Option<String>,
    /// The shortened answer. `None` if the guide shows none.
    pub answer: Option<String>,
}

/// What a step does.
#[derive(Debug)]
pub enum Action {
    /// Calls the API with the token that a variable of the shell has.
    Call(String, Request),
    /// Sends a message to the queue of usage reports.
    Report(String),
}

/// The commands of the document in their order.
#[must_use]
pub fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in document.split("\n```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').unwrap();
        match language {
            "sh" => steps.push(Step::parse(text)),
            "json" => {
                let step = steps.last_mut().expect("an answer after a command");
                let earlier = step.answer.replace(text.to_owned());
                assert_eq!(earlier, None, "{:?} has two answers", step.words);
            }
            // Preparations.
            "" => assert!(steps.is_empty(), "a block without a language: {text}"),
            other => panic!("a block in {other}"),
        }
    }
    steps
}

impl Step {
    fn parse(text: &str) -> Self {
        let (command, body) = match text.split_once("<<BODY\n") {
            None => (text, None),
            Some((command, body)) => (command, Some(body.strip_suffix("\nBODY").unwrap())),
        };
        let command = command.replace("\\\n", " ");
        let mut lines = command.lines();
        let is_command = |line: &&str| line.starts_with("curl ") || line.starts_with("aws ");
        let words = lines.clone().find(is_command).expect("a command");
        Self {
            rpc: lines.find_map(|line| Some(line.strip_prefix("# ")?.to_owned())),
            words: shlex::split(words).unwrap(),
            body: body.map(str::to_owned),
            answer: None,
        }
    }

    /// What the step does, with the values of its placeholders.
    pub fn action(&self, values: &Placeholders) -> Action {
        let body = self.body.as_ref().map(|body| values.fill(body));
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [
                "aws",
                "sqs",
                "send-message",
                "--queue-url",
                "$USAGE_REPORT_QUEUE",
                rest @ ..,
            ] => {
                assert_eq!(rest, ["--message-body", "file:///dev/stdin"]);
                Action::Report(body.unwrap())
            }
            ["curl", "-sH", token, options @ ..] => {
                let request = request(options, body, values);
                let method = telecom_tests::grpc::method_named(request.endpoint().rpc);
                assert_eq!(self.rpc.as_ref(), Some(&method), "{words:?}");
                Action::Call((*token).to_owned(), request)
            }
            other => panic!("{other:?}"),
        }
    }
}

fn request(options: &[&str], body: Option<String>, values: &Placeholders) -> Request {
    let mut request = Request {
        method: "GET".to_owned(),
        path: String::new(),
        query: String::new(),
        headers: Vec::new(),
        body: body.map(|body| serde_json::from_str(&body).unwrap()),
    };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match *option {
            "-X" => (*options.next().unwrap()).clone_into(&mut request.method),
            "-H" => {
                let (name, value) = options.next().unwrap().split_once(": ").unwrap();
                request.headers.push((name.to_owned(), value.to_owned()));
            }
            "--json" => {
                assert_eq!(options.next(), Some(&"@-"));
                assert!(request.body.is_some());
            }
            url => {
                let path = values.fill(url.strip_prefix("$API").expect(url));
                let (path, query) = path.split_once('?').unwrap_or((&path, ""));
                path.clone_into(&mut request.path);
                query.clone_into(&mut request.query);
            }
        }
    }
    request
}
