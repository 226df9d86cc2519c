//! The data folder: one runner at a time, and the secrets that live as long as the data: the one that names events, and
//! the keys that seal the credentials of stores.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use evenstock_runtime::random_bytes;
use evenstock_store::Keyring;

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
    /// Keys that seal secrets, one a line; the last one seals.
    pub(crate) seal_keys: String,
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
        let seal_keys = seal_keys(&folder.join("seal.key")).map_err(unwritable)?;
        Ok(Self { folder: folder.to_owned(), event_id_key, seal_keys, _lock: lock })
    }

    /// A file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The key in the file, made when there is none. With another key, known events would be applied again.
fn event_id_key(file: &Path) -> io::Result<String> {
    match read(file)? {
        None => create(file, new_key()),
        Some(key) if key.len() >= 32 => Ok(key),
        Some(_) => Err(io::Error::other("event-id.key is damaged; restore it, or remove the whole folder")),
    }
}

/// The keys in the file, made when there are none. Without them nothing that they sealed opens again.
fn seal_keys(file: &Path) -> io::Result<String> {
    match read(file)? {
        None => create(file, new_seal_keys()?),
        Some(keys) if Keyring::parse(&keys).is_ok() => Ok(keys),
        Some(_) => Err(io::Error::other("seal.key is damaged; restore it, or remove the whole folder")),
    }
}

fn read(file: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file that only its owner can read.
fn create(file: &Path, secret: String) -> io::Result<String> {
    let fresh = file.with_extension("new");
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(&fresh)?;
    written.write_all(secret.as_bytes())?;
    written.sync_all()?;
    // A rename is whole or not at all, so no crash leaves half a key.
    fs::rename(fresh, file)?;
    Ok(secret)
}

/// 244 random bits.
pub(crate) fn new_key() -> String {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}

/// One key that seals, of 256 random bits.
pub(crate) fn new_seal_keys() -> io::Result<String> {
    let key = random_bytes::<32>().ok_or_else(|| io::Error::other("the system gives no randomness"))?;
    Ok(format!("1:{}\n", hex::encode(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_outlives_the_runner_and_one_runner_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = Home::open(folder.path()).unwrap();
        assert!(matches!(Home::open(folder.path()), Err(HomeError::InUse(_))));
        let keys = (first.event_id_key.clone(), first.seal_keys.clone());
        drop(first);
        let second = Home::open(folder.path()).unwrap();
        assert_eq!((second.event_id_key.clone(), second.seal_keys), keys);
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        drop(Home::open(folder.path()).unwrap());
        for name in ["event-id.key", "seal.key"] {
            let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn added_line_rotates_the_keys() {
        let folder = tempfile::tempdir().unwrap();
        let mut keys = Home::open(folder.path()).unwrap().seal_keys;
        keys.push_str(&new_seal_keys().unwrap().replace("1:", "2:"));
        fs::write(folder.path().join("seal.key"), &keys).unwrap();
        assert_eq!(Home::open(folder.path()).unwrap().seal_keys, keys);
    }

    #[test]
    fn damaged_key_is_an_error_and_never_replaced() {
        for name in ["event-id.key", "seal.key"] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(name), "short").unwrap();
            assert!(matches!(Home::open(folder.path()), Err(HomeError::Unwritable(..))));
            assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), "short");
        }
    }
}
