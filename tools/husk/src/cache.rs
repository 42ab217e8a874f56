//! Images kept from run to run, by fingerprint.
//!
//! An image is written under another name and renamed when it is whole, so there are no damaged ones. Several runs at
//! once wait for the one that writes. The directory is kept under a bound: the images unused for longest go first.

use crate::bundle::{Bundle, Fingerprint};
use crate::error::failure;
use crate::image::{self, ImageError, Layout, Options, Progress};
use anyhow::{Context, Result};
use rustix::fs::FlockOperation;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bytes of images that are kept.
pub const LIMIT: u64 = 4 << 30;

/// A directory of images.
#[derive(Clone, Debug)]
pub struct Cache {
    dir: PathBuf,
}

/// An image in the cache.
#[derive(Clone, Debug)]
pub struct Cached {
    /// The file.
    pub path: PathBuf,
    /// Bytes it takes up on the host's disk.
    pub bytes: u64,
    /// When it was last used.
    pub used: SystemTime,
}

impl Cache {
    /// The user's cache: `$XDG_CACHE_HOME/husk`, else `~/.cache/husk`.
    ///
    /// # Errors
    /// When there is no such place or it cannot be made.
    pub fn of_user() -> Result<Self> {
        let given = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = given("XDG_CACHE_HOME").or_else(|| given("HOME").map(|home| home.join(".cache")));
        let base = base.ok_or_else(|| {
            failure(
                "there is no directory for cached images",
                "set HOME or XDG_CACHE_HOME to an absolute path",
            )
        })?;
        Self::at(base.join("husk"))
    }

    /// A cache in this directory, which is made if it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn at(dir: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&dir).map_err(|error| {
            failure(
                format!("cannot make the cache directory {}: {error}", dir.display()),
                "set XDG_CACHE_HOME to a directory that can be written",
            )
        })?;
        Ok(Self { dir })
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Opens the image of a bundle, writing it first if it is not there.
    ///
    /// # Errors
    /// When the image cannot be written.
    pub fn image(&self, bundle: &Bundle, progress: Progress<'_>) -> Result<File> {
        let fingerprint = bundle.fingerprint();
        let path = self.dir.join(format!("{fingerprint}.img"));
        if let Some(file) = open(&path)? {
            return Ok(file);
        }
        let lock = self.lock(&fingerprint)?;
        if let Some(file) = open(&path)? {
            return Ok(file);
        }
        let mut builder = tempfile::Builder::new();
        let temporary = builder.prefix(".new-").suffix(".img").tempfile_in(&self.dir);
        let temporary = temporary.map_err(|error| self.no_room(bundle, ImageError::Write(error)))?;
        write_image(bundle, &fingerprint, temporary.as_file(), progress)
            .map_err(|error| self.no_room(bundle, error))?;
        temporary
            .persist(&path)
            .with_context(|| format!("cannot rename the new image to {}", path.display()))?;
        let file = open(&path)?.context("the image that was just written is gone")?;
        drop(lock);
        // Old images and leftovers are a matter of tidiness, not of this run.
        let _ = self.prune(LIMIT, Some(&path));
        Ok(file)
    }

    /// Writes an image that is gone when the file is closed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn unkept_image(&self, bundle: &Bundle, progress: Progress<'_>) -> Result<File> {
        let file = tempfile::tempfile_in(&self.dir)
            .map_err(|error| self.no_room(bundle, ImageError::Write(error)))?;
        write_image(bundle, &bundle.fingerprint(), &file, progress)
            .map_err(|error| self.no_room(bundle, error))?;
        Ok(file)
    }

    fn no_room(&self, bundle: &Bundle, error: ImageError) -> anyhow::Error {
        let ImageError::Write(source) = &error else { return error.into() };
        let hint = match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "free some space (`husk cache clear` removes old images), or set XDG_CACHE_HOME to a larger disk"
            }
            _ => "set XDG_CACHE_HOME to a directory that can be written",
        };
        let megabytes = bundle.bytes().div_ceil(1 << 20);
        failure(
            format!("cannot write the image of {megabytes} MiB in {}: {source}", self.dir.display()),
            hint,
        )
    }

    /// Waits until no other process writes this image.
    fn lock(&self, fingerprint: &Fingerprint) -> Result<File> {
        let path = self.dir.join(format!("{fingerprint}.lock"));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| {
            failure(
                format!("cannot write in the cache directory {}: {error}", self.dir.display()),
                "set XDG_CACHE_HOME to a directory that can be written",
            )
        })?;
        loop {
            match rustix::fs::flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(file),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).with_context(|| format!("cannot lock {}", path.display())),
            }
        }
    }

    /// The images, the one unused for longest first.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Cached>> {
        let mut images = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "img")
                && let Ok(meta) = entry.metadata()
            {
                let used = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                images.push(Cached { path, bytes: meta.blocks() * 512, used });
            }
        }
        images.sort_by_key(|image| image.used);
        Ok(images)
    }

    /// Removes images until the rest takes up no more than `limit` bytes; never `keep`. Also removes what runs that were
    /// killed left behind. Gives the number and the bytes of what was removed.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn prune(&self, limit: u64, keep: Option<&Path>) -> Result<(usize, u64)> {
        let images = self.list()?;
        let mut total: u64 = images.iter().map(|image| image.bytes).sum();
        let (mut count, mut freed) = (0, 0);
        for image in images {
            let unfinished =
                image.path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            let stale = unfinished && image.used.elapsed().is_ok_and(|age| age.as_secs() > 3600);
            let surplus = !unfinished && total > limit && keep != Some(&image.path);
            if (stale || surplus) && std::fs::remove_file(&image.path).is_ok() {
                // A lock someone holds stays valid for them without its name; the next one makes a new one.
                let _ = std::fs::remove_file(image.path.with_extension("lock"));
                total -= image.bytes;
                count += 1;
                freed += image.bytes;
            }
        }
        Ok((count, freed))
    }
}

/// Opens an image and marks it as used now; none if it is not there.
fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => {
            // Only the order of removal depends on this.
            let _ = file.set_modified(SystemTime::now());
            Ok(Some(file))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes the image of a bundle into an empty file.
///
/// # Errors
/// When a file cannot be read or the image cannot be written.
pub fn write_image(
    bundle: &Bundle,
    fingerprint: &Fingerprint,
    out: &File,
    progress: Progress<'_>,
) -> Result<(), ImageError> {
    let options = Options { uuid: fingerprint.uuid(), ..Options::default() };
    let layout = Layout::plan(bundle.tree(), &options)?;
    image::write(bundle.tree(), &layout, &options, out, progress)
}
