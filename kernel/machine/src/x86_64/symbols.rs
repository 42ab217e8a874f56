//! The names of the kernel's functions, for backtraces.
//!
//! The table is not known when the kernel is linked, so the section `.husk.symbols` reserves room for it (512 KiB, zeros),
//! and the build fills it in the ELF file afterwards. An empty section is fine: backtraces then show addresses.
//!
//! The format, all numbers little endian:
//!
//! | what | bytes |
//! |---|---|
//! | magic `HUSKSYMS` | 8 |
//! | address of the first function | 8 |
//! | number of functions | 4 |
//! | bytes of all names | 4 |
//! | for each function, sorted by address: its address minus the first one's; where its name begins among the names | 4 + 4 |
//! | the names as in the ELF file (mangled), each ended by a zero byte | |

use core::fmt;

use spin::Once;

use super::kernel_map;

const SECTION_LEN: usize = 512 * 1024;
const MAGIC: &[u8] = b"HUSKSYMS";
const HEADER_LEN: usize = 24;
const ENTRY_LEN: usize = 8;

#[used]
#[unsafe(link_section = ".husk.symbols")]
static SECTION: [u8; SECTION_LEN] = [0; SECTION_LEN];

/// The table's parts.
struct Table {
    base: u64,
    entries: &'static [[u8; ENTRY_LEN]],
    names: &'static [u8],
}

static TABLE: Once<Table> = Once::new();

/// Finds the table, if the build filled it in.
pub(crate) fn init() {
    let (start, len) = kernel_map::symbols_section();
    // SAFETY: the linker's symbols enclose the section, which is mapped read-only and never changes while the kernel
    // runs. Going through them hides from the compiler that the section was zeros when it was linked.
    let section = unsafe { core::slice::from_raw_parts(start, len) };
    if let Some(table) = parse(section) {
        TABLE.call_once(|| table);
    }
}

fn parse(section: &'static [u8]) -> Option<Table> {
    let (header, rest) = section.split_first_chunk::<HEADER_LEN>()?;
    if !header.starts_with(MAGIC) {
        return None;
    }
    let base = (number(header, 12)? as u64) << 32 | number(header, 8)? as u64;
    let (entries, names) = rest.split_at_checked(number(header, 16)?.checked_mul(ENTRY_LEN)?)?;
    Some(Table { base, entries: entries.as_chunks().0, names: names.get(..number(header, 20)?)? })
}

/// An address that prints with the function it is in.
pub(crate) struct Symbol(pub(crate) u64);

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)?;
        match find(self.0) {
            Some((name, offset)) => write!(f, " {:#}+{offset:#x}", rustc_demangle::demangle(name)),
            None => Ok(()),
        }
    }
}

/// Name of the function that an address is in, and the distance from its start.
fn find(address: u64) -> Option<(&'static str, usize)> {
    let table = TABLE.get()?;
    let target = usize::try_from(address.checked_sub(table.base)?).ok()?;
    let index = table.entries.partition_point(|entry| number(entry, 0).is_some_and(|start| start <= target));
    let entry = table.entries.get(index.checked_sub(1)?)?;
    let name = table.names.get(number(entry, 4)?..)?.split(|byte| *byte == 0).next()?;
    Some((core::str::from_utf8(name).ok()?, target - number(entry, 0)?))
}

fn number(bytes: &[u8], offset: usize) -> Option<usize> {
    Some(u32::from_le_bytes(*bytes.get(offset..)?.first_chunk()?) as usize)
}
