//! What was called, written down for the check that no role allows more: a folder of files, one a process, each line a
//! kind of call that this process made for the first time.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::error;

use super::Call;

/// A kind of call that was made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Made {
    /// The logical id of the function that made it.
    pub function: String,
    /// The action.
    pub action: String,
    /// The resource.
    pub resource: String,
    /// The patterns of the permission's conditions that it fitted.
    pub under: Vec<String>,
}

/// Where this process writes down what is called.
#[derive(Debug)]
pub struct Record {
    file: Mutex<File>,
    noted: Mutex<BTreeSet<Made>>,
}

impl Record {
    /// A file of this process in `folder`.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.jsonl", uuid::Uuid::new_v4()));
        let file = OpenOptions::new().create_new(true).append(true).open(path)?;
        Ok(Self { file: Mutex::new(file), noted: Mutex::default() })
    }

    /// Everything that the files of a folder hold.
    ///
    /// # Errors
    /// The folder cannot be read, or holds something else.
    pub fn read(folder: &Path) -> std::io::Result<BTreeSet<Made>> {
        let mut all = BTreeSet::new();
        for file in std::fs::read_dir(folder)? {
            // A process that was killed may have left a part of a line.
            let text = std::fs::read_to_string(file?.path())?;
            all.extend(text.lines().filter_map(|line| serde_json::from_str::<Made>(line).ok()));
        }
        Ok(all)
    }

    /// Writes a kind of call down, once. At once, because processes under test are killed.
    pub(super) fn note(&self, function: &str, call: &Call, mut under: Vec<String>) {
        under.sort();
        under.dedup();
        let made =
            Made { function: function.to_owned(), action: call.action.clone(), resource: call.resource.clone(), under };
        if !self.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(made.clone()) {
            return;
        }
        let line = serde_json::to_string(&made).map_err(std::io::Error::from);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(cause) = line.and_then(|line| file.write_all(format!("{line}\n").as_bytes())) {
            error!(%cause, "a call is not written down");
        }
    }
}
