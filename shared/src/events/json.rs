use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Parses a body. The error names the invalid field and contains no text from the body.
///
/// The fast path does not track the path of the current field. A body that fails is parsed a second
/// time with the path.
pub fn parse<T: DeserializeOwned>(body: &str) -> Result<T, Error> {
    serde_json::from_str(body).map_err(|first| {
        let mut json = serde_json::Deserializer::from_str(body);
        let (path, error) = match serde_path_to_error::deserialize::<_, T>(&mut json) {
            Err(error) => (error.path().clone(), error.into_inner()),
            // The value itself is valid, so the error is in the text that follows it.
            Ok(_) => return malformed(&first),
        };
        if !error.is_data() {
            return malformed(&error);
        }
        let text = error.to_string();
        Error::invalid("invalid_field", field(&path, &text), without_body(&text))
    })
}

/// The error for malformed JSON. The parser's message consists of constant texts, a line and a
/// column.
fn malformed(error: &serde_json::Error) -> Error {
    Error::invalid("malformed_json", ".", error.to_string())
}

/// The path of the invalid field. For a missing or repeated field, serde's path ends at the object,
/// and only the message contains the name. The name of an unknown field comes from the body, so it
/// is removed from the path.
fn field(path: &Path, text: &str) -> String {
    let mut known: Vec<Segment> = path
        .iter()
        .filter(|segment| !matches!(segment, Segment::Enum { .. }))
        .cloned()
        .collect();
    if text.starts_with("unknown field ") {
        known.pop_if(|segment| matches!(segment, Segment::Map { .. }));
    }
    let ours = ["missing field `", "duplicate field `"]
        .iter()
        .find_map(|begin| text.strip_prefix(begin));
    let ours = ours.and_then(|rest| Some(rest.split_once('`')?.0));
    if let Some(key) =
        ours.filter(|name| !matches!(known.last(), Some(Segment::Map { key }) if key == name))
    {
        known.push(Segment::Map {
            key: key.to_owned(),
        });
    }
    written(&known)
}

/// A path such as `usage[3].upload`; `.` for the whole body.
fn written(segments: &[Segment]) -> String {
    let mut path = String::new();
    for segment in segments {
        match segment {
            Segment::Seq { index } => path.extend(["[", &index.to_string(), "]"]),
            Segment::Map { key } if path.is_empty() => path.push_str(key),
            Segment::Map { key } => path.extend([".", key]),
            Segment::Enum { .. } | Segment::Unknown => path.push('?'),
        }
    }
    if path.is_empty() {
        String::from(".")
    } else {
        path
    }
}

/// The kind of error and the expectation in a message of serde, without the quoted text of the
/// body. The expectation comes after all quoted text and depends only on our types.
fn without_body(text: &str) -> String {
    const KINDS: [&str; 5] = [
        "invalid type",
        "invalid value",
        "invalid length",
        "unknown variant",
        "unknown field",
    ];
    let text = text.rsplit_once(" at line ").map_or(text, |(text, _)| text);
    if text.starts_with("missing field `") || text.starts_with("duplicate field `") {
        return text.to_owned();
    }
    let kind = KINDS
        .into_iter()
        .find(|kind| text.starts_with(kind))
        .unwrap_or("invalid value");
    match text
        .rsplit_once(", expected ")
        .filter(|_| text.starts_with(kind))
    {
        Some((_, expected)) => format!("{kind}; expected {}", in_json_terms(expected)),
        None => kind.to_owned(),
    }
}

/// Replaces the names of Rust types in serde's expectations.
fn in_json_terms(expected: &str) -> &str {
    match expected {
        "i32" => "an integer of at most 32 bits",
        "i64" => "an integer of at most 64 bits",
        "u32" => "a non-negative integer of at most 32 bits",
        "u64" | "usize" => "a non-negative integer of at most 64 bits",
        "f32" | "f64" => "a number",
        "a map" => "an object",
        "a sequence" => "a list",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

/// SHA-256 of the values in a payload. Distinguishes a repeated message from a different payload
/// with the same id.
///
/// It hashes parsed values instead of bytes, because a collector may serialize its JSON again for
/// each retry.
#[derive(Debug, Clone, Default)]
pub struct PayloadHash(Sha256);

impl PayloadHash {
    /// Adds a fixed-width value.
    pub fn add<const N: usize>(&mut self, bytes: [u8; N]) {
        self.0.update(bytes);
    }

    /// Adds a presence byte and the value, or zeros if it is absent.
    pub fn add_option<const N: usize>(&mut self, bytes: Option<[u8; N]>) {
        self.add([u8::from(bytes.is_some())]);
        self.add(bytes.unwrap_or([0; N]));
    }

    /// Adds the length of a text and the text.
    pub fn add_text(&mut self, text: &str) {
        self.add(text.len().to_le_bytes());
        self.0.update(text);
    }

    /// The 32 bytes of the hash.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rstest::rstest;
    use serde::Deserialize;
    use uuid::Uuid;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed, never read")]
    struct Body {
        #[serde(default)]
        id: Uuid,
        #[serde(default)]
        number: i32,
        #[serde(default)]
        word: Word,
        #[serde(default)]
        list: Vec<Body>,
        #[serde(default)]
        at: chrono::DateTime<chrono::Utc>,
        #[serde(default)]
        pair: (u8, u8),
        needed: bool,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        #[default]
        One,
        Two,
    }

    #[rstest]
    #[case(r#"{"needed":"canary"}"#, "needed", "invalid type; expected a boolean")]
    #[case(
        r#"{"needed":true,"number":"canary, expected canary"}"#,
        "number",
        "invalid type; expected an integer of at most 32 bits"
    )]
    #[case(
        r#"{"needed":true,"number":4711471147114711}"#,
        "number",
        "invalid value; expected an integer of at most 32 bits"
    )]
    #[case(
        r#"{"needed":true,"number":4711.4711}"#,
        "number",
        "invalid type; expected an integer of at most 32 bits"
    )]
    #[case(r#"{"needed":true,"id":"canary"}"#, "id", "invalid value")]
    #[case(r#"{"needed":true,"at":"canary"}"#, "at", "invalid value")]
    #[case(
        r#"{"needed":true,"word":"canary"}"#,
        "word",
        "unknown variant; expected `one` or `two`"
    )]
    #[case(
        r#"{"needed":true,"word":{"canary":1}}"#,
        "word",
        "unknown variant; expected `one` or `two`"
    )]
    #[case(
        r#"{"needed":true,"pair":[1]}"#,
        "pair",
        "invalid length; expected a tuple of size 2"
    )]
    #[case(
        r#"{"needed":true,"needed":true}"#,
        "needed",
        "duplicate field `needed`"
    )]
    #[case(r#"{"list":[]}"#, "needed", "missing field `needed`")]
    #[case(
        r#"{"needed":true,"list":[{}]}"#,
        "list[0].needed",
        "missing field `needed`"
    )]
    #[case(r#""canary""#, ".", "invalid type; expected an object")]
    fn an_error_names_the_field_and_the_expectation_without_the_body(
        #[case] body: &str,
        #[case] field: &str,
        #[case] message: &str,
    ) {
        let error = parse::<Body>(body).unwrap_err();
        assert_eq!(
            (error.code(), error.field(), error.message()),
            ("invalid_field", Some(field), message)
        );
    }

    #[rstest]
    #[case(r#"{"needed":true,"canary":1}"#, ".")]
    #[case(r#"{"needed":true,"list":[{"needed":true,"canary":1}]}"#, "list[0]")]
    #[case("{\"needed\":true,\"canary at line , expected `canary`\\n\":1}", ".")]
    fn an_unknown_field_is_not_named(#[case] body: &str, #[case] field: &str) {
        let error = parse::<Body>(body).unwrap_err();
        assert_eq!(
            (error.code(), error.field()),
            ("invalid_field", Some(field))
        );
        assert!(
            error
                .message()
                .starts_with("unknown field; expected one of `id`, `number`"),
            "{error}"
        );
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    #[rstest]
    #[case("{\"needed\":canary}")]
    #[case("{\"needed\":true} canary")]
    #[case("{\"canary")]
    #[case("{\"needed\":true,\"id\":\"\\ucanary\"}")]
    fn malformed_json_is_not_quoted(#[case] body: &str) {
        let error = parse::<Body>(body).unwrap_err();
        assert_eq!((error.code(), error.field()), ("malformed_json", Some(".")));
        assert!(!error.to_string().contains("canary"), "{error}");
        assert!(parse::<HashMap<String, bool>>(body).is_err());
    }
}
