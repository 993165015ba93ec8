use std::collections::BTreeMap;

use proptest::prelude::*;
use rstest::rstest;

use super::super::push::{MAX_REJECTED, Push, PushedRow, Reason};
use super::super::{mod_mu, uniproxy};
use super::{rejected, row};
use crate::events::usage_report::{MAX_LINE_BYTES, MAX_REPORT_BYTES};

fn push(body: &str) -> Push {
    uniproxy::push(body.as_bytes()).unwrap()
}

#[rstest]
#[case::in_order(r#"{"17":[1000,2000],"42":[87,5000117]}"#)]
#[case::not_in_order(r#"{"42":[87,5000117],"17":[1000,2000]}"#)]
#[case::credentials_of_xboard_node(
    r#"{"17":[1000,2000],"42":[87,5000117],"node_id":1,"node_type":"vless","token":"secret"}"#
)]
#[case::credentials_of_a_machine(
    r#"{"machine_id":3,"17":[1000,2000],"42":[87,5000117],"token":"secret"}"#
)]
#[case::strings(r#"{"17":["1000"," 2000 "],"42":["87","5.000117e6"]}"#)]
#[case::floats(r#"{"17":[1000.0,2e3],"42":[87,5000117.000]}"#)]
#[case::a_user_twice(r#"{"17":[400,2000],"42":[87,5000117],"17":[600,0]}"#)]
#[case::zeros(r#"{"17":[1000,2000],"42":[87,5000117],"3":[0,0],"4":[-0.0,"0"]}"#)]
#[case::spaces("\u{feff} { \"17\" : [ 1000 , 2000 ],\n\"42\":[87,5000117] }\n")]
#[case::escaped_key(r#"{"\u0031\u0037":[1000,2000],"42":[87,5000117]}"#)]
fn one_traffic_has_one_form(#[case] body: &str) {
    let expected = Push {
        rows: vec![row(17, 1000, 2000), row(42, 87, 5_000_117)],
        ..Push::default()
    };
    assert_eq!(push(body), expected);
    assert_eq!(push(body).hash(), expected.hash());
    assert_eq!(expected.total_bytes(), 5_003_204);
}

#[rstest]
#[case("{}")]
#[case("[]")]
#[case("[ ]")]
#[case("null")]
#[case("")]
#[case("\n")]
#[case(r#"{"token":"secret","node_id":1}"#)]
#[case(r#"{"17":[0,0]}"#)]
fn a_push_without_traffic_is_a_heartbeat(#[case] body: &str) {
    let push = push(body);
    assert!(push.is_empty());
    assert_eq!(push, Push::default());
    assert!(push.chunks(10).is_empty());
}

#[rstest]
#[case::negative(r#"{"1":[-5,7]}"#, "1", "negative", Some(-5), Some(7))]
#[case::over_a_pebibyte(
    r#"{"1":[1,1125899906842625]}"#,
    "1",
    "too_large",
    Some(1),
    Some(MAX_LINE_BYTES + 1)
)]
#[case::infinite(r#"{"1":[1e400,"2"]}"#, "1", "too_large", Some(i64::MAX), Some(2))]
#[case::sum_over_a_pebibyte(
    r#"{"1":[1125899906842624,0],"1":[1,0]}"#,
    "1",
    "too_large",
    Some(MAX_LINE_BYTES + 1),
    Some(0)
)]
#[case::fraction(r#"{"1":[1.5,2]}"#, "1", "not_whole", None, Some(2))]
#[case::not_a_number(r#"{"1":["NaN",2]}"#, "1", "not_two_numbers", None, Some(2))]
#[case::null(r#"{"1":[null,2]}"#, "1", "not_two_numbers", None, Some(2))]
#[case::flag(r#"{"1":[true,2]}"#, "1", "not_two_numbers", None, Some(2))]
#[case::one_number(r#"{"1":[1]}"#, "1", "not_two_numbers", None, None)]
#[case::three_numbers(r#"{"1":[1,2,3]}"#, "1", "not_two_numbers", None, None)]
#[case::an_object(r#"{"1":{"u":1,"d":2}}"#, "1", "not_two_numbers", None, None)]
#[case::no_pair(r#"{"1":5}"#, "1", "not_two_numbers", None, None)]
#[case::extra_key(r#"{"version":"1.2"}"#, "version", "no_user", None, None)]
#[case::user_zero(r#"{"0":[1,2]}"#, "0", "no_user", Some(1), Some(2))]
#[case::negative_user(r#"{"-1":[1,2]}"#, "-1", "no_user", Some(1), Some(2))]
#[case::large_user(r#"{"2147483648":[1,2]}"#, "2147483648", "no_user", Some(1), Some(2))]
#[case::plus(r#"{"+1":[1,2]}"#, "+1", "no_user", Some(1), Some(2))]
fn a_row_that_cannot_be_billed_is_kept_with_its_reason(
    #[case] body: &str,
    #[case] key: &str,
    #[case] reason: &str,
    #[case] upload: Option<i64>,
    #[case] download: Option<i64>,
) {
    let push = push(&body.replacen('{', r#"{"17":[1000,2000],"#, 1));
    assert_eq!(push.rows, [row(17, 1000, 2000)], "the neighbour is kept");
    assert_eq!(rejected(&push), [(key, reason)]);
    let kept = &push.rejected[0];
    assert_eq!((kept.upload, kept.download), (upload, download));
    assert_eq!(push.rejected_count, 1);
}

#[rstest]
#[case("5")]
#[case("true")]
#[case(r#""text""#)]
#[case("[[17,1000,2000]]")]
fn json_that_is_no_push_is_kept_as_a_rejected_row(#[case] body: &str) {
    let push = push(body);
    assert!(push.is_empty());
    assert_eq!(rejected(&push), [(".", Reason::WrongBody.into())]);
}

#[rstest]
#[case(b"{\"17\":[1000,2000]".as_slice())]
#[case(b"{\"17\":[1000,2000]} x")]
#[case(b"{\"17\":[NaN,2000]}")]
#[case(b"token=1&node_id=2")]
#[case(b"\xff\xfe")]
#[case(b"\x1f\x8b\x08")]
fn only_a_body_that_is_not_json_is_an_error(#[case] body: &[u8]) {
    for parsed in [uniproxy::push(body), mod_mu::traffic(body)] {
        assert_eq!(parsed.unwrap_err().code(), "malformed_json");
    }
}

#[test]
fn rejected_rows_are_bounded_in_number_and_length() {
    let body: Vec<String> = (0..1_000)
        .map(|n| format!(r#""{n:0>200}x":[1,2]"#))
        .collect();
    let push = push(&format!("{{{}}}", body.join(",")));
    assert_eq!(push.rejected.len(), MAX_REJECTED);
    assert_eq!(push.rejected_count, 1_000);
    assert_eq!(push.rejected[0].key.as_str().chars().count(), 64);
}

#[test]
fn nested_values_do_not_exhaust_the_stack() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let pushed = push(&format!(r#"{{"1":{deep},"17":[1,2],"token":{deep}}}"#));
    assert_eq!(pushed.rows, [row(17, 1, 2)]);
    assert_eq!(rejected(&pushed), [("1", "not_two_numbers")]);
    assert_eq!(rejected(&push(&deep)), [(".", "wrong_body")]);
    assert!(mod_mu::traffic(format!(r#"{{"data":{deep}}}"#).as_bytes()).is_ok());
    assert!(uniproxy::alive(format!(r#"{{"1":{deep}}}"#).as_bytes()).is_ok());
}

#[test]
fn rows_of_mod_mu_are_read_like_those_of_uniproxy() {
    let body = r#"{"data":[{"user_id":42,"u":87,"d":5000117},{"user_id":"17","u":"1e3","d":2000.0},
        {"user_id":3,"u":0,"d":0}]}"#;
    let read = mod_mu::traffic(body.as_bytes()).unwrap();
    let same = push(r#"{"17":[1000,2000],"42":[87,5000117]}"#);
    assert_eq!(read, same);
    assert_eq!(read.hash(), same.hash());
}

#[test]
fn rejected_rows_of_mod_mu_have_their_user_or_their_index() {
    let body = r#"{"data":[5,{"user_id":7,"u":1},{"user_id":"x","u":1,"d":2},{"u":1,"d":2},
        {"user_id":8,"u":-1,"d":2},{"user_id":17,"u":1,"d":2,"more":[]}]}"#;
    let push = mod_mu::traffic(body.as_bytes()).unwrap();
    assert_eq!(push.rows, [row(17, 1, 2)]);
    let expected = [
        ("data[0]", "no_user"),
        ("7", "not_two_numbers"),
        ("x", "no_user"),
        ("data[3]", "no_user"),
        ("8", "negative"),
    ];
    assert_eq!(rejected(&push), expected);
}

#[rstest]
#[case::list(r#"{"data":[]}"#, &[])]
#[case::object(r#"{"data":{}}"#, &[])]
#[case::null(r#"{"data":null}"#, &[])]
#[case::nothing("", &[])]
#[case::empty("{}", &[])]
#[case::no_data(r#"{"other":1}"#, &[(".", "wrong_body")])]
#[case::number(r#"{"data":1}"#, &[(".", "wrong_body")])]
#[case::other_protocol(r#"{"17":[1000,2000]}"#, &[(".", "wrong_body")])]
fn a_mod_mu_body_without_rows_is_a_heartbeat_or_rejected(
    #[case] body: &str,
    #[case] expected: &[(&str, &str)],
) {
    let push = mod_mu::traffic(body.as_bytes()).unwrap();
    assert!(push.is_empty());
    assert_eq!(rejected(&push), expected);
}

#[test]
fn php_writes_a_list_with_gaps_as_an_object() {
    let body = r#"{"data":{"0":{"user_id":1,"u":1,"d":2},"5":{"user_id":2,"u":3,"d":4}}}"#;
    let push = mod_mu::traffic(body.as_bytes()).unwrap();
    assert_eq!(push.rows, [row(1, 1, 2), row(2, 3, 4)]);
}

#[test]
fn chunks_fit_a_usage_report() {
    let rows = (1..=10)
        .map(|number| row(number, MAX_LINE_BYTES, 0))
        .collect();
    let push = Push {
        rows,
        ..Push::default()
    };
    let lengths = |max_rows| -> Vec<usize> {
        let chunks = push.chunks(max_rows);
        assert_eq!(chunks.concat(), push.rows);
        chunks.iter().map(|chunk| chunk.len()).collect()
    };
    assert_eq!(MAX_REPORT_BYTES / MAX_LINE_BYTES, 8);
    assert_eq!(lengths(10_000), [8, 2]);
    assert_eq!(lengths(4), [4, 4, 2]);
    assert_eq!(lengths(0), [1; 10]);
}

/// A number of bytes in one of the notations that clients use.
fn notation(bytes: i64, style: u8) -> String {
    match style {
        0 => bytes.to_string(),
        1 => format!("\"{bytes}\""),
        2 => format!("{bytes}.0"),
        3 => format!("{bytes}e0"),
        _ => format!("\" {bytes}.000E+0\""),
    }
}

/// One row as it is written: user, bytes and their notations.
type Written = (i32, (i64, u8), (i64, u8));

fn written() -> impl Strategy<Value = Vec<Written>> {
    let bytes = || (prop_oneof![Just(0), 0..1_i64 << 40], 0..5_u8);
    prop::collection::vec((1..20_i32, bytes(), bytes()), 0..40)
}

fn uniproxy_body(rows: &[Written]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|(number, up, down)| {
            let (up, down) = (notation(up.0, up.1), notation(down.0, down.1));
            format!("\"{number}\":[{up},{down}]")
        })
        .collect();
    format!("{{{}}}", rows.join(","))
}

fn mod_mu_body(rows: &[Written]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|(number, up, down)| {
            let (up, down) = (notation(up.0, up.1), notation(down.0, down.1));
            format!("{{\"user_id\":{number},\"u\":{up},\"d\":{down}}}")
        })
        .collect();
    format!("{{\"data\":[{}]}}", rows.join(","))
}

fn sums(rows: &[Written]) -> Vec<PushedRow> {
    let mut sums: BTreeMap<i32, (i64, i64)> = BTreeMap::new();
    for (number, (up, _), (down, _)) in rows {
        let sum = sums.entry(*number).or_default();
        *sum = (sum.0 + up, sum.1 + down);
    }
    let rows = sums
        .into_iter()
        .map(|(number, (up, down))| row(number, up, down));
    rows.filter(|row| (row.upload, row.download) != (0, 0))
        .collect()
}

proptest! {
    #[test]
    fn the_form_does_not_depend_on_order_duplicates_notation_or_protocol(
        rows in written(), other in written(), seed in any::<u8>(), max_rows in 1..9_usize,
    ) {
        let parsed = push(&uniproxy_body(&rows));
        prop_assert_eq!(&parsed.rows, &sums(&rows));
        prop_assert_eq!(parsed.rejected_count, 0);

        let mut moved = rows.clone();
        moved.rotate_left(usize::from(seed) % rows.len().max(1));
        let styled: Vec<Written> = moved
            .iter()
            .map(|(number, (up, a), (down, b))| {
                (*number, (*up, (a + seed % 5) % 5), (*down, 4 - b))
            })
            .collect();
        prop_assert_eq!(push(&uniproxy_body(&styled)).hash(), parsed.hash());
        let same = mod_mu::traffic(mod_mu_body(&styled).as_bytes()).unwrap();
        prop_assert_eq!(same.hash(), parsed.hash());

        let different = push(&uniproxy_body(&other));
        prop_assert_eq!(different.hash() == parsed.hash(), different.rows == parsed.rows);

        let chunks = parsed.chunks(max_rows);
        prop_assert_eq!(chunks.concat(), parsed.rows.clone());
        prop_assert!(chunks.iter().all(|chunk| (1..=max_rows).contains(&chunk.len())));
    }

    #[test]
    fn no_json_is_refused(value in ".{0,40}", key in ".{0,10}", number in any::<f64>()) {
        let quoted = |text: &String| serde_json::to_string(text).unwrap();
        let (key, text) = (quoted(&key), quoted(&value));
        let body = format!("{{{key}:{text},{key}:[{text},{number:?}],\"17\":[1,2]}}");
        let body = body.replace("NaN", "null").replace("inf", "1e999");
        let push = push(&body);
        prop_assert!(push.rows.iter().any(|row| row.number == 17));
        prop_assert!(push.rejected_count <= 2);
    }
}
