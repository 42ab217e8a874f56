//! Names for addresses, from the symbol tables of mapped files.

use crate::task::Task;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use husk_fs::InodeRef;
use husk_fs::io::SliceSink;

const SECTION_HEADER_SIZE: u64 = 64;
const SYMBOL_SIZE: usize = 24;
const PROGRAM_HEADER_SIZE: u64 = 56;
/// Symbols read at a time.
const CHUNK: usize = 4096;
/// Sections and program headers that are looked at.
const MAX_HEADERS: u64 = 4096;
/// Longest name shown.
const NAME_SHOWN: usize = 256;

const SHT_SYMTAB: u32 = 2;
const SHT_DYNSYM: u32 = 11;
const PT_LOAD: u32 = 1;
const STT_FUNC: u8 = 2;
const STT_GNU_IFUNC: u8 = 10;

/// `symbol+0x12 (/path/of/file+0x1234)`, as much as is known. The symbol is that of `back` bytes before.
pub(super) fn describe(task: &Task, addr: u64, back: u64) -> String {
    let Some((inode, location, offset)) = task.mm().file_at(addr.wrapping_sub(back)) else {
        return String::from("(no file)");
    };
    let path = location.map_or_else(Vec::new, |location| location.path(&task.fs().root()));
    let path = String::from_utf8_lossy(&path).into_owned();
    let place = offset.wrapping_add(back);
    match Elf::new(&inode).and_then(|elf| elf.symbol_at(offset)) {
        Some((name, distance)) => format!("{name}+{:#x} ({path}+{place:#x})", distance + back),
        None => format!("({path}+{place:#x})"),
    }
}

/// A file's headers, as far as symbols need them. Everything read is checked: the file may be anything.
struct Elf<'a> {
    inode: &'a InodeRef,
    header: [u8; 64],
}

struct Section {
    kind: u32,
    offset: u64,
    size: u64,
    link: u32,
}

impl<'a> Elf<'a> {
    fn new(inode: &'a InodeRef) -> Option<Self> {
        let mut header = [0; 64];
        read(inode, 0, &mut header)?;
        header.starts_with(b"\x7fELF\x02\x01").then_some(Self { inode, header })
    }

    /// The symbol that a place in the file belongs to, and how far into it that is.
    fn symbol_at(&self, offset: u64) -> Option<(String, u64)> {
        let address = self.address_of(offset)?;
        [SHT_SYMTAB, SHT_DYNSYM].into_iter().find_map(|kind| self.search(kind, address))
    }

    /// The address, before relocation, of a place in the file.
    fn address_of(&self, offset: u64) -> Option<u64> {
        let (at, count) = (word(&self.header, 32)?, u64::from(half(&self.header, 56)?));
        for index in 0..count.min(MAX_HEADERS) {
            let mut header = [0; PROGRAM_HEADER_SIZE as usize];
            read(self.inode, at.checked_add(index * PROGRAM_HEADER_SIZE)?, &mut header)?;
            let (start, size) = (word(&header, 8)?, word(&header, 32)?);
            // Whole pages are mapped.
            let page = start & !4095;
            if int(&header, 0)? == PT_LOAD && (page..start.checked_add(size)?).contains(&offset) {
                return Some(word(&header, 16)?.wrapping_sub(start).wrapping_add(offset));
            }
        }
        None
    }

    fn section(&self, index: u64) -> Option<Section> {
        let at = word(&self.header, 40)?;
        let mut header = [0; SECTION_HEADER_SIZE as usize];
        read(self.inode, at.checked_add(index * SECTION_HEADER_SIZE)?, &mut header)?;
        Some(Section {
            kind: int(&header, 4)?,
            offset: word(&header, 24)?,
            size: word(&header, 32)?,
            link: int(&header, 40)?,
        })
    }

    fn search(&self, kind: u32, address: u64) -> Option<(String, u64)> {
        let count = u64::from(half(&self.header, 60)?).min(MAX_HEADERS);
        let table =
            (0..count).filter_map(|index| self.section(index)).find(|section| section.kind == kind)?;
        let names = self.section(table.link.into())?;
        let mut best: Option<(u64, u32)> = None;
        let mut chunk = alloc::vec![0; CHUNK * SYMBOL_SIZE];
        let mut at = 0;
        while at < table.size {
            let len = (table.size - at).min(chunk.len() as u64) as usize;
            let part = &mut chunk[..len];
            read(self.inode, table.offset.checked_add(at)?, part)?;
            for symbol in part.chunks_exact(SYMBOL_SIZE) {
                let (start, size) = (word(symbol, 8)?, word(symbol, 16)?);
                let function = matches!(symbol[4] & 0xf, STT_FUNC | STT_GNU_IFUNC);
                let inside = start <= address && (address - start < size || size == 0);
                if function && half(symbol, 6)? != 0 && inside && best.is_none_or(|(other, _)| start >= other)
                {
                    best = Some((start, int(symbol, 0)?));
                }
            }
            at += len as u64;
        }
        let (start, name) = best?;
        let mut bytes = [0; NAME_SHOWN];
        let len = read_some(self.inode, names.offset.checked_add(name.into())?, &mut bytes)?;
        let end = bytes[..len].iter().position(|&byte| byte == 0).unwrap_or(len);
        Some((String::from_utf8_lossy(&bytes[..end]).into_owned(), address - start))
    }
}

fn read_some(inode: &InodeRef, offset: u64, bytes: &mut [u8]) -> Option<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match inode.read_at(offset.checked_add(done as u64)?, &mut SliceSink::new(&mut bytes[done..])) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(_) => return None,
        }
    }
    Some(done)
}

fn read(inode: &InodeRef, offset: u64, bytes: &mut [u8]) -> Option<()> {
    (read_some(inode, offset, bytes)? == bytes.len()).then_some(())
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn int(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
