//! Tolerant reading of the JSON that node software sends.
//!
//! A body is read field by field, and each value stays text until it is needed. A value of an
//! unexpected type therefore harms no other value, no number is out of the parser's range, and a
//! large body takes little memory. A field that is given twice is read twice.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::de::StrRead;
use serde_json::value::RawValue;

use crate::error::Error;

/// What a JSON text contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A list or an object that was read.
    Read,
    /// Nothing: no text, `null`, an empty list, an empty object or an empty string. PHP writes an
    /// empty object as an empty list, and Go writes a map that was never set as `null`.
    Empty,
    /// Another value, which was not read.
    Other,
}

/// The text of a body, without the byte order mark. Fails if the body is not UTF-8.
pub fn text(body: &[u8]) -> Result<&str, Error> {
    let text = std::str::from_utf8(body);
    let text = text.map_err(|_| Error::invalid("malformed_json", ".", "is not UTF-8"))?;
    Ok(text.trim_start_matches('\u{feff}'))
}

/// Calls `each` for every field of the object in `text`, in their order. Fails if the text is not
/// valid JSON, even if some fields were read before.
pub fn each_field<'a>(text: &'a str, each: impl FnMut(&str, &'a RawValue)) -> Result<Shape, Error> {
    if !text.trim_start().starts_with('{') {
        return other_shape(text);
    }
    read(text, |json| json.deserialize_map(Fields { each, count: 0 }))
}

/// Calls `each` for every element of the list in `text`, or for every value of an object, because
/// PHP writes a list with gaps as an object. Fails if the text is not valid JSON.
pub fn each_element<'a>(text: &'a str, mut each: impl FnMut(&'a RawValue)) -> Result<Shape, Error> {
    match text.trim_start().chars().next() {
        Some('{') => return each_field(text, |_, value| each(value)),
        Some('[') => {}
        _ => return other_shape(text),
    }
    read(text, |json| {
        json.deserialize_seq(Elements { each, count: 0 })
    })
}

/// Reads the whole text with `visit`, which returns the number of fields or elements.
fn read<'a>(
    text: &'a str,
    visit: impl FnOnce(&mut serde_json::Deserializer<StrRead<'a>>) -> serde_json::Result<usize>,
) -> Result<Shape, Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let count = visit(&mut json).and_then(|count| json.end().map(|()| count));
    match count.map_err(|error| malformed(&error))? {
        0 => Ok(Shape::Empty),
        _ => Ok(Shape::Read),
    }
}

/// The shape of a text that is not the expected list or object.
fn other_shape(text: &str) -> Result<Shape, Error> {
    if text.trim().is_empty() {
        return Ok(Shape::Empty);
    }
    let value: &RawValue = serde_json::from_str(text).map_err(|error| malformed(&error))?;
    let list = value.get().strip_prefix('[');
    let inside = list.and_then(|list| list.strip_suffix(']'));
    let is_empty = matches!(value.get(), "null" | "\"\"")
        || inside.is_some_and(|inside| inside.trim().is_empty());
    Ok(if is_empty { Shape::Empty } else { Shape::Other })
}

/// The parser's messages about the syntax consist of constant texts, a line and a column.
fn malformed(error: &serde_json::Error) -> Error {
    let message = if error.is_data() {
        "is not valid JSON".to_owned()
    } else {
        error.to_string()
    };
    Error::invalid("malformed_json", ".", message)
}

struct Fields<F> {
    each: F,
    count: usize,
}

/// The name of a field. It is copied only if it contains escaped characters.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, F: FnMut(&str, &'de RawValue)> Visitor<'de> for Fields<F> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<usize, A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            (self.each)(&name, map.next_value()?);
            self.count = self.count.saturating_add(1);
        }
        Ok(self.count)
    }
}

struct Elements<F> {
    each: F,
    count: usize,
}

impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for Elements<F> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<usize, A::Error> {
        while let Some(element) = list.next_element()? {
            (self.each)(element);
            self.count = self.count.saturating_add(1);
        }
        Ok(self.count)
    }
}

/// Why a value is not a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotWhole {
    /// It is not a number.
    NotANumber,
    /// It has decimal places.
    Fraction,
}

/// The text of a string or a number. `None` for another value.
pub fn scalar(value: &RawValue) -> Option<Cow<'_, str>> {
    let text = value.get();
    if text.starts_with('"') {
        return serde_json::from_str::<Name<'_>>(text)
            .ok()
            .map(|Name(text)| text);
    }
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        .then_some(Cow::Borrowed(text))
}

/// A whole number, written as a number or in a string, such as `1000`, `1e3`, `1000.0` or `"1000"`.
/// A number that does not fit is replaced by the nearest one that does.
pub fn whole(value: &RawValue) -> Result<i64, NotWhole> {
    let text = scalar(value).ok_or(NotWhole::NotANumber)?;
    let text = text.trim();
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let number: f64 = text.parse().map_err(|_| NotWhole::NotANumber)?;
    if number.is_nan() {
        return Err(NotWhole::NotANumber);
    }
    if number.is_finite() && number.fract() != 0.0 {
        return Err(NotWhole::Fraction);
    }
    Ok(saturated(number))
}

/// A finite number, written as a number or in a string.
pub fn float(value: &RawValue) -> Option<f64> {
    let number: f64 = scalar(value)?.trim().parse().ok()?;
    number.is_finite().then_some(number)
}

/// The nearest whole number.
fn saturated(number: f64) -> i64 {
    // The text of a float has no exponent.
    let nearest = if number < 0.0 { i64::MIN } else { i64::MAX };
    number.trunc().to_string().parse().unwrap_or(nearest)
}

/// A count, rounded down. `None` if the value is not a number of at least zero.
pub fn count(value: &RawValue) -> Option<i64> {
    float(value)
        .filter(|number| *number >= 0.0)
        .map(|number| whole(value).unwrap_or_else(|_| saturated(number)))
}
