//! Captures what a test logs.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use shared::telemetry;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// The lines that this thread logs during the lifetime of this value.
#[derive(Debug)]
pub struct Log {
    text: Text,
    _guard: DefaultGuard,
}

#[derive(Debug, Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Starts to capture at the level `INFO`, as JSON.
    #[must_use]
    pub fn begin() -> Self {
        let text = Text::default();
        let writer = text.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || writer.clone())
            .finish();
        Self {
            text,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// Starts to capture every level in the format of the functions, whatever `RUST_LOG` says.
    #[must_use]
    pub fn of_everything() -> Self {
        let text = Text::default();
        let writer = text.clone();
        let subscriber =
            telemetry::subscriber(Targets::new().with_default(LevelFilter::TRACE), move || {
                writer.clone()
            });
        Self {
            text,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// Takes the text logged so far.
    #[must_use]
    pub fn take_text(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.text.0.lock().unwrap())).unwrap()
    }

    /// Takes the lines logged so far and returns those whose message starts with `message`.
    #[must_use]
    pub fn take(&self, message: &str) -> Vec<Value> {
        let text = self.take_text();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter(|line| {
                line["message"]
                    .as_str()
                    .unwrap_or_default()
                    .starts_with(message)
            })
            .collect()
    }
}
