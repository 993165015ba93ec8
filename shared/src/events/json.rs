use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Parses a body; the error names the offending field.
///
/// The fast path keeps no track of where it is: only a body that fails is read a second time, with the path.
pub fn parse<T: DeserializeOwned>(body: &str) -> Result<T, Error> {
    serde_json::from_str(body).map_err(|first| {
        let mut json = serde_json::Deserializer::from_str(body);
        let (path, error) = match serde_path_to_error::deserialize::<_, T>(&mut json) {
            Err(error) => (error.path().to_string(), error.into_inner()),
            // Read to its end without a fault: what follows the value is the fault.
            Ok(_) => (String::from("."), first),
        };
        if !error.is_data() {
            return Error::invalid("malformed_json", ".", error.to_string());
        }
        let said = error.to_string();
        Error::invalid("invalid_field", named(path, &said), said)
    })
}

/// The path of the field at fault. That of one that is missing or not known ends at what should hold it; its name is
/// only in what serde says.
fn named(path: String, said: &str) -> String {
    let after = ["missing field `", "unknown field `"].iter().find_map(|begin| said.strip_prefix(begin));
    match after.and_then(|rest| rest.split_once('`')) {
        Some((name, _)) if path == "." || path == name => name.to_owned(),
        Some((name, _)) if !path.ends_with(&format!(".{name}")) => format!("{path}.{name}"),
        _ => path,
    }
}

/// SHA-256 over what a payload means, to tell a repeat from another payload under the same id.
///
/// It is fed with parsed values rather than bytes: a collector may write its JSON anew at each retry.
#[derive(Debug, Clone, Default)]
pub struct PayloadHash(Sha256);

impl PayloadHash {
    /// Adds a fixed-width value.
    pub fn add<const N: usize>(&mut self, bytes: [u8; N]) {
        self.0.update(bytes);
    }

    /// Adds a text, its length first.
    pub fn add_text(&mut self, text: &str) {
        self.0.update(text.len().to_le_bytes());
        self.0.update(text);
    }

    /// Adds a value that may be absent; `width` bytes are taken either way.
    pub fn add_option<const N: usize>(&mut self, bytes: Option<[u8; N]>) {
        self.add([u8::from(bytes.is_some())]);
        self.add(bytes.unwrap_or([0; N]));
    }

    /// The 32 bytes.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}
