//! Text of callers, in the form in which it may be repeated to them.

use std::fmt;

/// The most characters of a caller's text that are repeated.
pub const MAX_QUOTED: usize = 64;

/// A caller's text, cut to [`MAX_QUOTED`] characters and escaped: it holds no line end and no other
/// control, and cannot fill a log. `Debug` leaves it out, as what is printed for a developer ends
/// in the log.
#[derive(Clone, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    /// Quotes `text`.
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

    /// The quoted text.
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
    #[case::as_it_is("limit", "limit")]
    #[case::escaped("a\"\n\u{1b}[31m", r#"a\"\n\u{1b}[31m"#)]
    #[case::what_turns_the_line_around("\u{202e}x", r"\u{202e}x")]
    #[case::of_the_greatest_length(&"x".repeat(64), &"x".repeat(64))]
    #[case::cut(&"x".repeat(65), &format!("{}…", "x".repeat(63)))]
    #[case::cut_after_it_is_escaped(&"\0".repeat(40), &format!("{}\\…", "\\0".repeat(31)))]
    fn a_quoted_text_is_escaped_and_64_characters_at_most(
        #[case] text: &str,
        #[case] quoted: &str,
    ) {
        assert_eq!(Quoted::of(text).as_str(), quoted);
        assert!(quoted.chars().count() <= MAX_QUOTED);
    }
}
