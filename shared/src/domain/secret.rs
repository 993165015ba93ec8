//! Keys and passwords inside configuration.

use serde_json::Value;

/// What is shown instead of a secret.
pub const MASK: &str = "********";

/// Ends of secrets' names, without case and separators.
const SECRET_ENDS: [&str; 13] = [
    "key",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "psk",
    "credential",
    "auth",
    "keypem",
    "keycontent",
    "keydata",
    "keybase64",
];
/// Last words of secrets' names; shorter names than those above, in which other words end as well (`bypass`).
const SECRET_WORDS: [&str; 4] = ["pass", "pwd", "seed", "pem"];
/// Names that end like secrets and are meant to be seen.
const PUBLIC_NAMES: [&str; 2] = ["publickey", "pubkey"];
/// Lists of accounts of a proxy, in which the id itself is what lets a client in (`VLESS`, `VMess`).
const ACCOUNTS: [&str; 3] = ["clients", "users", "accounts"];
const ACCOUNT_IDS: [&str; 2] = ["id", "uuid"];

/// Replaces the values of all secrets, at any depth, by [`MASK`]; an empty one shows that it is empty.
pub fn mask(config: &mut Value) {
    mask_below(config, false);
}

fn mask_below(config: &mut Value, in_accounts: bool) {
    match config {
        Value::Object(fields) => {
            for (name, value) in fields {
                let plain = plain(name);
                if is_secret(name, &plain) || in_accounts && ACCOUNT_IDS.contains(&plain.as_str()) {
                    hide(value);
                } else {
                    mask_below(value, ACCOUNTS.contains(&plain.as_str()));
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| mask_below(value, in_accounts)),
        Value::String(text) => {
            if let Some(masked) = without_user_info(text) {
                *text = masked;
            }
        }
        _ => {}
    }
}

/// A name without case and separators.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn is_secret(name: &str, plain: &str) -> bool {
    let singular = plain.strip_suffix('s').unwrap_or(plain);
    let ends_like = |end: &&str| plain.ends_with(end) || singular.ends_with(end);
    let secret = SECRET_ENDS.iter().any(ends_like) || SECRET_WORDS.contains(&last_word(name).as_str());
    secret && !PUBLIC_NAMES.iter().any(|name| plain.contains(name))
}

/// The last word of a name such as `user_pass`, `user-pass` or `userPass`.
fn last_word(name: &str) -> String {
    let separator = |c: char| !c.is_alphanumeric();
    let last = name.trim_end_matches(separator).rsplit(separator).next().unwrap_or_default();
    // Where a capital follows a small letter a word begins.
    let begins =
        last.char_indices().zip(last.chars().skip(1)).filter(|((_, c), next)| c.is_lowercase() && next.is_uppercase());
    let begin = begins.last().map_or(0, |((at, c), _)| at + c.len_utf8());
    last.get(begin..).unwrap_or(last).to_lowercase()
}

/// A text in whose URLs nobody's name and password are left (`scheme://user:password@host`); none: there were none.
fn without_user_info(text: &str) -> Option<String> {
    let mut parts = text.split("://");
    let mut masked = parts.next()?.to_owned();
    let mut found = false;
    for part in parts {
        let end = part.find(|c: char| c.is_whitespace() || "/?#\"'<>".contains(c)).unwrap_or(part.len());
        let (authority, rest) = part.split_at(end);
        masked.push_str("://");
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                found = true;
                masked.extend([MASK, "@", host]);
            }
            None => masked.push_str(authority),
        }
        masked.push_str(rest);
    }
    found.then_some(masked)
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

    #[test]
    fn short_names_are_secrets_as_words_and_not_as_ends_of_others() {
        let mut config = json!({
            "pass": "a", "user_pass": "b", "userPass": "c", "obfs.pwd": "d", "PWD": "e", "seed": "f", "key_pem": "g",
            "certKeyPem": "h", "key_content": "i", "KeyContent": "j",
            "bypass": ["seen"], "compass": "seen", "Bypass": "seen", "keyboard": "seen", "public_key_pem": "seen"
        });
        mask(&mut config);
        assert_eq!(
            config,
            json!({
                "pass": MASK, "user_pass": MASK, "userPass": MASK, "obfs.pwd": MASK, "PWD": MASK, "seed": MASK,
                "key_pem": MASK, "certKeyPem": MASK, "key_content": MASK, "KeyContent": MASK,
                "bypass": ["seen"], "compass": "seen", "Bypass": "seen", "keyboard": "seen", "public_key_pem": "seen"
            })
        );
    }

    #[test]
    fn ids_are_secrets_where_they_let_a_client_in() {
        let mut config = json!({
            "id": 7, "uuid": "seen",
            "inbounds": [{ "id": "seen", "settings": { "clients": [{ "id": "a", "email": "seen" }], "users": { "uuid": "b" } } }]
        });
        mask(&mut config);
        assert_eq!(
            config,
            json!({
                "id": 7, "uuid": "seen",
                "inbounds": [{ "id": "seen", "settings": { "clients": [{ "id": MASK, "email": "seen" }], "users": { "uuid": MASK } } }]
            })
        );
    }

    #[test]
    fn whoever_is_named_in_a_url_is_not_shown() {
        let mut config = json!({
            "api": "https://admin:s3cret@panel.test:8443/v1?x=1", "share": "vless://0b5c@node.test:443#a@b",
            "several": "http://a:b@c.test, socks5://d:e@f@g.test http://h.test/i@j", "mail": "ops@panel.test", "plain": "https://k.test/"
        });
        mask(&mut config);
        assert_eq!(
            config,
            json!({
                "api": "https://********@panel.test:8443/v1?x=1", "share": "vless://********@node.test:443#a@b",
                "several": "http://********@c.test, socks5://********@g.test http://h.test/i@j", "mail": "ops@panel.test",
                "plain": "https://k.test/"
            })
        );
    }
}
