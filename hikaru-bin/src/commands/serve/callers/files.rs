//! Files that may be replaced or written anew while they are read: what each was, so that a change is noticed, and whether it was whole.
//! What is in them is read elsewhere.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::Read as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::fs::OFlags;

/// What a file is, as far as a change of it shows. Symbolic links are followed: a mounted Secret is replaced by another link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// It is there.
    There {
        /// Its device and its number there.
        place: (u64, u64),
        /// Its length in bytes.
        size: u64,
        /// When it was written, and when anything of it changed, such as who may read it: seconds and nanoseconds since 1970.
        times: [(i64, i64); 2],
    },
    /// It cannot be found.
    Gone(std::io::ErrorKind),
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Self {
        match std::fs::metadata(path) {
            Ok(metadata) => Self::from(&metadata),
            Err(error) => Self::Gone(error.kind()),
        }
    }

    /// Whether it was written less than this long ago, or later than now.
    fn is_younger_than(&self, age: Duration) -> bool {
        let Self::There { times, .. } = self else {
            return false;
        };
        let [(written, _), _] = *times;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let limit = now.unwrap_or_default().saturating_sub(age);
        u64::try_from(written).is_ok_and(|written| written >= limit.as_secs())
    }
}

impl From<&Metadata> for Stamp {
    fn from(file: &Metadata) -> Self {
        Self::There {
            place: (file.dev(), file.ino()),
            size: file.size(),
            times: [
                (file.mtime(), file.mtime_nsec()),
                (file.ctime(), file.ctime_nsec()),
            ],
        }
    }
}

/// The files that were read for one purpose.
#[derive(Default)]
pub(super) struct Files {
    /// Each, as it was before it was read.
    pub(super) stamps: Vec<(PathBuf, Stamp)>,
    /// One of them changed while it was read: what was read may be half of it.
    pub(super) has_changed: bool,
}

impl Files {
    /// Whether one of them was written less than this long ago.
    pub(super) fn are_younger_than(&self, age: Duration) -> bool {
        let mut stamps = self.stamps.iter();
        stamps.any(|(_, stamp)| stamp.is_younger_than(age))
    }

    /// The text of a file.
    ///
    /// # Errors
    /// Why there is none: it cannot be read, is no file, is longer than this, or is not UTF-8. It names the path.
    pub(super) fn text(&mut self, path: &Path, longest: usize) -> Result<String, String> {
        let stamp = Stamp::of(path);
        self.stamps.push((path.to_owned(), stamp.clone()));
        let named = |why: String| format!("{}: {why}", path.display());
        let cannot = |error: std::io::Error| named(format!("cannot be read: {error}"));
        // The opening of a pipe would wait for its writer.
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(nonblocking)
            .open(path);
        let file = opened.map_err(cannot)?;
        let metadata = file.metadata().map_err(cannot)?;
        if !metadata.is_file() {
            let found = match metadata.is_dir() {
                true => "a directory",
                false => "a pipe or a device",
            };
            return Err(named(format!("expected a file, found {found}")));
        }
        let bytes = at_most(&file, longest).map_err(cannot)?;
        let after = file.metadata().map_err(cannot)?;
        self.has_changed |= Stamp::from(&after) != stamp;
        if bytes.len() > longest {
            return Err(named(format!(
                "expected at most {longest} bytes, found more"
            )));
        }
        String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            named(format!("expected UTF-8, found another byte at {at}"))
        })
    }
}

/// A byte more than allowed tells that there are too many.
fn at_most(file: &File, longest: usize) -> std::io::Result<Vec<u8>> {
    let most = u64::try_from(longest).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
