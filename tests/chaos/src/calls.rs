//! The operator's calls. A call without a response is repeated with the same idempotency key until
//! one arrives.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::clock::{Clock as _, System};

use crate::asked::Asked;
use crate::desk::Answer;
use crate::ledger::Answered;
use crate::random::Random;
use crate::run::Run;

/// How long a call is repeated.
const LIMIT: Duration = Duration::from_mins(1);

/// A call with its headers.
#[derive(Debug, Clone)]
pub struct Call {
    pub asked: Asked,
    key: String,
    /// The revision that an update changes.
    revision: Option<i64>,
}

impl Call {
    pub fn new(asked: Asked, random: &mut Random) -> Self {
        Self {
            asked,
            key: random.uuid().to_string(),
            revision: None,
        }
    }

    /// An update of `revision`.
    pub fn update(asked: Asked, revision: i64, random: &mut Random) -> Self {
        Self {
            revision: Some(revision),
            ..Self::new(asked, random)
        }
    }

    /// Another call with the key of this one.
    pub fn with_same_key(&self, asked: Asked) -> Self {
        Self {
            asked,
            ..self.clone()
        }
    }

    /// The event of the load balancer.
    fn event(&self, token: &str) -> Value {
        let request = self.asked.request();
        let mut headers = json!({
            "host": ["chaos.test"], "accept": ["*/*"], "x-forwarded-proto": ["https"],
            "content-type": ["application/json"], "idempotency-key": [self.key],
            "authorization": [format!("Bearer {token}")],
        });
        if let (Some(revision), Some(fields)) = (self.revision, headers.as_object_mut()) {
            fields.insert("if-match".to_owned(), json!([format!("\"{revision}\"")]));
        }
        let body = match &request.body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        json!({
            "requestContext": {"elb": {"targetGroupArn": "chaos"}},
            "httpMethod": request.method, "path": request.path,
            "multiValueQueryStringParameters": {}, "multiValueHeaders": headers,
            "body": body, "isBase64Encoded": false,
        })
    }

    /// Makes the call, and records the answer in the books. The status of the answer is 0 if there
    /// is none.
    pub async fn make(&self, run: &Run, random: &mut Random) -> Answer {
        let began = Instant::now();
        let began_at = System.now();
        let answer = self.until_answered(run, random, began).await;
        let operation = self.asked.operation();
        run.count(&format!("{CALL}{operation}, {}", answer.status));
        if answer.status == 0 {
            run.finding("a call never gets a response", || format!("{self:?}"));
        }
        if !self.asked.is_read() {
            run.ledger.open().answered.push(Answered {
                asked: self.asked.clone(),
                revision: self.revision,
                began_at,
                status: answer.status,
                body: answer.body.clone(),
            });
            if run.is_storm() && answer.is_success() && random.chance(60) {
                self.repeat(run, &answer).await;
            }
        }
        answer
    }

    async fn until_answered(&self, run: &Run, random: &mut Random, began: Instant) -> Answer {
        let event = self.event(&run.token);
        while began.elapsed() < LIMIT {
            // The caller lost patience and sends the request once more at the same time.
            let answer = if run.is_storm() && random.chance(80) {
                let both = tokio::join!(run.desk.send(event.clone()), run.desk.send(event.clone()));
                run.count("calls made twice at once");
                self.agreed(run, both)
            } else {
                run.desk.send(event.clone()).await
            };
            if let Some(answer) = answer.filter(Answer::is_definite) {
                return answer;
            }
            run.count("calls repeated without an answer");
            tokio::time::sleep(random.millis(20..=400)).await;
        }
        Answer {
            status: 0,
            body: Value::Null,
        }
    }

    /// The answer to two equal requests. A refusal stores no answer, so the other request may
    /// succeed.
    fn agreed(&self, run: &Run, both: (Option<Answer>, Option<Answer>)) -> Option<Answer> {
        let success = |answer: &Option<Answer>| answer.as_ref().is_some_and(Answer::is_success);
        match both {
            (Some(first), Some(second)) if first.is_success() && second.is_success() => {
                self.compare(run, &first, &second);
                Some(first)
            }
            (first, second) if success(&second) => second.or(first),
            (first, second) => first.filter(Answer::is_definite).or(second),
        }
    }

    /// Repeats an answered call. A lost answer is no failure.
    async fn repeat(&self, run: &Run, first: &Answer) {
        run.count("answered calls repeated");
        let answer = run.desk.send(self.event(&run.token)).await;
        if let Some(answer) = answer.filter(Answer::is_definite) {
            self.compare(run, first, &answer);
        }
    }

    fn compare(&self, run: &Run, first: &Answer, second: &Answer) {
        if first != second && !self.asked.is_read() {
            run.finding("a repeated call gets another response", || {
                format!("{:?}: {first:?}, then {second:?}", self.asked)
            });
        }
    }
}

/// Prefix of the counts of answered calls.
pub const CALL: &str = "call: ";
