//! The log of a test, as Lambda would write it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::dispatcher::{DefaultGuard, set_default};
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::LogFormat;
use crate::telemetry::dispatch;

/// What this thread logs, until it is dropped.
#[derive(Debug)]
pub struct CapturedLog {
    text: Arc<Mutex<Vec<u8>>>,
    _listening: DefaultGuard,
}

#[derive(Clone)]
struct Keeper(Arc<Mutex<Vec<u8>>>);

impl Write for Keeper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl CapturedLog {
    /// Begins at a level, in the format of Lambda.
    pub fn at(level: &str) -> Self {
        let text = Arc::default();
        let keeper = Keeper(Arc::clone(&text));
        let writer = BoxMakeWriter::new(move || keeper.clone());
        let listening = set_default(&dispatch(level, LogFormat::Json, writer, None));
        Self { text, _listening: listening }
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }

    /// Each line, which must be JSON.
    pub fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
