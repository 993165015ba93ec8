//! Masks the keys and passwords in configurations for callers who must not see them.
//!
//! Secrets cannot be recognized by a list of names, because operators, panels and protocols
//! introduce new ones. Instead, the harmless fields are listed, each with the form of its harmless
//! values. Every other value is masked.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Map, Value};

/// Replaces a value that may be secret.
pub const MASK: &str = "********";

/// The form of a harmless value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// An object or a list of objects, whose fields are checked one by one.
    Object,
    /// A number, a flag, or a string of digits and separators, such as `443`, `20000-30000` or
    /// `0.12`, or a list of such strings.
    Number,
    /// A lower-case word, such as a protocol, a cipher or an action, or a list of words.
    Word,
    /// A host name or an IP address, with or without a port, or a list of them.
    Host,
    /// A version such as `2026.1.0`.
    Version,
}

/// Maximum length of a word or a number. Keys and UUIDs are longer.
const MAX_WORD: usize = 30;
const MAX_VERSION: usize = 16;

/// Fields that are harmless in the configurations of panels and proxies, by their form.
const HARMLESS: [(Form, &str); 5] = [
    (
        Form::Object,
        "baseconfig customconfig inbound inbounds multiplex mux networksettings outbound \
         outbounds realitysettings routes settings streamsettings tlssettings transport \
         wssettings grpcsettings tcpsettings",
    ),
    (
        Form::Number,
        "alterid port serverport listenport offsetportnode offsetportuser serverports \
         pushinterval pullinterval nodereportmintraffic deviceonlinemintraffic speedlimit \
         nodespeedlimit devicelimit nodeiplimit upmbps downmbps mtu tls sort enabled enable \
         udp allowinsecure insecure congestionwindow zerortthandshake xver maxconnections \
         minstreams maxstreams padding trafficrate timeout",
    ),
    (
        Form::Word,
        "alpn action cipher method congestioncontrol fingerprint flow headertype network \
         nodetype plugin protocol security type udprelaymode",
    ),
    (
        Form::Host,
        "host server servername servernames sni listen listenip address",
    ),
    (Form::Version, "version"),
];

/// Form of a harmless field. `None` if the field is not known to be harmless. Case and separators
/// are ignored, so `server_port`, `serverPort` and `server-port` are the same name.
fn harmless_form(name: &str) -> Option<Form> {
    let name = normalize(name);
    let is_form = |(_, names): &&(Form, &str)| names.split_whitespace().any(|known| known == name);
    HARMLESS.iter().find(is_form).map(|(form, _)| *form)
}

/// Masks each value of a configuration that is not known to be harmless, including nested values.
/// Empty values are not masked.
pub fn mask(config: &mut Value) {
    match config {
        Value::Object(fields) => {
            for (name, value) in fields {
                match harmless_form(name) {
                    Some(Form::Object) if is_container(value) => mask_objects(value),
                    Some(form) if form.matches(value) => {}
                    _ => hide(value),
                }
            }
        }
        _ => hide(config),
    }
}

/// Masks a configuration before and after a change. A secret that changed is marked after the
/// change, because its mask is the same.
#[must_use]
pub fn mask_change(before: &Value, after: &Value) -> (Value, Value) {
    let (mut masked_before, mut masked_after) = (before.clone(), after.clone());
    mask(&mut masked_before);
    mask(&mut masked_after);
    mark(before, after, &mut masked_after);
    (masked_before, masked_after)
}

fn mark(before: &Value, after: &Value, masked: &mut Value) {
    match (before, after, masked) {
        (Value::Object(before), Value::Object(after), Value::Object(masked)) => {
            for (name, masked) in masked {
                let of = |fields: &Map<String, Value>| fields.get(name).cloned();
                if let (Some(before), Some(after)) = (of(before), of(after)) {
                    mark(&before, &after, masked);
                }
            }
        }
        (before, after, Value::String(masked)) if masked == MASK && before != after => {
            masked.push_str(" (changed)");
        }
        _ => {}
    }
}

fn is_container(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

fn mask_objects(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(mask),
        _ => mask(value),
    }
}

impl Form {
    fn matches(self, value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Bool(_) | Value::Number(_) => self == Self::Number,
            Value::String(text) => text.is_empty() || self.matches_text(text),
            Value::Array(values) => {
                self != Self::Object
                    && values
                        .iter()
                        .all(|value| value.is_string() && self.matches(value))
            }
            Value::Object(_) => false,
        }
    }

    fn matches_text(self, text: &str) -> bool {
        let contains_only = |allowed: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_digit() || allowed.as_bytes().contains(&byte))
        };
        match self {
            Self::Object => false,
            Self::Number => text.len() <= MAX_WORD && contains_only(".,-: "),
            Self::Word => text.len() <= MAX_WORD && contains_only("abcdefghijklmnopqrstuvwxyz-_./"),
            Self::Host => is_host(text),
            Self::Version => text.len() <= MAX_VERSION && contains_only(".v-"),
        }
    }
}

/// Whether a text is an IP address or a DNS name of at least two labels, with or without a port.
/// Tokens, UUIDs and passwords usually are not.
fn is_host(text: &str) -> bool {
    if text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok() {
        return true;
    }
    let (name, port) = text
        .split_once(':')
        .map_or((text, None), |(name, port)| (name, Some(port)));
    let is_label = |label: &str| {
        let is_allowed = label
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        is_allowed && (1..=63).contains(&label.len())
    };
    let is_name = name.len() <= 253 && name.contains('.') && name.split('.').all(is_label);
    is_name && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// A name in lower case and without separators.
fn normalize(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Masks a whole value unless it is empty. The keys of an object are masked as well, because they
/// may be secrets.
fn hide(value: &mut Value) {
    let empty = match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    if !empty {
        *value = MASK.into();
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const SECRET: &str = "hunter2canary";

    #[rstest]
    #[case(json!({ "password": SECRET }))]
    #[case(json!({ "password1": SECRET }))]
    #[case(json!({ "server_key": SECRET }))]
    #[case(json!({ "privateKey": SECRET }))]
    #[case(json!({ "psk": SECRET }))]
    #[case(json!({ "token": SECRET }))]
    #[case(json!({ "api_keys": [SECRET] }))]
    #[case(json!({ "auth": { "user": SECRET } }))]
    #[case(json!({ "auth_str": SECRET }))]
    #[case(json!({ "headers": { "Authorization": SECRET } }))]
    #[case(json!({ "headers": { "Cookie": SECRET } }))]
    #[case(json!({ "networkSettings": { "headers": { "Authorization": SECRET } } }))]
    #[case(json!({ "note": format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE \
        KEY-----") }))]
    #[case(json!({ "sni": format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE \
        KEY-----") }))]
    #[case(json!({ "api": format!("https://panel.test/v1?token={SECRET}") }))]
    #[case(json!({ "host": format!("https://panel.test/v1?token={SECRET}") }))]
    #[case(json!({ "host": format!("admin:{SECRET}@panel.test") }))]
    #[case(json!({ "url": format!("https://admin:{SECRET}@panel.test") }))]
    #[case(json!({ "args": [format!("--password={SECRET}")] }))]
    #[case(json!({ "command": ["run", SECRET] }))]
    #[case(json!({ "settings": format!("{{\"password\":\"{SECRET}\"}}") }))]
    #[case(json!({ "raw": format!("{{\"password\":\"{SECRET}\"}}") }))]
    #[case(json!({ "users": [format!("alice:{SECRET}")] }))]
    #[case(json!({ "users": { SECRET: true } }))]
    #[case(json!({ "settings": { "clients": [{ "id": SECRET, "email": "seen" }] } }))]
    #[case(json!({ "uuid": SECRET }))]
    #[case(json!({ "id": SECRET }))]
    #[case(json!({ "short_id": SECRET }))]
    #[case(json!({ "path": format!("/{SECRET}") }))]
    #[case(json!({ "obfs_password": SECRET }))]
    #[case(json!({ "obfs": { "password": SECRET } }))]
    #[case(json!({ "tls": { "key": [SECRET] } }))]
    #[case(json!({ "security": [{ "token": SECRET }] }))]
    #[case(json!({ "routes": [[SECRET], SECRET] }))]
    #[case(json!({ "port": { "a": SECRET } }))]
    #[case(json!({ "version": SECRET }))]
    #[case(json!([SECRET]))]
    #[case(json!(SECRET))]
    fn whatever_is_not_known_to_be_harmless_is_masked(#[case] mut config: Value) {
        mask(&mut config);
        let shown = config.to_string();
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(shown.contains(MASK), "{shown}");
    }

    #[rstest]
    #[case::a_lone_uuid(json!("0b5c7a9e-4d0f-4a55-9a52-0d2bb0d1a2f3"))]
    #[case::a_key(json!("mF9gLw0y1cQ6j7Xb2Zt5Kp8RsVd3HnTe4AuYiOqWx0E="))]
    #[case::a_hash(json!("5f4dcc3b5aa765d61d8327deb882cf99"))]
    #[case::a_token(json!("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln"))]
    #[case::a_number(json!(31_337))]
    #[case::a_flag(json!(true))]
    fn a_value_without_the_form_of_its_field_is_masked(#[case] secret: Value) {
        for name in [
            "cipher", "host", "sni", "protocol", "unknown", "password", "server",
        ] {
            let mut config = json!({ name: secret });
            mask(&mut config);
            assert_eq!(config, json!({ name: MASK }));
        }
    }

    #[test]
    fn harmless_fields_of_panel_configurations_are_shown() {
        let configs = [
            json!({
                "protocol": "shadowsocks", "server_port": 443,
                    "cipher": "2022-blake3-aes-128-gcm", "network": "tcp",
                "networkSettings": null, "tls": 0, "routes": [],
                "base_config": { "push_interval": 60, "pull_interval": 60,
                    "node_report_min_traffic": 0 }
            }),
            json!({
                "node_speedlimit": 0, "sort": 11, "server": "n.example", "type": "sspanel",
                    "version": "2026.1.0",
                "custom_config": {
                    "offset_port_node": "443", "network": "ws", "security": "tls",
                        "host": "n.example:8443",
                    "alpn": ["h2", "http/1.1"]
                }
            }),
            json!({ "inbounds": [{ "listen": "2001:db8::1", "port": "20000-30000",
                "streamSettings": { "sni": "x.test" } }] }),
            json!({ "password": "", "token": null, "users": [], "headers": {} }),
        ];
        for config in configs {
            let mut shown = config.clone();
            mask(&mut shown);
            assert_eq!(shown, config);
        }
    }
}
