//! /proc/PID/fd and /proc/PID/fdinfo.

use crate::args::Fd;
use crate::file::{FileDescription, anon};
use crate::task::Task;
use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::str;
use husk_abi::{Errno, err};
use husk_fs::{FileKind, Location, MagicLink, OpenFlags, PseudoDir, PseudoFile, PseudoNode};

/// A file number in text: no sign, no leading zeros.
fn number(name: &[u8]) -> Option<i32> {
    let text = str::from_utf8(name).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn numbers(task: &Weak<Task>) -> Vec<Vec<u8>> {
    let Some(task) = task.upgrade() else { return Vec::new() };
    task.files().open_numbers().iter().map(|fd| format!("{}", fd.0).into_bytes()).collect()
}

/// The directory of links to open files.
pub(super) struct FdDir(pub(super) Weak<Task>);

impl PseudoDir for FdDir {
    fn mode(&self) -> u32 {
        0o500
    }

    fn owner(&self) -> (u32, u32) {
        super::process::owner(&self.0)
    }

    fn lookup(&self, name: &[u8]) -> Option<PseudoNode> {
        let fd = Fd(number(name)?);
        let task = self.0.upgrade()?;
        task.files().get_any(fd).ok()?;
        Some(PseudoNode::MagicLink(Arc::new(FdLink { task: self.0.clone(), fd })))
    }

    fn list(&self) -> Vec<(Vec<u8>, FileKind)> {
        numbers(&self.0).into_iter().map(|name| (name, FileKind::Symlink)).collect()
    }
}

struct FdLink {
    task: Weak<Task>,
    fd: Fd,
}

impl FdLink {
    fn description(&self) -> Result<(Arc<Task>, Arc<FileDescription>), Errno> {
        let task = self.task.upgrade().ok_or(Errno::ENOENT.here())?;
        let description = task.files().get_any(self.fd).map_err(|_| Errno::ENOENT.here())?;
        Ok((task, description))
    }
}

impl MagicLink for FdLink {
    fn mode(&self) -> u32 {
        let Ok((_, description)) = self.description() else { return 0 };
        let flags = description.flags();
        let read = if flags.reads() && !flags.contains(OpenFlags::PATH) { 0o500 } else { 0 };
        let write = if flags.writes() { 0o300 } else { 0 };
        read | write
    }

    fn owner(&self) -> (u32, u32) {
        super::process::owner(&self.task)
    }

    fn text(&self) -> Result<Vec<u8>, Errno> {
        let (task, description) = self.description()?;
        Ok(description.path(&task.fs().root()))
    }

    fn target(&self) -> Result<Location, Errno> {
        let (_, description) = self.description()?;
        if let Some(location) = description.location() {
            return Ok(location.clone());
        }
        description.inode().and_then(anon::location).ok_or(Errno::ENXIO.here())
    }
}

/// The directory of what there is to know about open files.
pub(super) struct FdInfoDir(pub(super) Weak<Task>);

impl PseudoDir for FdInfoDir {
    fn owner(&self) -> (u32, u32) {
        super::process::owner(&self.0)
    }

    fn lookup(&self, name: &[u8]) -> Option<PseudoNode> {
        let fd = Fd(number(name)?);
        let task = self.0.upgrade()?;
        task.files().get_any(fd).ok()?;
        Some(PseudoNode::File(Arc::new(FdInfo { task: self.0.clone(), fd })))
    }

    fn list(&self) -> Vec<(Vec<u8>, FileKind)> {
        numbers(&self.0).into_iter().map(|name| (name, FileKind::Regular)).collect()
    }
}

struct FdInfo {
    task: Weak<Task>,
    fd: Fd,
}

impl PseudoFile for FdInfo {
    fn owner(&self) -> (u32, u32) {
        super::process::owner(&self.task)
    }

    fn read(&self) -> Result<Vec<u8>, Errno> {
        let Some(task) = self.task.upgrade() else { return err!(ENOENT) };
        let descriptor = task.files().descriptor(self.fd).map_err(|_| Errno::ENOENT.here())?;
        let description = &descriptor.description;
        let mut flags = description.flags().bits();
        if descriptor.close_on_exec {
            flags |= OpenFlags::CLOEXEC.bits();
        }
        let mount = description.location().map_or(14, |location| location.mount().id());
        let position = *description.position().lock();
        let ino = description.metadata().ino;
        let mut out: Vec<u8> = String::into_bytes(format!(
            "pos:\t{position}\nflags:\t0{flags:o}\nmnt_id:\t{mount}\nino:\t{ino}\n"
        ));
        out.extend(description.file().fd_info());
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_numbers_are_names() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"12"), Some(12));
        for bad in [&b"01"[..], b"-1", b"+1", b"", b"1a", b"99999999999"] {
            assert_eq!(number(bad), None);
        }
    }
}
