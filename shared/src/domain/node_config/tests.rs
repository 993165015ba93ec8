use rstest::rstest;
use serde_json::json;

use super::*;

const KEY_16: &str = "AAECAwQFBgcICQoLDA0ODw==";
const KEY_32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

fn effective(
    compatibility: NodeServerCompatibility,
    server: &Value,
    client: &Value,
) -> Result<Option<NodeConfig>, Error> {
    let (server, client) = (object(server.clone()), object(client.clone()));
    NodeConfig::effective(compatibility, &server, &client)
}

fn uniproxy(server: &Value, client: &Value) -> Result<Option<UniProxyConfig>, Error> {
    let config = effective(NodeServerCompatibility::NewV2b, server, client)?;
    Ok(config.map(|config| match config {
        NodeConfig::UniProxy(config) => config,
        NodeConfig::ModMu(config) => panic!("{config:?}"),
    }))
}

fn mod_mu(server: &Value, client: &Value) -> Result<Option<ModMuConfig>, Error> {
    let config = effective(NodeServerCompatibility::Ssp, server, client)?;
    Ok(config.map(|config| match config {
        NodeConfig::ModMu(config) => config,
        NodeConfig::UniProxy(config) => panic!("{config:?}"),
    }))
}

#[test]
fn a_field_of_the_client_replaces_that_of_the_server_as_a_whole() {
    let server = json!({ "protocol": "vless", "server_port": 443, "network": "ws",
        "network_settings": { "path": "/a", "host": "a.example" }, "x": [1] });
    let client = json!({ "server_port": 8443, "network_settings": { "path": "/b" } });
    let config = uniproxy(&server, &client).unwrap().unwrap();
    assert_eq!(
        (config.protocol, config.server_port),
        (Protocol::Vless, 8443)
    );
    let expected = json!({ "protocol": "vless", "server_port": 8443, "network": "ws",
        "network_settings": { "path": "/b" }, "networkSettings": { "path": "/b" }, "x": [1] });
    assert_eq!(Value::Object(config.fields), expected);
}

#[rstest]
#[case(NodeServerCompatibility::NewV2b, json!({ "server_port": 443, "sort": 11 }))]
#[case(NodeServerCompatibility::NewV2b, json!({ "network": 7, "cipher": "x" }))]
#[case(NodeServerCompatibility::NewV2b, json!({ "protocol": null }))]
#[case(NodeServerCompatibility::Ssp, json!({ "protocol": "x", "server": "n.example" }))]
#[case(NodeServerCompatibility::Ssp, json!({ "custom_config": { "network": 7 } }))]
fn a_configuration_without_a_kind_is_not_for_nodes(
    #[case] compatibility: NodeServerCompatibility,
    #[case] config: Value,
) {
    assert_eq!(effective(compatibility, &config, &json!({})).unwrap(), None);
    check_server(compatibility, &object(config)).unwrap();
}

#[rstest]
#[case::vmess(json!({ "protocol": "vmess", "server_port": 1, "network": "tcp",
    "networkSettings": null, "tls": 0, "routes": [] }))]
#[case::vless(json!({ "protocol": "vless", "server_port": 65535, "network": "xhttp", "tls": 1,
    "flow": "", "tls_settings": { "server_name": "n.example", "xver": "0" } }))]
#[case::reality(json!({ "protocol": "vless", "server_port": 443, "network": "tcp", "tls": 2,
    "tls_settings": { "private_key": "k", "server_port": "443", "server_name": "n.example",
    "short_id": "0a" } }))]
#[case::reality_with_names(json!({ "protocol": "vless", "server_port": 443, "network": "tcp",
    "tls": 2, "tlsSettings": { "private_key": "k", "server_port": "443", "dest": "n.example",
    "server_names": ["n.example"] } }))]
#[case::trojan(json!({ "protocol": "trojan", "server_port": 443, "network": "grpc",
    "networkSettings": { "serviceName": "s" }, "host": "n.example", "server_name": "n.example" }))]
#[case::shadowsocks(json!({ "protocol": "shadowsocks", "server_port": 443,
    "cipher": "aes-128-gcm", "server_key": null, "obfs": "http",
    "obfs_settings": { "path": "/" } }))]
#[case::shadowsocks_2022_128(json!({ "protocol": "shadowsocks", "server_port": 443,
    "cipher": "2022-blake3-aes-128-gcm", "server_key": KEY_16 }))]
#[case::shadowsocks_2022_256(json!({ "protocol": "shadowsocks", "server_port": 443,
    "cipher": "2022-blake3-aes-256-gcm", "server_key": KEY_32 }))]
#[case::hysteria(json!({ "protocol": "hysteria", "server_port": 443, "up_mbps": 100,
    "down_mbps": 0, "obfs": "password" }))]
#[case::hysteria2(json!({ "protocol": "hysteria2", "server_port": 443,
    "ignore_client_bandwidth": true, "obfs": "salamander", "obfs-password": "p" }))]
#[case::tuic(json!({ "protocol": "tuic", "server_port": 443, "congestion_control": "bbr",
    "zero_rtt_handshake": false }))]
#[case::anytls(json!({ "protocol": "anytls", "server_port": 443, "padding_scheme": ["stop=8"] }))]
#[case::routes(json!({ "protocol": "tuic", "server_port": 443, "routes": [
    { "id": 1, "match": ["regexp:.*"], "action": "block", "action_value": null },
    { "match": ["main", "{}"], "action": "dns", "action_value": "1.1.1.1", "remarks": 7 }] }))]
#[case::base_config(json!({ "protocol": "tuic", "server_port": 443,
    "base_config": { "node_report_min_traffic": 0 } }))]
#[case::unknown_fields(json!({ "protocol": "mieru", "server_port": 443, "new": { "a": [null] } }))]
fn valid_configurations_of_uniproxy_are_accepted(#[case] server: Value) {
    assert!(uniproxy(&server, &json!({})).unwrap().is_some());
    assert!(uniproxy(&json!({}), &server).unwrap().is_some());
    check_server(NodeServerCompatibility::NewV2b, &object(server)).unwrap();
}

/// Field of an error, and whether the field is missing.
fn named(error: &Error) -> (&str, bool) {
    (
        error.field().unwrap(),
        error.message().starts_with("is missing"),
    )
}

#[rstest]
#[case(json!({ "protocol": "wireguard" }), "protocol", false)]
#[case(json!({ "protocol": 1 }), "protocol", false)]
#[case(json!({ "server_port": null }), "server_port", true)]
#[case(json!({ "server_port": 0 }), "server_port", false)]
#[case(json!({ "server_port": 65536 }), "server_port", false)]
#[case(json!({ "server_port": "443" }), "server_port", false)]
#[case(json!({ "network": null }), "network", true)]
#[case(json!({ "network": "udp" }), "network", false)]
#[case(json!({ "protocol": "trojan", "network": null }), "network", true)]
#[case(json!({ "networkSettings": [] }), "networkSettings", false)]
#[case(json!({ "network_settings": { "path": 1 } }), "network_settings.path", false)]
#[case(json!({ "tls": "1" }), "tls", false)]
#[case(json!({ "tls": 3 }), "tls", false)]
#[case(json!({ "tls": 2 }), "tls_settings.private_key", true)]
#[case(json!({ "tls": 2, "tls_settings": { "private_key": "k" } }),
    "tls_settings.server_port", true)]
#[case(json!({ "tls": 2, "tls_settings": { "private_key": "k", "server_port": 443 } }),
    "tls_settings.server_port", false)]
#[case(json!({ "tls": 2, "tls_settings": { "private_key": "k", "server_port": "443" } }),
    "tls_settings.server_name", true)]
#[case(json!({ "tls": 2, "tls_settings": { "private_key": "", "server_port": "443" } }),
    "tls_settings.private_key", false)]
#[case(json!({ "tls_settings": { "xver": 0 } }), "tls_settings.xver", false)]
#[case(json!({ "tlsSettings": { "short_ids": "0a" } }), "tlsSettings.short_ids", false)]
#[case(json!({ "flow": 1 }), "flow", false)]
#[case(json!({ "protocol": "shadowsocks" }), "cipher", true)]
#[case(json!({ "protocol": "shadowsocks", "cipher": "rc4-md5" }), "cipher", false)]
#[case(json!({ "protocol": "shadowsocks", "cipher": "2022-blake3-chacha20-poly1305" }),
    "cipher", false)]
#[case(json!({ "protocol": "shadowsocks", "cipher": "2022-blake3-aes-128-gcm" }),
    "server_key", true)]
#[case(json!({ "protocol": "shadowsocks", "cipher": "2022-blake3-aes-128-gcm",
    "server_key": KEY_32 }), "server_key", false)]
#[case(json!({ "protocol": "shadowsocks", "cipher": "2022-blake3-aes-256-gcm",
    "server_key": KEY_16 }), "server_key", false)]
#[case(json!({ "protocol": "shadowsocks", "cipher": "2022-blake3-aes-128-gcm",
    "server_key": "not Base64" }), "server_key", false)]
#[case(json!({ "protocol": "hysteria2", "obfs": "salamander" }), "obfs-password", true)]
#[case(json!({ "protocol": "hysteria", "version": 2, "obfs": "salamander" }),
    "obfs-password", true)]
#[case(json!({ "protocol": "hysteria", "version": "2" }), "version", false)]
#[case(json!({ "up_mbps": "100" }), "up_mbps", false)]
#[case(json!({ "protocol": "tuic", "congestion_control": "reno" }), "congestion_control", false)]
#[case(json!({ "padding_scheme": "stop=8" }), "padding_scheme", false)]
#[case(json!({ "base_config": [] }), "base_config", false)]
#[case(json!({ "base_config": { "node_report_min_traffic": "0" } }),
    "base_config.node_report_min_traffic", false)]
#[case(json!({ "routes": {} }), "routes", false)]
#[case(json!({ "routes": [7] }), "routes[0]", false)]
#[case(json!({ "routes": [{ "match": "a,b", "action": "block" }] }), "routes[0].match", false)]
#[case(json!({ "routes": [{ "match": [], "action": "block" }] }), "routes[0].match", false)]
#[case(json!({ "routes": [{ "match": ["a"] }] }), "routes[0].action", false)]
#[case(json!({ "routes": [{ "match": ["a"], "action": "dns", "action_value": 1 }] }),
    "routes[0].action_value", false)]
#[case(json!({ "routes": [{ "match": ["a"], "action": "dns", "id": "1" }] }),
    "routes[0].id", false)]
fn what_stops_a_uniproxy_node_is_refused(
    #[case] change: Value,
    #[case] field: &str,
    #[case] missing: bool,
) {
    let server = json!({ "protocol": "vless", "server_port": 443, "network": "tcp" });
    let error = uniproxy(&server, &change).unwrap_err();
    let name = field.split(['.', '[']).next().unwrap();
    let is_given = change.get(name).is_some();
    let owner = if is_given {
        "client_config"
    } else {
        "server_config"
    };
    assert_eq!(
        named(&error),
        (format!("{owner}.{field}").as_str(), missing),
        "{error}"
    );

    let mut whole = object(server);
    whole.extend(object(change));
    let error = uniproxy(&Value::Object(whole.clone()), &json!({})).unwrap_err();
    assert_eq!(
        named(&error),
        (format!("server_config.{field}").as_str(), missing)
    );
    let alone = check_server(NodeServerCompatibility::NewV2b, &whole);
    assert_eq!(
        alone.is_ok(),
        missing || field == "tls_settings.private_key",
        "{alone:?}"
    );
}

#[rstest]
#[case::vmess(json!({ "sort": 11, "server": "n.example", "node_speedlimit": 100,
    "custom_config": { "offset_port_node": "443", "network": "ws", "security": "tls",
    "path": "/p", "host": "n.example", "header": { "type": "none" }, "new": 7 } }), 11, 100, None)]
#[case::reality(json!({ "sort": 11, "server": "n.example",
    "custom_config": { "offset_port_node": "443", "network": "tcp", "enable_vless": "1",
    "enable_reality": true, "reality-opts": { "dest": "n.example:443", "private_key": "k",
    "server_names": ["n.example"], "short_ids": [""] } } }), 11, 0, None)]
#[case::trojan(json!({ "sort": 14, "server": "n.example",
    "custom_config": { "offset_port_node": "443" } }), 14, 0, None)]
#[case::tuic(json!({ "sort": 2, "server": "n.example",
    "custom_config": { "offset_port_node": "443" } }), 2, 0, None)]
#[case::shadowsocks(json!({ "sort": 0, "server": "n.example",
    "custom_config": { "offset_port_node": "443", "method": "aes-256-gcm" } }), 0, 0, None)]
#[case::shadowsocks_2022(json!({ "sort": 1, "server": "n.example",
    "custom_config": { "offset_port_node": "443", "method": "2022-blake3-aes-256-gcm",
    "server_key": KEY_32 } }), 1, 0, Some(32))]
fn valid_configurations_of_mod_mu_are_accepted(
    #[case] server: Value,
    #[case] sort: i32,
    #[case] speed_limit_mbps: i32,
    #[case] key_bytes: Option<usize>,
) {
    let config = mod_mu(&server, &json!({})).unwrap().unwrap();
    assert_eq!((config.sort.number(), config.port), (sort, 443));
    assert_eq!(config.server, "n.example");
    assert_eq!(
        (config.speed_limit_mbps, config.key_bytes),
        (speed_limit_mbps, key_bytes)
    );
    assert_eq!(Value::Object(config.custom_config), server["custom_config"]);
    check_server(NodeServerCompatibility::Ssp, &object(server)).unwrap();
}

#[rstest]
#[case(json!({ "sort": 12 }), "sort", false)]
#[case(json!({ "sort": "11" }), "sort", false)]
#[case(json!({ "server": null }), "server", true)]
#[case(json!({ "server": " " }), "server", false)]
#[case(json!({ "server": 1 }), "server", false)]
#[case(json!({ "node_speedlimit": -1 }), "node_speedlimit", false)]
#[case(json!({ "custom_config": null }), "custom_config", true)]
#[case(json!({ "custom_config": [] }), "custom_config", false)]
#[case(json!({ "custom_config": {} }), "custom_config.offset_port_node", true)]
#[case(json!({ "custom_config": { "offset_port_node": 443 } }),
    "custom_config.offset_port_node", false)]
#[case(json!({ "custom_config": { "offset_port_node": "0" } }),
    "custom_config.offset_port_node", false)]
#[case(json!({ "custom_config": { "offset_port_node": "443" } }), "custom_config.network", true)]
#[case(json!({ "custom_config": { "offset_port_node": "443", "network": 7 } }),
    "custom_config.network", false)]
#[case(json!({ "custom_config": { "offset_port_node": "443", "network": "ws", "tls": true } }),
    "custom_config.tls", false)]
#[case(json!({ "custom_config": { "offset_port_node": "443", "network": "tcp",
    "enable_reality": true } }), "custom_config.reality-opts.dest", true)]
#[case(json!({ "custom_config": { "offset_port_node": "443", "network": "tcp",
    "enable_reality": "1" } }), "custom_config.enable_reality", false)]
#[case(json!({ "sort": 0 }), "custom_config.method", true)]
#[case(json!({ "sort": 0, "custom_config": { "offset_port_node": "443",
    "method": "2022-blake3-aes-128-gcm" } }), "custom_config.method", false)]
#[case(json!({ "sort": 1, "custom_config": { "offset_port_node": "443",
    "method": "2022-blake3-aes-128-gcm" } }), "custom_config.server_key", true)]
#[case(json!({ "sort": 1, "custom_config": { "offset_port_node": "443",
    "method": "2022-blake3-aes-128-gcm", "server_key": KEY_32 } }),
    "custom_config.server_key", false)]
fn what_stops_a_mod_mu_node_is_refused(
    #[case] change: Value,
    #[case] field: &str,
    #[case] missing: bool,
) {
    let mut server = object(json!({ "sort": 11, "server": "n.example",
        "custom_config": { "offset_port_node": "443", "network": "tcp" } }));
    server.extend(object(change));
    let error = mod_mu(&Value::Object(server), &json!({})).unwrap_err();
    assert_eq!(
        named(&error),
        (format!("server_config.{field}").as_str(), missing),
        "{error}"
    );
}

#[test]
fn a_configuration_is_not_logged() {
    let shadowsocks = json!({ "protocol": "shadowsocks", "server_port": 443,
        "cipher": "2022-blake3-aes-128-gcm", "server_key": KEY_16 });
    let second = json!({ "sort": 1, "server": "n.example", "custom_config": {
        "offset_port_node": "443", "method": "2022-blake3-aes-128-gcm", "server_key": KEY_16 } });
    let logged = [
        format!("{:?}", uniproxy(&shadowsocks, &json!({}))),
        format!("{:?}", mod_mu(&second, &json!({}))),
    ];
    assert!(!logged.concat().contains(KEY_16), "{logged:?}");
    assert!(
        logged[0].contains("443") && logged[1].contains("443"),
        "{logged:?}"
    );
}
