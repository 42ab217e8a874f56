//! Extended attributes.

use super::node::Node;
use crate::{FileKind, NAME_MAX, Result, XattrFlags};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use husk_abi::err;
use husk_machine::sync::MutexGuard;

/// Bytes of names and values that one file may have.
const LIMIT: usize = 64 * 1024;

/// A file's attributes: `None` until they have been taken over from the image.
#[derive(Default)]
pub(super) struct Xattrs(Option<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Node {
    /// Checks that a name is in a namespace that is kept, and that the file may have attributes of it.
    fn check_name(&self, name: &[u8], changing: bool) -> Result<()> {
        if name.len() > NAME_MAX {
            return err!(ERANGE);
        }
        if [&b"user."[..], b"trusted.", b"security."].contains(&name) {
            return err!(EINVAL);
        }
        if name.starts_with(b"user.") {
            // xattr(7): user attributes only on files and directories.
            return match self.file_kind() {
                FileKind::Regular | FileKind::Directory => Ok(()),
                _ if changing => err!(EPERM),
                _ => err!(ENODATA),
            };
        }
        if name.starts_with(b"trusted.") || name.starts_with(b"security.") {
            Ok(())
        } else {
            err!(EOPNOTSUPP)
        }
    }

    fn loaded_xattrs(&self) -> Result<MutexGuard<'_, Xattrs>> {
        let mut xattrs = self.xattrs.lock();
        if xattrs.0.is_none() {
            let from_image = match &self.image {
                Some(image) => image.xattrs()?.into_iter().collect(),
                None => BTreeMap::new(),
            };
            xattrs.0 = Some(from_image);
        }
        Ok(xattrs)
    }

    pub(super) fn xattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        self.check_name(name, false)?;
        match self.loaded_xattrs()?.0.as_ref().and_then(|all| all.get(name)) {
            Some(value) => Ok(value.clone()),
            None => err!(ENODATA),
        }
    }

    pub(super) fn store_xattr(&self, name: &[u8], value: &[u8], flags: XattrFlags) -> Result<()> {
        self.check_name(name, true)?;
        {
            let mut xattrs = self.loaded_xattrs()?;
            let all = xattrs.0.get_or_insert_default();
            let old = all.get(name).map(|value| name.len() + value.len());
            if flags.contains(XattrFlags::CREATE) && old.is_some() {
                return err!(EEXIST);
            }
            if flags.contains(XattrFlags::REPLACE) && old.is_none() {
                return err!(ENODATA);
            }
            let used: usize = all.iter().map(|(name, value)| name.len() + value.len()).sum();
            if used - old.unwrap_or(0) + name.len() + value.len() > LIMIT {
                return err!(ENOSPC);
            }
            all.insert(name.to_vec(), value.to_vec());
        }
        self.touch();
        Ok(())
    }

    pub(super) fn xattr_names(&self) -> Result<Vec<u8>> {
        let xattrs = self.loaded_xattrs()?;
        let mut names = Vec::new();
        for name in xattrs.0.iter().flat_map(BTreeMap::keys) {
            names.extend_from_slice(name);
            names.push(0);
        }
        Ok(names)
    }

    pub(super) fn drop_xattr(&self, name: &[u8]) -> Result<()> {
        self.check_name(name, true)?;
        let removed = self.loaded_xattrs()?.0.as_mut().and_then(|all| all.remove(name));
        if removed.is_none() {
            return err!(ENODATA);
        }
        self.touch();
        Ok(())
    }
}
