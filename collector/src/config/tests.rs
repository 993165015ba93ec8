use super::*;

const VALID: &str = r#"
server_id = 7
[sink]
url = "https://telecom.example/"
token = "secret-token"
[[source]]
kind = "xray"
address = "127.0.0.1:10085"
"#;

fn error(text: &str) -> String {
    format!("{:#}", Config::parse(text).unwrap_err())
}

/// The error if `from` in the valid configuration is replaced.
fn error_with(from: &str, to: &str) -> String {
    assert!(VALID.contains(from));
    error(&VALID.replacen(from, to, 1))
}

#[test]
fn defaults_apply_where_nothing_is_configured() {
    let config = Config::parse(VALID).unwrap();
    assert_eq!(config.read_every, Duration::from_secs(10));
    assert_eq!(config.report_every, Duration::from_mins(1));
    assert_eq!(config.spool, Path::new("/var/lib/telecom-collector"));
    assert_eq!(config.sources[0].name, "xray");
    let SinkConfig::Https { url, token, .. } = config.sink else {
        panic!("not HTTPS");
    };
    assert_eq!(url, "https://telecom.example");
    assert_eq!(format!("{token:?}"), "Text(…)");
}

#[test]
fn every_error_names_the_key_and_what_is_accepted() {
    // What is replaced, by what, and two parts of the error.
    let cases = r#"
        server_id = 7 ~ server_id = "x" ~ server_id ~ i32
        server_id = 7 ~ ~ server_id ~ missing
        server_id = 7 ~ server_id = 7; spol = 1 ~ spol ~ spool
        server_id = 7 ~ server_id = 7; read_seconds = 0 ~ `read_seconds` ~ 0.05 to 60
        server_id = 7 ~ server_id = 7; read_seconds = "x" ~ read_seconds ~ seconds
        server_id = 7 ~ server_id = 7; report_seconds = 5 ~ `report_seconds` ~ to 3600
        server_id = 7 ~ server_id = 7; spool = "x" ~ `spool` ~ absolute path
        server_id = 7 ~ server_id = 7; spool_max_mib = 0 ~ `spool_max_mib` ~ 1 to
        server_id = 7 ~ server_id = 7; log = "all" ~ `log` ~ debug
        server_id = 7 ~ server_id = 7; metrics_listen = "0.0.0.0:1" ~ `metrics_listen` ~ loopback
        https://telecom.example/ ~ http://telecom.example ~ `sink.url` ~ https://
        https://telecom.example/ ~ telecom ~ `sink.url` ~ https://
        https://telecom.example/ ~ https://x/?a=b ~ `sink.url` ~ https://
        token = "secret-token" ~ ~ `token_file` ~ `token`
        token = "secret-token" ~ tokn = "secret-token" ~ tokn ~ token_file
        token = "secret-token" ~ token = "a b" ~ `sink.token` ~ blanks
        token = "secret-token" ~ queue_url = "q" ~ `url` ~ `queue_url`
        "xray" ~ "xray2" ~ xray2 ~ hysteria2
        "127.0.0.1:10085" ~ "127.0.0.1" ~ `address` ~ HOST:PORT
        address = ~ path = ~ `path` ~ address
        address = "127.0.0.1:10085" ~ ~ `address` ~ HOST:PORT
        kind = "xray" ~ kind = "xray"; name = "a b" ~ `name` ~ letters"#;
    for case in cases.lines().skip(1) {
        let parts: Vec<_> = case.split('~').map(str::trim).collect();
        let error = error_with(parts[0], &parts[1].replace("; ", "\n"));
        assert!(error.contains(parts[2]), "{case}: {error}");
        assert!(error.contains(parts[3]), "{case}: {error}");
        assert!(!error.contains("secret-token"), "{error}");
    }
}

#[test]
fn two_sources_need_two_names() {
    let second = "\n[[source]]\nkind = \"xray\"\naddress = \"127.0.0.1:1\"\n";
    assert!(error(&format!("{VALID}{second}")).contains("two sources"));
    Config::parse(&format!("{VALID}{second}name = \"second\"\n")).unwrap();
}

#[test]
fn every_kind_accepts_its_own_keys() {
    let kinds = [
        "kind = \"v2ray\"\naddress = \"[::1]:10085\"",
        "kind = \"hysteria2\"\naddress = \"127.0.0.1:1\"\nsecret = \"x\"\nprocess = \"hysteria\"",
        "kind = \"wireguard\"\ninterface = \"wg0\"\nnode_client_id = 3",
        "kind = \"wireguard\"\ncommand = [\"ip\", \"netns\", \"exec\", \"vpn\", \"wg\"]",
        "kind = \"openvpn\"\npath = \"/run/openvpn/status.log\"\nignore = [\"monitor\"]",
    ];
    for kind in kinds {
        let text = format!("{VALID}[[source]]\nname = \"second\"\n{kind}\n");
        Config::parse(&text).unwrap();
    }
}

#[test]
fn the_secret_of_a_source_is_not_shown() {
    let kind = "[[source]]\nkind = \"hysteria2\"\naddress = \"127.0.0.1:1\"\nsecret = \"hidden\"";
    let config = Config::parse(&format!("{VALID}{kind}\n")).unwrap();
    assert!(!format!("{config:?}").contains("hidden"));
}
