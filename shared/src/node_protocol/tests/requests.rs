use std::net::IpAddr;

use rstest::rstest;

use super::super::credentials::{self, NodeType, Presented};
use super::super::mod_mu::Detected;
use super::super::online::Online;
use super::super::{gzip, mod_mu, uniproxy};
use super::row;
use crate::domain::node::Metrics;
use crate::error::{Error, ErrorKind};

const QUERY: [(&str, &str); 3] = [("token", "t0k"), ("node_id", "7"), ("node_type", "v2ray")];

fn presented(query: &[(&str, &str)], body: &str) -> Result<Presented, Error> {
    credentials::uniproxy(query.iter().copied(), body.as_bytes())
}

#[rstest]
#[case::query(&QUERY, "")]
#[case::order(&[QUERY[2], QUERY[0], QUERY[1]], "")]
#[case::body(&[], r#"{"17":[1000,2000],"node_id":7,"node_type":"vmess","token":"t0k"}"#)]
#[case::both(&QUERY, r#"{"node_id":"7","token":"t0k","node_type":"VMess"}"#)]
#[case::query_and_data(&QUERY, r#"{"17":[1000,2000],"token":null,"node_id":""}"#)]
#[case::not_json(&QUERY, "{")]
#[case::not_an_object(&QUERY, "[1]")]
#[case::other_parameters(&[QUERY[0], QUERY[1], QUERY[2], ("t", "1")], "{}")]
fn credentials_are_found_in_the_query_and_in_the_body(
    #[case] query: &[(&str, &str)],
    #[case] body: &str,
) {
    let found = presented(query, body).unwrap();
    assert_eq!(found.token.expose(), "t0k");
    assert_eq!((found.node_id, found.machine_id), (Some(7), None));
    assert_eq!(found.node_type, Some(NodeType::Vmess));
}

#[test]
fn a_machine_names_itself_instead_of_a_type() {
    let found = presented(&[], r#"{"machine_id":3,"token":"t0k"}"#).unwrap();
    assert_eq!((found.node_id, found.machine_id), (None, Some(3)));
    assert_eq!(found.node_type, None);
}

#[rstest]
#[case::token(&QUERY, r#"{"token":"other"}"#, "credentials_differ")]
#[case::node(&QUERY, r#"{"node_id":8}"#, "credentials_differ")]
#[case::node_type(&QUERY, r#"{"node_type":"trojan"}"#, "credentials_differ")]
#[case::query_twice(&[QUERY[0], ("token", "other")], "", "credentials_differ")]
#[case::body_twice(&[], r#"{"token":"a","token":"b"}"#, "credentials_differ")]
#[case::none(&[], "", "token_missing")]
#[case::empty(&[("token", ""), QUERY[1]], "", "token_missing")]
#[case::object(&[], r#"{"token":{"a":1}}"#, "token_missing")]
fn missing_and_different_credentials_are_refused(
    #[case] query: &[(&str, &str)],
    #[case] body: &str,
    #[case] code: &str,
) {
    let error = presented(query, body).unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Unauthenticated, code)
    );
}

#[test]
fn an_id_is_a_number() {
    let error = presented(&[QUERY[0], ("node_id", "x")], "").unwrap_err();
    assert_eq!(
        (error.code(), error.field()),
        ("invalid_parameter", Some("node_id"))
    );
}

#[rstest]
#[case("vless", Some(NodeType::Vless))]
#[case("Shadowsocks", Some(NodeType::Shadowsocks))]
#[case("hysteria2", Some(NodeType::Hysteria))]
#[case("hysteria", Some(NodeType::Hysteria))]
#[case("tuic", Some(NodeType::Tuic))]
#[case("anytls", Some(NodeType::Anytls))]
#[case("naive", Some(NodeType::Other))]
#[case("v2node", None)]
fn node_types_have_aliases(#[case] name: &str, #[case] expected: Option<NodeType>) {
    let found = presented(&[QUERY[0], ("node_type", name)], "").unwrap();
    assert_eq!(found.node_type, expected);
}

#[rstest]
#[case::xrayr(&[("key", "t0k"), ("muKey", "t0k"), ("node_id", "5")], None)]
#[case::key(&[("key", "t0k"), ("node_id", "5")], None)]
#[case::mu_key(&[("muKey", "t0k")], Some("5"))]
#[case::path_and_query(&[("key", "t0k"), ("node_id", "5")], Some("5"))]
fn the_key_of_mod_mu_has_two_names(#[case] query: &[(&str, &str)], #[case] path_id: Option<&str>) {
    let found = credentials::mod_mu(query.iter().copied(), path_id).unwrap();
    assert_eq!(found.token.expose(), "t0k");
    assert_eq!(found.node_id, Some(5));
}

#[rstest]
#[case(&[("key", "a"), ("muKey", "b")], None, "credentials_differ")]
#[case(&[("key", "a"), ("node_id", "5")], Some("6"), "credentials_differ")]
#[case(&[("token", "a"), ("node_id", "5")], None, "token_missing")]
fn a_request_of_mod_mu_has_one_key_and_one_node(
    #[case] query: &[(&str, &str)],
    #[case] path_id: Option<&str>,
    #[case] code: &str,
) {
    let error = credentials::mod_mu(query.iter().copied(), path_id).unwrap_err();
    assert_eq!(error.code(), code);
}

#[test]
fn a_token_is_not_logged() {
    let logged = format!("{:?}", presented(&QUERY, "").unwrap());
    assert!(!logged.contains("t0k"), "{logged}");
    assert!(logged.contains("node_id: Some(7)"), "{logged}");
}

fn addresses(online: &Online) -> Vec<(i32, String)> {
    let text = |address: IpAddr| address.to_string();
    online
        .addresses
        .iter()
        .map(|online| (online.number, text(online.address)))
        .collect()
}

#[test]
fn addresses_are_read_in_every_form_and_counted_once() {
    let body = r#"{"17":["203.0.113.7","2001:db8::1","203.0.113.7_5","::ffff:203.0.113.7"],
        "4":["198.51.100.1:443","[2001:db8::2]:80"],"5":[],"6":null,"7":"192.0.2.9",
        "token":"t0k","node_id":1}"#;
    let online = uniproxy::alive(body.as_bytes()).unwrap();
    let expected = [
        (4, "198.51.100.1"),
        (4, "2001:db8::2"),
        (7, "192.0.2.9"),
        (17, "203.0.113.7"),
        (17, "2001:db8::1"),
    ];
    let expected = expected.map(|(number, address)| (number, address.to_owned()));
    assert_eq!(addresses(&online), expected);
    assert_eq!((online.users(), online.rejected_count), (3, 0));
}

#[rstest]
#[case(
    r#"{"17":["x","203.0.113.7",5,null],"x":["203.0.113.8"],"18":{"a":"192.0.2.1"}}"#,
    2,
    4
)]
#[case("{}", 0, 0)]
#[case("[]", 0, 0)]
#[case("5", 0, 1)]
fn addresses_that_are_not_readable_are_counted(
    #[case] body: &str,
    #[case] accepted: usize,
    #[case] rejected: usize,
) {
    let online = uniproxy::alive(body.as_bytes()).unwrap();
    assert_eq!(online.addresses.len(), accepted);
    assert_eq!(online.rejected_count, rejected);
}

#[test]
fn an_address_is_not_logged() {
    let online = uniproxy::alive(br#"{"17":["203.0.113.7"]}"#).unwrap();
    let logged = format!("{online:?}");
    assert!(
        logged.contains("17") && !logged.contains("203.0"),
        "{logged}"
    );
}

#[test]
fn mod_mu_names_one_address_per_line() {
    let body = r#"{"data":[{"user_id":17,"ip":"203.0.113.7"},{"user_id":"17","ip":"203.0.113.7"},
        {"user_id":18,"ip":""},{"ip":"203.0.113.7"},7]}"#;
    let online = mod_mu::alive_ip(body.as_bytes()).unwrap();
    assert_eq!(addresses(&online), [(17, "203.0.113.7".to_owned())]);
    assert_eq!(online.rejected_count, 3);
}

#[test]
fn detected_users_are_read() {
    let body = r#"{"data":[{"list_id":3,"user_id":17},{"list_id":"4","user_id":"18"},{"x":1}]}"#;
    let detected = |number, rule_id| Detected { number, rule_id };
    assert_eq!(
        mod_mu::detect_log(body.as_bytes()).unwrap(),
        [detected(17, 3), detected(18, 4)]
    );
    assert_eq!(mod_mu::detect_log(br#"{"data":[]}"#).unwrap(), []);
}

#[rstest]
#[case::v2bx(
    r#"{"cpu":12.5,"mem":{"total":8e9,"used":3e9},"swap":{"total":1,"used":0},
        "disk":{"total":64000000000,"used":16000000000.7}}"#,
    Metrics {
        cpu_percent: Some(12.5), memory_used: Some(3_000_000_000),
        memory_total: Some(8_000_000_000), disk_used: Some(16_000_000_000),
        disk_total: Some(64_000_000_000), ..Metrics::default()
    }
)]
#[case::strings(
    r#"{"cpu":"7","mem":{"total":"100","used":"50"},"uptime":"60"}"#,
    Metrics {
        cpu_percent: Some(7.0), memory_used: Some(50), memory_total: Some(100),
        uptime_seconds: Some(60), ..Metrics::default()
    }
)]
#[case::above_a_limit(
    r#"{"cpu":100.4,"mem":{"total":1e300}}"#,
    Metrics { cpu_percent: Some(100.0), memory_total: Some(i64::MAX), ..Metrics::default() }
)]
#[case::nonsense(
    r#"{"cpu":-1,"mem":{"total":5,"used":9},"disk":[1,2],"uptime":-3,"swap":null,"x":{}}"#,
    Metrics::default()
)]
#[case::not_available(r#"{"cpu":null,"mem":{"total":0},"disk":"?"}"#, Metrics::default())]
#[case::empty("[]", Metrics::default())]
fn a_metric_without_sense_is_left_out(#[case] body: &str, #[case] expected: Metrics) {
    assert_eq!(uniproxy::status(body.as_bytes()).unwrap(), expected);
}

#[test]
fn a_report_contains_what_the_other_calls_report() {
    let body = r#"{"token":"t0k","node_id":1,"traffic":{"17":[1000,2000]},
        "alive":{"17":["203.0.113.7"]},"online":{"17":1},
        "status":{"cpu":12.5,"mem":{"total":8,"used":3},"swap":{},"disk":{"total":9,"used":1}},
        "metrics":{"uptime":3600,"active_connections":9,"total_connections":120,"active_users":3,
            "total_users":50,"inbound_speed":1000,"outbound_speed":2000,
            "load":{"load1":0.2,"load5":0.1,"load15":0.1},"cpu_per_core":[1,2],
            "kernel_status":true}}"#;
    let report = uniproxy::report(body.as_bytes()).unwrap();
    assert_eq!(report.push.rows, [row(17, 1000, 2000)]);
    assert_eq!(report.push.rejected_count, 0);
    assert_eq!(report.online.unwrap().addresses.len(), 1);
    let expected = Metrics {
        cpu_percent: Some(12.5),
        memory_used: Some(3),
        memory_total: Some(8),
        disk_used: Some(1),
        disk_total: Some(9),
        load1: Some(0.2),
        online_users: Some(3),
        uptime_seconds: Some(3600),
        upload_rate: Some(2000),
        download_rate: Some(1000),
    };
    assert_eq!(report.metrics, expected);
}

#[test]
fn a_report_may_lack_everything() {
    for body in [
        "{}",
        "[]",
        r#"{"token":"t0k","node_id":1,"traffic":[],"status":[]}"#,
    ] {
        let report = uniproxy::report(body.as_bytes()).unwrap();
        assert_eq!(report, uniproxy::Report::default(), "{body}");
    }
    let wrong = uniproxy::report(br#"{"traffic":5,"alive":{},"metrics":{"load":5}}"#).unwrap();
    assert_eq!(
        (wrong.push.rejected_count, wrong.online),
        (1, Some(Online::default()))
    );
    assert_eq!(uniproxy::report(b"7").unwrap().push.rejected_count, 1);
}

#[rstest]
#[case::xrayr("0.12 0.30 0.40", Some(12.0), None)]
#[case::idle("0.00 0.00 0.00", Some(0.0), None)]
#[case::load_averages("3.50 0.30 0.40\n", None, Some(3.5))]
#[case::high_on_average("0.50 1.30 0.40", None, Some(0.5))]
#[case::negative("-1 2 3", None, None)]
#[case::text("a b c", None, None)]
#[case::empty("", None, None)]
fn a_load_is_fractions_or_averages(
    #[case] load: &str,
    #[case] cpu_percent: Option<f64>,
    #[case] load1: Option<f64>,
) {
    let body = serde_json::json!({ "uptime": "3600", "load": load }).to_string();
    let expected = Metrics {
        cpu_percent,
        load1,
        uptime_seconds: Some(3600),
        ..Metrics::default()
    };
    assert_eq!(mod_mu::load(body.as_bytes()).unwrap(), expected);
}

#[test]
fn a_compressed_body_is_read_up_to_its_limit() {
    let body = b"[1,2,3]".repeat(1_000);
    let packed = gzip::compress(&body).unwrap();
    assert!(packed.len() < 200);
    assert_eq!(gzip::decompress(&packed, body.len()).unwrap(), body);
    let error = gzip::decompress(&packed, body.len() - 1).unwrap_err();
    assert_eq!(error.code(), "body_too_large");
}

#[test]
fn an_empty_body_can_be_compressed() {
    let packed = gzip::compress(b"").unwrap();
    assert_eq!(gzip::decompress(&packed, 0).unwrap(), b"");
}

#[rstest]
#[case::not_gzip(b"{\"17\":[1,2]}".to_vec())]
#[case::empty(Vec::new())]
#[case::truncated(gzip::compress(b"abcdefgh").unwrap()[..20].to_vec())]
#[case::wrong_sum({
    let mut packed = gzip::compress(b"abcdefgh").unwrap();
    let at = packed.len() - 5;
    packed[at] ^= 1;
    packed
})]
fn a_body_that_is_not_gzip_is_refused(#[case] body: Vec<u8>) {
    assert_eq!(
        gzip::decompress(&body, 100).unwrap_err().code(),
        "malformed_gzip"
    );
}
