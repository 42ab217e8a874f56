//! The name of the function at an address, from a file's symbol table: for the report of a crash.
//!
//! Reads section headers, then streams `.symtab` (or `.dynsym` where a file was stripped) through a small buffer, so that a
//! large table costs time but no memory. Damage gives no name, never an error: the report is then without one.

use alloc::string::String;
use alloc::vec;

use crate::HEADER_SIZE;

/// Section headers read at most; real files have some tens.
const SECTIONS_LIMIT: u16 = 4096;
/// Symbols looked at, at most.
const SYMBOLS_LIMIT: u64 = 4 << 20;
/// Longest name given, in bytes.
const NAME_LIMIT: usize = 512;

const SECTION_HEADER_SIZE: usize = 64;
const SYMBOL_SIZE: usize = 24;
const SYMBOLS_A_READ: usize = 128;

const SHT_SYMTAB: u32 = 2;
const SHT_DYNSYM: u32 = 11;
const STT_FUNC: u8 = 2;
const STT_GNU_IFUNC: u8 = 10;

/// A function and how far into it an address lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The name as the file has it (C++ and Rust names are mangled).
    pub name: String,
    /// Bytes from the function's start.
    pub offset: u64,
}

/// Finds the function that contains `address` (an address of the file, without load bias). `read_exact(offset, buffer)`
/// fills the buffer from the file and says whether it could.
pub fn find(address: u64, mut read_exact: impl FnMut(u64, &mut [u8]) -> bool) -> Option<Symbol> {
    let mut header = [0; HEADER_SIZE];
    if !read_exact(0, &mut header) || !header.starts_with(b"\x7fELF") {
        return None;
    }
    let sections_at = u64_at(&header, 40);
    let section_size = u16_at(&header, 58);
    let count = u16_at(&header, 60);
    if usize::from(section_size) != SECTION_HEADER_SIZE || count > SECTIONS_LIMIT {
        return None;
    }
    let mut headers = vec![0; usize::from(count) * SECTION_HEADER_SIZE];
    if !read_exact(sections_at, &mut headers) {
        return None;
    }
    let sections = headers.as_chunks::<SECTION_HEADER_SIZE>().0;
    [SHT_SYMTAB, SHT_DYNSYM].into_iter().find_map(|kind| {
        let table = sections.iter().find(|section| u32_at(*section, 4) == kind)?;
        let strings = sections.get(u32_at(table, 40) as usize)?;
        let (name, start) = search(address, u64_at(table, 24), u64_at(table, 32), &mut read_exact)?;
        let name_at = u64_at(strings, 24).checked_add(u64::from(name))?;
        let room = u64_at(strings, 32).checked_sub(u64::from(name))?;
        Some(Symbol { name: read_name(name_at, room, &mut read_exact)?, offset: address - start })
    })
}

/// The name's offset and the start of the function around `address`.
fn search(
    address: u64,
    at: u64,
    size: u64,
    read_exact: &mut impl FnMut(u64, &mut [u8]) -> bool,
) -> Option<(u32, u64)> {
    let count = (size / SYMBOL_SIZE as u64).min(SYMBOLS_LIMIT);
    let mut buffer = [0; SYMBOLS_A_READ * SYMBOL_SIZE];
    let mut done = 0;
    while done < count {
        let now = (count - done).min(SYMBOLS_A_READ as u64) as usize;
        let piece = &mut buffer[..now * SYMBOL_SIZE];
        if !read_exact(at.checked_add(done * SYMBOL_SIZE as u64)?, piece) {
            return None;
        }
        for symbol in piece.as_chunks::<SYMBOL_SIZE>().0 {
            let kind = symbol[4] & 0xf;
            let (start, length) = (u64_at(symbol, 8), u64_at(symbol, 16));
            let inside = address.checked_sub(start).is_some_and(|offset| offset < length);
            if inside && (kind == STT_FUNC || kind == STT_GNU_IFUNC) && u16_at(symbol, 6) != 0 {
                return Some((u32_at(symbol, 0), start));
            }
        }
        done += now as u64;
    }
    None
}

fn read_name(at: u64, room: u64, read_exact: &mut impl FnMut(u64, &mut [u8]) -> bool) -> Option<String> {
    let mut bytes = vec![0; room.min(NAME_LIMIT as u64) as usize];
    if !read_exact(at, &mut bytes) {
        return None;
    }
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    (end > 0).then(|| String::from_utf8_lossy(&bytes[..end]).into_owned())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::find;
    use proptest::prelude::*;

    fn reader(file: &[u8]) -> impl FnMut(u64, &mut [u8]) -> bool + '_ {
        |offset, buffer| {
            let from = usize::try_from(offset).ok().and_then(|start| file.get(start..));
            let Some(bytes) = from.and_then(|rest| rest.get(..buffer.len())) else { return false };
            buffer.copy_from_slice(bytes);
            true
        }
    }

    /// Any function of this test program will do: its own entry point.
    #[test]
    fn finds_a_function_of_this_program() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let entry = u64::from_le_bytes(file[24..32].try_into().unwrap());
        let symbol = find(entry + 1, reader(&file)).unwrap();
        assert_eq!((symbol.name.as_str(), symbol.offset), ("_start", 1));
        assert_eq!(find(1, reader(&file)), None);
    }

    proptest! {
        #[test]
        fn damage_gives_no_name(mut file in proptest::collection::vec(any::<u8>(), 64..4096), address in any::<u64>()) {
            file[..4].copy_from_slice(b"\x7fELF");
            file[58..60].copy_from_slice(&64u16.to_le_bytes());
            file[41..48].fill(0);
            find(address, reader(&file));
        }
    }
}
