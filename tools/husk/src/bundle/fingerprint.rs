//! What an image will hold, as one number: equal fingerprints, equal images.
//!
//! Host files count by path, size, device, inode and time of last change (which no program can set back), not by
//! their bytes: that is what lets a second run start at once.

use super::Bundle;
use crate::image::{Kind, Source};
use sha2::{Digest, Sha256};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// Changes whenever the writer lays images out differently.
const FORMAT: u32 = 1;

/// Identity of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The filesystem's UUID, in the form of a random one (RFC 9562, version 8).
    #[must_use]
    pub fn uuid(&self) -> [u8; 16] {
        let mut uuid = *self.0.first_chunk().expect("16 of 32 bytes");
        uuid[6] = uuid[6] & 0x0f | 0x80;
        uuid[8] = uuid[8] & 0x3f | 0x80;
        uuid
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..16].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Bundle {
    /// The fingerprint of everything added so far.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut bytes = Vec::with_capacity(self.tree.nodes().len() * 128);
        let text = |bytes: &mut Vec<u8>, text: &[u8]| {
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text);
        };
        text(&mut bytes, env!("CARGO_PKG_VERSION").as_bytes());
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        for (_, node) in self.tree.nodes() {
            let meta = node.meta;
            bytes.extend_from_slice(&meta.mode.to_le_bytes());
            bytes.extend_from_slice(&meta.uid.to_le_bytes());
            bytes.extend_from_slice(&meta.gid.to_le_bytes());
            bytes.extend_from_slice(&meta.mtime.to_le_bytes());
            bytes.extend_from_slice(&meta.mtime_nsec.to_le_bytes());
            match &node.kind {
                Kind::Directory(entries) => {
                    bytes.push(b'd');
                    bytes.extend_from_slice(&(entries.len() as u64).to_le_bytes());
                    for (name, id) in entries {
                        text(&mut bytes, name);
                        bytes.extend_from_slice(&id.inode().to_le_bytes());
                    }
                }
                Kind::Symlink(target) => {
                    bytes.push(b'l');
                    text(&mut bytes, target);
                }
                Kind::File(Source::Bytes(content)) => {
                    bytes.push(b'b');
                    text(&mut bytes, content);
                }
                Kind::File(Source::Host(file)) => {
                    bytes.push(b'h');
                    text(&mut bytes, file.path.as_os_str().as_bytes());
                    bytes.extend_from_slice(&file.size.to_le_bytes());
                    bytes.extend_from_slice(&file.identity.0.to_le_bytes());
                    bytes.extend_from_slice(&file.identity.1.to_le_bytes());
                    bytes.extend_from_slice(&file.changed_ns.to_le_bytes());
                }
            }
        }
        Fingerprint(Sha256::digest(&bytes).into())
    }
}
