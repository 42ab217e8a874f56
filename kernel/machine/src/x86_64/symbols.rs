//! The names of the kernel's functions, for backtraces.
//!
//! The table is not known when the kernel is linked, so the section `.husk.symbols` reserves room for it (512 KiB, zeros),
//! and the build fills it in the ELF file afterwards. An empty section is fine: backtraces then show addresses.
//!
//! The format, all numbers little endian:
//!
//! | offset | what |
//! |---|---|
//! | 0 | magic `HUSKSYM1` |
//! | 8 | `u32` count |
//! | 12 | `u32` bytes of the whole table |
//! | 16 | count times: `u32` address minus `0xffff_ffff_8000_0000`, `u32` offset of the name from the table's start; sorted by address |
//! | then | the names as in the ELF file (mangled), each ended by a zero byte |

use core::fmt;

use spin::Once;

use super::kernel_map;
use super::layout::KERNEL_BASE;

const SECTION_LEN: usize = 512 * 1024;
const MAGIC: &[u8] = b"HUSKSYM1";
const HEADER_LEN: usize = 16;
const ENTRY_LEN: usize = 8;

#[used]
#[unsafe(link_section = ".husk.symbols")]
static SECTION: [u8; SECTION_LEN] = [0; SECTION_LEN];

static TABLE: Once<&'static [u8]> = Once::new();

/// Finds the table, if the build filled it in.
pub(crate) fn init() {
    let (start, len) = kernel_map::symbols_section();
    // SAFETY: the linker's symbols enclose the section, which is mapped read-only and never changes while the kernel
    // runs. Going through them hides from the compiler that the section was zeros when it was linked.
    let section = unsafe { core::slice::from_raw_parts(start, len) };
    let Some(header) = section.get(..HEADER_LEN) else { return };
    let total = number(header, 12);
    if header.starts_with(MAGIC) && (HEADER_LEN..=len).contains(&total) {
        TABLE.call_once(|| &section[..total]);
    }
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
fn find(address: u64) -> Option<(&'static str, u32)> {
    let table = *TABLE.get()?;
    let target = u32::try_from(address.checked_sub(KERNEL_BASE)?).ok()?;
    let count = number(table, 8);
    let entries = table.get(HEADER_LEN..HEADER_LEN + count.checked_mul(ENTRY_LEN)?)?;
    let (entries, _) = entries.as_chunks::<ENTRY_LEN>();
    let index = entries.partition_point(|entry| number(entry, 0) <= target as usize).checked_sub(1)?;
    let name = table.get(number(&entries[index], 4)..)?;
    let name = name.split(|byte| *byte == 0).next()?;
    Some((core::str::from_utf8(name).ok()?, target - number(&entries[index], 0) as u32))
}

fn number(bytes: &[u8], offset: usize) -> usize {
    bytes[offset..].first_chunk::<4>().map_or(0, |word| u32::from_le_bytes(*word) as usize)
}
