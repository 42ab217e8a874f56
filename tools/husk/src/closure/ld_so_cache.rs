//! /etc/ld.so.cache for the guest. The host's own would name libraries that are not in the image, and without one glibc's
//! loader finds only what is in its built-in directories.
//!
//! The format is glibc's `sysdeps/generic/dl-cache.h`, `cache_file_new` without extensions.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

const MAGIC: &[u8; 20] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;
/// An ELF library for libc 6 on x86-64 (FLAG_X8664_LIB64 | FLAG_ELF_LIBC6).
const X86_64_LIBC6: u32 = 0x0303;
const LITTLE_ENDIAN: u8 = 2;

/// The cache of these libraries: names, and paths in the guest.
#[must_use]
pub fn encode(libraries: &BTreeMap<Vec<u8>, PathBuf>) -> Vec<u8> {
    let mut entries: Vec<(&[u8], &[u8])> =
        libraries.iter().map(|(name, path)| (name.as_slice(), path.as_os_str().as_bytes())).collect();
    // The loader's binary search expects them in descending order.
    entries.sort_by(|a, b| compare(b.0, a.0));
    let mut table = Vec::new();
    let mut strings = Vec::new();
    let strings_start = HEADER + ENTRY * entries.len();
    for (name, path) in &entries {
        let offsets = [name, path].map(|text| {
            let offset = (strings_start + strings.len()) as u32;
            strings.extend_from_slice(text);
            strings.push(0);
            offset
        });
        table.extend_from_slice(&X86_64_LIBC6.to_le_bytes());
        table.extend_from_slice(&offsets[0].to_le_bytes());
        table.extend_from_slice(&offsets[1].to_le_bytes());
        // Operating system version and hardware capabilities: any.
        table.extend_from_slice(&[0; 12]);
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(strings.len() as u32).to_le_bytes());
    bytes.push(LITTLE_ENDIAN);
    bytes.resize(HEADER, 0);
    bytes.extend_from_slice(&table);
    bytes.extend_from_slice(&strings);
    bytes
}

/// The order of glibc's `_dl_cache_libcmp`: runs of digits compare as numbers, a digit is more than anything else.
fn compare(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let number = |text: &mut &[u8]| {
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let value = text[..digits]
            .iter()
            .fold(0_u64, |value, byte| value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')));
        *text = &text[digits..];
        value
    };
    while let Some(&first) = a.first() {
        let second = b.first().copied().unwrap_or(0);
        match (first.is_ascii_digit(), second.is_ascii_digit()) {
            (true, true) => match number(&mut a).cmp(&number(&mut b)) {
                Ordering::Equal => {}
                other => return other,
            },
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) if first != second => return first.cmp(&second),
            (false, false) => {
                a = &a[1..];
                b = &b[1..];
            }
        }
    }
    if b.is_empty() { Ordering::Equal } else { Ordering::Less }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_as_numbers() {
        assert_eq!(compare(b"libfoo.so.10", b"libfoo.so.9"), Ordering::Greater);
        assert_eq!(compare(b"libfoo.so.1", b"libfoo.so.1"), Ordering::Equal);
        assert_eq!(compare(b"lib1.so", b"liba.so"), Ordering::Greater);
        assert_eq!(compare(b"liba", b"liba.so"), Ordering::Less);
    }

    /// ldconfig itself reads it back, where it is installed.
    #[test]
    fn ldconfig_reads_it() {
        let libraries: BTreeMap<Vec<u8>, PathBuf> = ["libc.so.6", "libz.so.1", "libfoo.so.10", "libfoo.so.9"]
            .iter()
            .map(|name| (name.as_bytes().to_vec(), PathBuf::from(format!("/lib/{name}"))))
            .collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), encode(&libraries)).unwrap();
        let Ok(out) =
            std::process::Command::new("/sbin/ldconfig").arg("-p").arg("-C").arg(file.path()).output()
        else {
            eprintln!("ldconfig is missing: not checked");
            return;
        };
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(text.contains("4 libs found"), "{text}");
        for name in ["libc.so.6", "libz.so.1", "libfoo.so.10", "libfoo.so.9"] {
            assert!(text.contains(&format!("{name} (libc6,x86-64) => /lib/{name}")), "{text}");
        }
    }
}
