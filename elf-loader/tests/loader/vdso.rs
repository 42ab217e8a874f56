//! The object made for the vDSO, read by goblin and by hand as C libraries do.

use goblin::elf::Elf;
use goblin::elf::program_header::{PF_R, PF_X, PT_LOAD};
use husk_elf_loader::vdso::{Code, build};

const CODE: [u8; 100] = [0xc3; 100];
const FUNCTIONS: [(&str, usize); 5] =
    [("clock_gettime", 0), ("gettimeofday", 32), ("time", 48), ("clock_getres", 64), ("getcpu", 80)];
const OFFSET: usize = 0x800;

fn object() -> Vec<u8> {
    build(&Code { bytes: &CODE, offset: OFFSET, functions: &FUNCTIONS }).unwrap()
}

fn word(bytes: &[u8], at: u64) -> u32 {
    u32::from_le_bytes(bytes[at as usize..][..4].try_into().unwrap())
}

/// Every symbol: name, value, size.
fn expected() -> Vec<(String, u64, u64)> {
    let sizes = [32, 16, 16, 16, 20];
    let both = FUNCTIONS.iter().zip(sizes).flat_map(|(&(name, start), size)| {
        let value = (OFFSET + start) as u64;
        [(format!("__vdso_{name}"), value, size), (name.to_string(), value, size)]
    });
    both.collect()
}

#[test]
fn goblin_finds_all_symbols() {
    let bytes = object();
    let elf = Elf::parse(&bytes).unwrap();
    assert!(elf.is_64 && elf.is_lib && elf.little_endian && elf.entry == 0);
    assert_eq!(elf.soname, Some("linux-vdso.so.1"));
    assert!(elf.libraries.is_empty() && elf.dynrelas.is_empty() && elf.dynrels.is_empty());
    let loads: Vec<_> = elf.program_headers.iter().filter(|header| header.p_type == PT_LOAD).collect();
    assert_eq!((loads.len(), loads[0].p_flags, loads[0].p_memsz), (1, PF_R | PF_X, bytes.len() as u64));
    let mut found: Vec<_> = elf
        .dynsyms
        .iter()
        .skip(1)
        .map(|symbol| (elf.dynstrtab[symbol.st_name].to_string(), symbol.st_value, symbol.st_size))
        .collect();
    let mut wanted = expected();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
    for symbol in elf.dynsyms.iter().skip(1) {
        let weak = !elf.dynstrtab[symbol.st_name].starts_with("__vdso_");
        assert!(symbol.is_function() && symbol.st_shndx != 0);
        assert_eq!(symbol.st_bind(), if weak { 2 } else { 1 });
    }
}

#[test]
fn all_symbols_are_of_the_version() {
    let bytes = object();
    let elf = Elf::parse(&bytes).unwrap();
    let info = &elf.dynamic.as_ref().unwrap().info;
    // goblin finds version tables by section headers, of which there are none.
    let tag = |tag| elf.dynamic.as_ref().unwrap().dyns.iter().find(|entry| entry.d_tag == tag).unwrap().d_val;
    let (versym, verdef) = (tag(0x6fff_fff0), tag(0x6fff_fffc));
    for index in 1..elf.dynsyms.len() as u64 {
        assert_eq!(bytes[(versym + 2 * index) as usize..][..2], [2, 0]);
    }
    let mut at = verdef;
    let mut definitions = Vec::new();
    for _ in 0..tag(0x6fff_fffd) {
        let (flags, index) = (word(&bytes, at) >> 16, word(&bytes, at + 4) & 0xffff);
        let (aux, next) = (at + u64::from(word(&bytes, at + 12)), word(&bytes, at + 16));
        let name = &elf.dynstrtab[word(&bytes, aux) as usize];
        definitions.push((flags, index, name, word(&bytes, at + 8)));
        at += u64::from(next);
    }
    assert_eq!(definitions[0].2, "linux-vdso.so.1");
    assert_eq!(definitions[1], (0, 2, "LINUX_2.6", 0x03ae_75f6));
    assert!(info.strsz > 0 && info.syment == 24);
}

#[test]
fn both_hash_tables_lead_to_every_symbol() {
    let bytes = object();
    let elf = Elf::parse(&bytes).unwrap();
    let tag = |tag| elf.dynamic.as_ref().unwrap().dyns.iter().find(|entry| entry.d_tag == tag).unwrap().d_val;
    let name_at = |index: u32| &elf.dynstrtab[elf.dynsyms.get(index as usize).unwrap().st_name];
    let (sysv, gnu) = (tag(4), tag(0x6fff_fef5));
    for (name, ..) in expected() {
        let hash = name.bytes().fold(0_u32, |hash, byte| {
            let sum = (hash << 4) + u32::from(byte);
            (sum ^ ((sum & 0xf000_0000) >> 24)) & 0x0fff_ffff
        });
        let buckets = word(&bytes, sysv);
        let mut index = word(&bytes, sysv + 8 + u64::from(hash % buckets) * 4);
        while name_at(index) != name {
            assert_ne!(index, 0, "{name} is not in its bucket");
            index = word(&bytes, sysv + 8 + u64::from(buckets + index) * 4);
        }

        let hash = name.bytes().fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(byte.into()));
        let [buckets, first, words, shift] = [0, 4, 8, 12].map(|offset| word(&bytes, gnu + offset));
        assert_eq!(words, 1);
        let bloom = u64::from(word(&bytes, gnu + 16)) | u64::from(word(&bytes, gnu + 20)) << 32;
        assert!(bloom >> (hash % 64) & 1 == 1 && bloom >> ((hash >> shift) % 64) & 1 == 1, "{name}");
        let table = gnu + 24;
        let mut index = word(&bytes, table + u64::from(hash % buckets) * 4);
        loop {
            assert!(index >= first, "{name} is not in its bucket");
            let entry = word(&bytes, table + u64::from(buckets + index - first) * 4);
            if entry | 1 == hash | 1 && name_at(index) == name {
                break;
            }
            assert_eq!(entry & 1, 0, "{name} is not in its chain");
            index += 1;
        }
    }
}

/// As an unwinder goes: from the header to the one entry, which covers the code.
#[test]
fn unwinding_covers_the_code() {
    let bytes = object();
    let elf = Elf::parse(&bytes).unwrap();
    let header = elf.program_headers.iter().find(|header| header.p_type == 0x6474_e550).unwrap().p_vaddr;
    let at = |place: u64, base: u64| base.wrapping_add_signed(i64::from(word(&bytes, place).cast_signed()));
    assert_eq!(word(&bytes, header), u32::from_le_bytes([1, 0x1b, 3, 0x3b]));
    assert_eq!(word(&bytes, header + 8), 1);
    let eh_frame = at(header + 4, header + 4);
    let (code, fde) = (at(header + 12, header), at(header + 16, header));
    assert_eq!(code, OFFSET as u64);
    assert_eq!(word(&bytes, eh_frame + 4), 0, "the common part comes first");
    assert_eq!(fde + 4 - u64::from(word(&bytes, fde + 4)), eh_frame);
    assert_eq!((at(fde + 8, fde + 8), word(&bytes, fde + 12)), (OFFSET as u64, CODE.len() as u32));
    let end = fde + 4 + u64::from(word(&bytes, fde));
    assert_eq!(word(&bytes, end), 0, "the list ends");
}

#[test]
fn code_that_comes_too_early_is_refused() {
    assert!(build(&Code { bytes: &CODE, offset: 0x200, functions: &FUNCTIONS }).is_none());
}
