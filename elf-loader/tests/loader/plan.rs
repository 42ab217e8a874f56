//! What is planned, and what is refused with which words.

use crate::support::{Entry, file, load, plan};
use husk_elf_loader::{ElfError, Kind, Part, Protection, USER_END};

/// The error of a valid file with some bytes changed.
fn changed(at: usize, bytes: &[u8]) -> ElfError {
    let mut file = file(&[load(0, 0, 0x800, 0x800)], 0x800);
    plan(&file).expect("valid before the change");
    file[at..at + bytes.len()].copy_from_slice(bytes);
    plan(&file).expect_err("refused after it")
}

fn refused(entries: &[Entry]) -> ElfError {
    plan(&file(entries, 0x3000)).expect_err("refused")
}

#[test]
fn bss_at_page_edges() {
    // Ends inside a page of the file, then more pages.
    let inside = plan(&file(&[load(0x10, 0x2010, 0x500, 0x3000)], 0x600)).unwrap().segments[0].clone();
    assert_eq!((inside.map_start, inside.map_len, inside.map_file_offset), (0x2000, 0x1000, 0));
    assert_eq!(inside.zero, 0x2510..0x3000);
    assert_eq!(inside.anonymous, 0x3000..0x6000);
    assert_eq!(inside.pages(), 0x2000..0x6000);
    // The file's bytes end at a page's end: nothing to zero.
    let edge = plan(&file(&[load(0, 0x1000, 0x1000, 0x1001)], 0x1000)).unwrap().segments[0].clone();
    assert!(edge.zero.is_empty());
    assert_eq!(edge.anonymous, 0x2000..0x3000);
    // All in the last page of the file.
    let small = plan(&file(&[load(0, 0x1000, 0x10, 0x20)], 0x1000)).unwrap().segments[0].clone();
    assert_eq!(small.zero, 0x1010..0x2000);
    assert!(small.anonymous.is_empty());
    // Nothing of the file; the place in the file does not matter then.
    let none = plan(&file(&[load(0x999_9999, 0x1234, 0, 0x10)], 0x100)).unwrap().segments[0].clone();
    assert_eq!((none.map_len, none.anonymous.clone()), (0, 0x1000..0x2000));
    assert!(none.zero.is_empty());
    // No .bss: the rest of the last page shows the file.
    let full = plan(&file(&[load(0, 0x1000, 0x10, 0x10)], 0x1000)).unwrap().segments[0].clone();
    assert!(full.zero.is_empty() && full.anonymous.is_empty());
}

#[test]
fn whole_plan() {
    let interp =
        Entry { kind: 3, flags: 4, offset: 0x200, vaddr: 0x200, file_size: 8, mem_size: 8, align: 1 };
    let stack = Entry { kind: 0x6474_e551, flags: 7, mem_size: 0x10000, ..interp };
    let data = Entry { flags: 6, align: 0x20_0000, ..load(0x1800, 0x3800, 0x100, 0x2000) };
    let bytes = file(&[interp, load(0, 0, 0x900, 0x900), data, stack], 0x2000);
    let plan = plan(&bytes).unwrap();
    assert_eq!(plan.kind, Kind::PositionIndependent);
    assert_eq!((plan.entry, plan.phdr_vaddr, plan.phnum, plan.phentsize), (0x1040, 64, 4, 56));
    assert_eq!(plan.load_range, 0..0x6000);
    assert_eq!((plan.align, plan.brk), (0x20_0000, 0x5800));
    assert_eq!((plan.code(), plan.data()), (0..0x900, 0x3800..0x3900));
    assert_eq!(plan.interpreter.map(|range| (range.offset, range.len)), Some((0x200, 8)));
    assert!(plan.stack.exec);
    assert_eq!(plan.stack.size, 0x10000);
    assert_eq!(plan.segments[0].prot, Protection::READ | Protection::EXEC);
    assert_eq!(plan.segments[1].prot, Protection::READ | Protection::WRITE);
}

#[test]
fn two_segments_in_one_page() {
    let plan = plan(&file(&[load(0, 0, 0x400, 0x400), load(0x400, 0x400, 0x400, 0x500)], 0x1000)).unwrap();
    assert_eq!(plan.load_range, 0..0x1000);
    assert_eq!(plan.segments[1].map_start, 0);
}

#[test]
fn header_fields() {
    assert_eq!(plan(b"#!/bin/sh\n"), Err(ElfError::NotElf));
    assert_eq!(plan(b""), Err(ElfError::NotElf));
    assert!(matches!(
        plan(b"\x7fELF\x02\x01\x01"),
        Err(ElfError::Truncated { part: Part::Header, end: 64, file_size: 7 })
    ));
    assert_eq!(changed(4, &[1]), ElfError::Class(1));
    assert_eq!(changed(5, &[2]), ElfError::ByteOrder(2));
    assert_eq!(changed(16, &[1]), ElfError::Type(1));
    assert_eq!(changed(18, &[183, 0]), ElfError::Machine(183));
    assert_eq!(changed(54, &[32]), ElfError::ProgramHeaderSize(32));
    assert_eq!(changed(56, &[0]), ElfError::ProgramHeaderCount(0));
    assert_eq!(changed(56, &[0xff, 0xff]), ElfError::ProgramHeaderCount(0xffff));
    assert_eq!(changed(32, &[0xff; 8]), ElfError::ProgramHeaderOffset(u64::MAX));
    assert!(matches!(changed(32, &[0, 0x10]), ElfError::Truncated { part: Part::ProgramHeaders, .. }));
}

#[test]
fn messages_name_field_and_value() {
    let text = ElfError::Machine(183).to_string();
    assert_eq!(text, "e_machine is 183 (AArch64): this is not a program for x86-64");
    let text = ElfError::Class(1).to_string();
    assert_eq!(text, "EI_CLASS is 1 (32-bit): only 64-bit programs run here");
    let text = changed(64 + 32, &[0, 9]).to_string();
    assert_eq!(text, "program header 0: p_filesz 0x900 is larger than p_memsz 0x800");
}

#[test]
fn segment_fields() {
    assert!(matches!(refused(&[load(0, 0, 2, 1)]), ElfError::FileSize { index: 0, .. }));
    assert!(matches!(refused(&[load(u64::MAX, 0, 2, 2)]), ElfError::FileRange { .. }));
    assert!(matches!(refused(&[load(0, u64::MAX, 2, 2)]), ElfError::Address { .. }));
    assert!(matches!(refused(&[load(0, 0, 2, u64::MAX)]), ElfError::Address { .. }));
    assert!(matches!(refused(&[load(0, USER_END - 0x1000, 2, 0x1001)]), ElfError::Address { .. }));
    plan(&file(&[load(0, USER_END - 0x1000, 2, 0x1000)], 64)).unwrap();
    assert!(matches!(refused(&[load(0x10, 0x20, 2, 2)]), ElfError::Congruence { .. }));
    assert!(matches!(
        refused(&[load(0x2000, 0x2000, 0x1001, 0x1001)]),
        ElfError::Truncated { part: Part::Segment(0), end: 0x3001, file_size: 0x3000 }
    ));
    let overlap = refused(&[load(0x1000, 0x1000, 0x800, 0x800), load(0, 0, 0x1000, 0x1001)]);
    assert_eq!(overlap, ElfError::Overlap { first: 1, second: 0, at: 0x1000 });
    assert_eq!(refused(&[Entry { kind: 4, ..load(0, 0, 1, 1) }]), ElfError::NoLoad(1));
    assert_eq!(refused(&[load(0, 0, 0, 0)]), ElfError::NoLoad(1));
}

#[test]
fn interpreter_fields() {
    let with = |offset: u64, size: u64| {
        refused(&[Entry { kind: 3, ..load(offset, 0, size, size) }, load(0, 0, 0x800, 0x800)])
    };
    assert_eq!(with(0x200, 1), ElfError::InterpreterSize { index: 0, len: 1 });
    assert_eq!(with(0x200, 4097), ElfError::InterpreterSize { index: 0, len: 4097 });
    assert!(matches!(with(u64::MAX, 4), ElfError::FileRange { index: 0, .. }));
    assert!(matches!(with(0x2fff, 4), ElfError::Truncated { part: Part::Interpreter, .. }));
    let path = husk_elf_loader::interpreter_path;
    assert_eq!(path(b"/lib/ld.so\0"), Ok(b"/lib/ld.so".as_slice()));
    assert_eq!(path(b"/lib\0ld.so\0"), Ok(b"/lib".as_slice()));
    assert_eq!(path(b"/lib/ld.so"), Err(ElfError::InterpreterNotTerminated));
    assert_eq!(path(b""), Err(ElfError::InterpreterNotTerminated));
}

#[test]
fn errnos_are_those_of_execve() {
    let (enoexec, einval, elibbad, eio) = (8, 22, 80, 5);
    assert_eq!((ElfError::NotElf.errno(), ElfError::NotElf.interpreter_errno()), (enoexec, elibbad));
    let segment = refused(&[load(0, 0, 2, 1)]);
    assert_eq!((segment.errno(), segment.interpreter_errno()), (einval, einval));
    let short = plan(b"\x7fELF").unwrap_err();
    assert_eq!((short.errno(), short.interpreter_errno()), (enoexec, eio));
}

#[test]
fn table_anywhere_in_the_file() {
    let entry = load(0x1000, 0x1000, 0x1800, 0x1800);
    let mut bytes = file(&[entry], 0x2800);
    let table: Vec<u8> = bytes.drain(64..64 + 56).collect();
    bytes.splice(0x2000..0x2000, table);
    bytes[32..40].copy_from_slice(&0x2000u64.to_le_bytes());
    let plan = plan(&bytes).unwrap();
    assert_eq!(plan.phdr_vaddr, 0x2000);
    assert_eq!(plan.segments[0].map_file_offset, 0x1000);
}

#[test]
fn table_that_no_segment_holds() {
    assert_eq!(plan(&file(&[load(0x1000, 0x1000, 8, 8)], 0x2000)).unwrap().phdr_vaddr, 0);
}
