//! Entity tags, and what the panels compare them with.

use sha2::{Digest, Sha256};

/// A tag of a response: 32 hexadecimal digits. Two responses have the same tag if and only if their
/// content is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(String);

impl Tag {
    /// The tag of `content`, which is a body, or what the body depends on.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        let mut digits = format!("{:x}", Sha256::digest(content));
        digits.truncate(32);
        Self(digits)
    }

    /// The `ETag` of a `UniProxy` response, such as `"9f2c…"`.
    #[must_use]
    pub fn strong(&self) -> String {
        format!("\"{}\"", self.0)
    }

    /// The `ETag` of a `mod_mu` response, such as `W/"9f2c…"`.
    #[must_use]
    pub fn weak(&self) -> String {
        format!("W/\"{}\"", self.0)
    }

    /// Whether `If-None-Match` contains the tag, as `V2board` compares. The response is then 304.
    /// Some clients send an empty header before they know a tag.
    #[must_use]
    pub fn is_contained_in(&self, if_none_match: Option<&str>) -> bool {
        if_none_match.is_some_and(|header| header.contains(&self.0))
    }

    /// Whether `If-None-Match` is the tag, weak or strong, quoted or not, as `SSPanel` compares.
    /// The response is then 304.
    #[must_use]
    pub fn is(&self, if_none_match: Option<&str>) -> bool {
        let Some(header) = if_none_match.map(str::trim) else {
            return false;
        };
        let quoted = header.strip_prefix("W/").unwrap_or(header);
        let inner = quoted
            .strip_prefix('"')
            .and_then(|tag| tag.strip_suffix('"'));
        inner.unwrap_or(quoted) == self.0
    }
}
