use rstest::rstest;
use serde_json::{Map, Value, json};

use super::super::etag::Tag;
use super::super::mod_mu::{self, NodeInfo, UserForm};
use super::super::uniproxy::{self, MachineNode};
use super::super::users::ListedUser;
use super::secret;
use crate::error::Error;

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

fn text(body: Result<Vec<u8>, Error>) -> String {
    String::from_utf8(body.unwrap()).unwrap()
}

fn listed() -> [ListedUser; 2] {
    let user = |number, speed_limit_mbps, device_limit| ListedUser {
        number,
        secret: secret(7),
        speed_limit_mbps,
        device_limit,
    };
    [user(17, Some(100), 3), user(42, None, 0)]
}

#[test]
fn constant_bodies_are_exact_to_the_byte() {
    assert_eq!(uniproxy::DATA_TRUE, "{\"data\":true}");
    assert_eq!(
        uniproxy::STATUS_OK,
        "{\"data\":true,\"code\":0,\"message\":\"success\"}"
    );
    assert_eq!(uniproxy::HANDSHAKE, "{\"websocket\":{\"enabled\":false}}");
    assert_eq!(mod_mu::OK, "{\"ret\":1,\"msg\":\"ok\"}");
    assert_eq!(mod_mu::INFO_OK, "{\"ret\":1}");
    assert_eq!(mod_mu::PONG, "{\"ret\":1,\"msg\":\"Pong? Pong!\"}");
    assert_eq!(mod_mu::NO_DETECT_RULES, "{\"ret\":1,\"data\":[]}");
    assert_eq!(
        mod_mu::INVALID_REQUEST,
        "{\"ret\":0,\"msg\":\"Invalid request.\"}"
    );
    let error = text(mod_mu::error("The node is archived."));
    assert_eq!(error, r#"{"ret":0,"msg":"The node is archived."}"#);
}

#[rstest]
#[case::nothing(json!({ "protocol": "trojan" }),
    r#"{"base_config":{"pull_interval":60,"push_interval":60},"protocol":"trojan","routes":[]}"#)]
#[case::stored(
    json!({ "base_config": { "push_interval": 10, "node_report_min_traffic": 50 },
        "routes": [{ "id": 1 }], "x": null }),
    concat!(r#"{"base_config":{"node_report_min_traffic":50,"pull_interval":60,"#,
        r#""push_interval":60},"routes":[{"id":1}],"x":null}"#))]
#[case::null(json!({ "base_config": null, "routes": null }),
    r#"{"base_config":{"pull_interval":60,"push_interval":60},"routes":[]}"#)]
fn a_configuration_always_has_intervals_and_routes(#[case] stored: Value, #[case] expected: &str) {
    assert_eq!(text(uniproxy::config(&object(stored), 60)), expected);
}

#[test]
fn the_users_of_uniproxy_have_numbers_for_limits() {
    let expected = concat!(
        r#"{"users":[{"id":17,"uuid":"3b1f0000-0000-4000-8000-000000000007","#,
        r#""speed_limit":100,"device_limit":3},"#,
        r#"{"id":42,"uuid":"3b1f0000-0000-4000-8000-000000000007","#,
        r#""speed_limit":0,"device_limit":0}]}"#
    );
    assert_eq!(text(uniproxy::users(&listed(), secret(9))), expected);
}

#[test]
fn an_empty_list_never_reaches_a_node() {
    let uuid = secret(9);
    assert_eq!(
        text(uniproxy::users(&[], uuid)),
        format!(
            r#"{{"users":[{{"id":2147483647,"uuid":"{uuid}","speed_limit":0,"device_limit":0}}]}}"#
        )
    );
    assert_eq!(
        text(mod_mu::users(&[], UserForm::Uuid, uuid)),
        format!(
            concat!(
                r#"{{"ret":1,"data":[{{"id":2147483647,"node_speedlimit":0,"#,
                r#""node_iplimit":0,"uuid":"{}"}}]}}"#
            ),
            uuid
        )
    );
}

#[rstest]
#[case::uuid(UserForm::Uuid, r#""uuid":"3b1f0000-0000-4000-8000-000000000007""#)]
#[case::tuic(UserForm::UuidAndPassword,
    concat!(r#""passwd":"3b1f0000-0000-4000-8000-000000000007","#,
        r#""uuid":"3b1f0000-0000-4000-8000-000000000007""#))]
#[case::key_16(UserForm::Key { key_bytes: 16 }, r#""passwd":"M2IxZjAwMDAtMDAwMC00MA==""#)]
#[case::key_32(UserForm::Key { key_bytes: 32 },
    r#""passwd":"M2IxZjAwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDA=""#)]
#[case::password(UserForm::Password { port: 443, method: "aes-128-gcm" },
    r#""port":443,"method":"aes-128-gcm","passwd":"3b1f0000-0000-4000-8000-000000000007""#)]
fn the_users_of_mod_mu_depend_on_the_sort(#[case] form: UserForm<'_>, #[case] credential: &str) {
    let expected = format!(
        concat!(
            r#"{{"ret":1,"data":[{{"id":17,"node_speedlimit":100,"node_iplimit":3,{0}}},"#,
            r#"{{"id":42,"node_speedlimit":0,"node_iplimit":0,{0}}}]}}"#
        ),
        credential
    );
    assert_eq!(text(mod_mu::users(&listed(), form, secret(9))), expected);
}

#[test]
fn the_information_of_mod_mu_names_a_version_that_makes_nodes_report_their_load() {
    let custom = object(json!({ "offset_port_node": "443", "network": "ws" }));
    let info = NodeInfo {
        speed_limit_mbps: 0,
        sort: 11,
        server: "n.example",
        custom_config: &custom,
    };
    let expected = concat!(
        r#"{"ret":1,"data":{"node_speedlimit":0,"sort":11,"server":"n.example","#,
        r#""custom_config":{"network":"ws","offset_port_node":"443"},"#,
        r#""type":"SSPanel-UIM","version":"2022.12"}}"#
    );
    assert_eq!(text(mod_mu::info(info)), expected);
}

#[test]
fn counts_are_an_object_even_if_there_are_none() {
    assert_eq!(text(uniproxy::alive_list(&[])), r#"{"alive":{}}"#);
    let counts = [(17, 2), (42, 1)];
    assert_eq!(
        text(uniproxy::alive_list(&counts)),
        r#"{"alive":{"17":2,"42":1}}"#
    );
}

#[test]
fn a_machine_has_nodes_and_intervals() {
    let node = MachineNode {
        id: 1,
        protocol: "vless".to_owned(),
        name: "de-01".to_owned(),
    };
    let expected = concat!(
        r#"{"nodes":[{"id":1,"type":"vless","name":"de-01"}],"#,
        r#""base_config":{"push_interval":60,"pull_interval":60}}"#
    );
    assert_eq!(text(uniproxy::machine_nodes(&[node], 60)), expected);
}

#[test]
fn a_tag_depends_on_the_content_alone() {
    let tag = Tag::of(b"a");
    assert_eq!(tag.strong(), "\"ca978112ca1bbdcafac231b39a23dc4d\"");
    assert_eq!(tag.weak(), "W/\"ca978112ca1bbdcafac231b39a23dc4d\"");
    assert_ne!(tag, Tag::of(b"b"));
}

#[rstest]
#[case::none(None, false, false)]
#[case::empty(Some(""), false, false)]
#[case::strong(Some("\"ca978112ca1bbdcafac231b39a23dc4d\""), true, true)]
#[case::weak(Some("W/\"ca978112ca1bbdcafac231b39a23dc4d\""), true, true)]
#[case::bare(Some(" ca978112ca1bbdcafac231b39a23dc4d "), true, true)]
#[case::list(Some("\"x\", \"ca978112ca1bbdcafac231b39a23dc4d\""), true, false)]
#[case::any(Some("*"), false, false)]
#[case::other(Some("\"ca978112ca1bbdcafac231b39a23dc4e\""), false, false)]
#[case::half_quoted(Some("\"ca978112ca1bbdcafac231b39a23dc4d"), true, false)]
fn uniproxy_looks_for_the_tag_and_mod_mu_compares_it(
    #[case] header: Option<&str>,
    #[case] contained: bool,
    #[case] equal: bool,
) {
    let tag = Tag::of(b"a");
    assert_eq!(
        (tag.is_contained_in(header), tag.is(header)),
        (contained, equal)
    );
}
