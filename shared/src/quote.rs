//! Text from callers, in a form in which it may be returned to them.

use std::fmt;

/// Maximum number of characters of a quoted text.
pub const MAX_QUOTED: usize = 64;

/// A caller's text, escaped and truncated to [`MAX_QUOTED`] characters. It contains no line breaks
/// or other control characters. `Debug` omits the text, because `Debug` output ends up in the log.
#[derive(Clone, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    /// Escapes `text` and truncates it to [`MAX_QUOTED`] characters.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut escaped = text.chars().flat_map(char::escape_debug);
        let mut quoted: String = escaped.by_ref().take(MAX_QUOTED).collect();
        if escaped.next().is_some() {
            quoted.pop();
            quoted.push('…');
        }
        Self(quoted)
    }

    /// The text after it was escaped and truncated.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Quoted(..)")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::unchanged("limit", "limit")]
    #[case::escaped("a\"\n\u{1b}[31m", r#"a\"\n\u{1b}[31m"#)]
    #[case::bidirectional_override("\u{202e}x", r"\u{202e}x")]
    #[case::of_maximum_length(&"x".repeat(64), &"x".repeat(64))]
    #[case::truncated(&"x".repeat(65), &format!("{}…", "x".repeat(63)))]
    #[case::truncated_after_escaping(&"\0".repeat(40), &format!("{}\\…", "\\0".repeat(31)))]
    fn a_quoted_text_is_escaped_and_has_at_most_64_characters(
        #[case] text: &str,
        #[case] quoted: &str,
    ) {
        assert_eq!(Quoted::of(text).as_str(), quoted);
        assert!(quoted.chars().count() <= MAX_QUOTED);
    }
}
