//! Keys and passwords inside configuration.

use serde_json::Value;

/// What is shown instead of a secret.
pub const MASK: &str = "********";

/// Names of secrets, or ends of such names, without case and separators.
const SECRET_NAMES: [&str; 10] =
    ["key", "password", "passwd", "passphrase", "secret", "token", "psk", "credential", "credentials", "auth"];
/// Names that end like secrets and are meant to be seen.
const PUBLIC_NAMES: [&str; 2] = ["publickey", "pubkey"];

/// Replaces the values of all secrets, at any depth, by [`MASK`]; an empty one shows that it is empty.
pub fn mask(config: &mut Value) {
    match config {
        Value::Object(fields) => {
            for (name, value) in fields {
                if is_secret(name) { hide(value) } else { mask(value) }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(mask),
        _ => {}
    }
}

fn is_secret(name: &str) -> bool {
    let name: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let singular = name.strip_suffix('s').unwrap_or(&name);
    let ends_like = |names: &[&str]| names.iter().any(|end| name.ends_with(end) || singular.ends_with(end));
    ends_like(&SECRET_NAMES) && !ends_like(&PUBLIC_NAMES)
}

/// Hides a value with all that it holds.
fn hide(value: &mut Value) {
    let empty = match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    if !empty {
        *value = MASK.into();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_and_passwords_are_masked_at_any_depth_and_under_any_spelling() {
        let mut config = json!({
            "port": 443, "server_key": "a", "privateKey": "b", "PASSWORD": "c", "obfs-password": "d", "psk": 5,
            "tls": [{ "private_key": "e", "sni": "x.test" }], "api_keys": ["f", "g"], "auth": { "user": "h" },
            "public_key": "seen", "pubkey": "seen", "password": "", "token": null, "keyboard": "seen"
        });
        mask(&mut config);
        assert_eq!(
            config,
            json!({
                "port": 443, "server_key": MASK, "privateKey": MASK, "PASSWORD": MASK, "obfs-password": MASK, "psk": MASK,
                "tls": [{ "private_key": MASK, "sni": "x.test" }], "api_keys": MASK, "auth": MASK,
                "public_key": "seen", "pubkey": "seen", "password": "", "token": null, "keyboard": "seen"
            })
        );
    }
}
