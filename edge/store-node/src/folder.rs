//! The data folder: one node at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// It cannot be made or written to.
    #[error("cannot write to the data folder {}", .0.display())]
    Unwritable(PathBuf, #[source] io::Error),
    /// Another node has it.
    #[error("the data folder {} is in use by another evenstock-store-node", .0.display())]
    InUse(PathBuf),
}

/// A data folder that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes the folder, making it if need be.
    pub(crate) fn open(path: &Path) -> Result<Self, FolderError> {
        let unwritable = |error| FolderError::Unwritable(path.to_owned(), error);
        fs::create_dir_all(path).map_err(unwritable)?;
        let lock = File::create(path.join("lock")).map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(unwritable(error)),
        }
    }

    /// A file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}
