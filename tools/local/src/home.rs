//! The data folder: one runner at a time, and the secret that names events for as long as the data lives.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HomeError {
    /// It cannot be made or written to.
    #[error("cannot write to the data folder {0}")]
    Unwritable(PathBuf, #[source] io::Error),
    /// Another runner has it.
    #[error("the data folder {0} is in use by another evenstock-local")]
    InUse(PathBuf),
}

/// A data folder that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Home {
    folder: PathBuf,
    /// Secret that names events.
    pub(crate) event_id_key: String,
    _lock: File,
}

impl Home {
    /// Takes the folder, making it if need be.
    pub(crate) fn open(folder: &Path) -> Result<Self, HomeError> {
        let unwritable = |error| HomeError::Unwritable(folder.to_owned(), error);
        fs::create_dir_all(folder).map_err(unwritable)?;
        let lock = File::create(folder.join("lock")).map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(HomeError::InUse(folder.to_owned())),
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        let event_id_key = event_id_key(&folder.join("event-id.key")).map_err(unwritable)?;
        Ok(Self { folder: folder.to_owned(), event_id_key, _lock: lock })
    }

    /// A file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The key in the file, made when there is none. With another key, known events would be applied again.
fn event_id_key(file: &Path) -> io::Result<String> {
    match fs::read_to_string(file) {
        Ok(key) if key.len() >= 32 => return Ok(key),
        Ok(_) => return Err(io::Error::other("event-id.key is damaged; restore it, or remove the whole folder")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let key = new_key();
    let fresh = file.with_extension("new");
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(&fresh)?;
    written.write_all(key.as_bytes())?;
    written.sync_all()?;
    // A rename is whole or not at all, so no crash leaves half a key.
    fs::rename(fresh, file)?;
    Ok(key)
}

/// 244 random bits.
pub(crate) fn new_key() -> String {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_outlives_the_runner_and_one_runner_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = Home::open(folder.path()).unwrap();
        assert!(matches!(Home::open(folder.path()), Err(HomeError::InUse(_))));
        let key = first.event_id_key.clone();
        drop(first);
        assert_eq!(Home::open(folder.path()).unwrap().event_id_key, key);
    }

    #[test]
    fn damaged_key_is_an_error_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("event-id.key"), "short").unwrap();
        assert!(matches!(Home::open(folder.path()), Err(HomeError::Unwritable(..))));
        assert_eq!(fs::read_to_string(folder.path().join("event-id.key")).unwrap(), "short");
    }
}
