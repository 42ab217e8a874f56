//! Files of this machine; what they should give comes from readelf(1).

use husk_elf_loader::{Kind, Plan, dynamic, interpreter_path};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::Command;

/// The ELF files among those that a Debian system usually has.
fn files() -> Vec<String> {
    let mut all: Vec<String> = [
        "/bin/busybox",
        "/usr/bin/python3",
        "/usr/bin/env",
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib/x86_64-linux-gnu/libm.so.6",
        "/lib64/ld-linux-x86-64.so.2",
        "/lib/ld-musl-x86_64.so.1",
    ]
    .map(String::from)
    .to_vec();
    all.push(std::env::current_exe().unwrap().to_string_lossy().into_owned());
    all.retain(|path| fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF")));
    all
}

fn plan(path: &str) -> Plan {
    crate::support::plan(&fs::read(path).unwrap()).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn dynamic_of(path: &str) -> dynamic::Dynamic {
    let file = File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    dynamic::read(size, |offset, buffer| file.read_exact_at(buffer, offset)).unwrap()
}

/// readelf's output, if it is installed.
fn readelf(option: &str, path: &str) -> Option<String> {
    let output = Command::new("readelf").env("LC_ALL", "C").args(["-W", option, path]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

#[test]
fn segments_are_those_of_readelf() {
    for path in files() {
        let Some(text) = readelf("-l", &path) else { return };
        let plan = plan(&path);
        let mut loads = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| line.starts_with("LOAD")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            loads.push((hex(words[1]), hex(words[2]), hex(words[4]), hex(words[5])));
        }
        let planned: Vec<_> = plan
            .segments
            .iter()
            .map(|segment| (segment.file_offset, segment.vaddr, segment.file_size, segment.mem_size))
            .collect();
        assert_eq!(planned, loads, "{path}");
        let entry = text.lines().find_map(|line| line.strip_prefix("Entry point ")).unwrap();
        assert_eq!(plan.entry, hex(entry), "{path}");
        assert_eq!(plan.kind == Kind::Fixed, text.contains("Elf file type is EXEC"), "{path}");
        let interpreter = text.split("interpreter: ").nth(1).and_then(|rest| rest.split(']').next());
        let planned = plan.interpreter.map(|range| {
            let bytes = fs::read(&path).unwrap();
            let bytes = &bytes[range.offset as usize..][..range.len];
            String::from_utf8(interpreter_path(bytes).unwrap().to_vec()).unwrap()
        });
        assert_eq!(planned.as_deref(), interpreter, "{path}");
    }
}

#[test]
fn dynamic_sections_are_those_of_readelf() {
    for path in files() {
        let Some(text) = readelf("-d", &path) else { return };
        let strings = |tag: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| line.contains(&format!("({tag})")));
            lines.map(|line| line.split(['[', ']']).nth(1).unwrap().to_owned()).collect()
        };
        let texts = |list: &[Vec<u8>]| -> Vec<String> {
            list.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
        };
        let dynamic = dynamic_of(&path);
        assert_eq!(texts(&dynamic.needed), strings("NEEDED"), "{path}");
        assert_eq!(texts(dynamic.soname.as_slice()), strings("SONAME"), "{path}");
        assert_eq!(texts(dynamic.rpath.as_slice()), strings("RPATH"), "{path}");
        assert_eq!(texts(dynamic.runpath.as_slice()), strings("RUNPATH"), "{path}");
    }
}

#[test]
fn this_test_needs_a_c_library() {
    let path = std::env::current_exe().unwrap();
    let dynamic = dynamic_of(&path.to_string_lossy());
    assert!(dynamic.needed.iter().any(|name| name.starts_with(b"libc.")), "{dynamic:?}");
    assert!(dynamic.interpreter.is_some());
}
