//! No bytes make the parsers panic, and what they accept keeps its promises.

use crate::support::{Entry, file, plan};
use husk_elf_loader::{PAGE_SIZE, Plan, USER_END, dynamic, parse, program_headers_at};
use proptest::prelude::*;

/// Checks everything that mapping relies on.
fn promises(plan: &Plan, file_size: u64) -> Result<(), TestCaseError> {
    prop_assert!(!plan.segments.is_empty());
    prop_assert!(plan.align.is_power_of_two() && plan.align >= PAGE_SIZE);
    prop_assert!(plan.load_range.start < plan.load_range.end && plan.load_range.end <= USER_END);
    for segment in &plan.segments {
        let pages = segment.pages();
        prop_assert!(plan.load_range.start <= pages.start && pages.end <= plan.load_range.end);
        for value in [segment.map_start, segment.map_len, segment.map_file_offset] {
            prop_assert_eq!(value % PAGE_SIZE, 0);
        }
        prop_assert!(segment.anonymous.start % PAGE_SIZE == 0 && segment.anonymous.end % PAGE_SIZE == 0);
        prop_assert!(segment.map_start + segment.map_len == segment.anonymous.start);
        prop_assert!(pages.start <= segment.vaddr && segment.range().end <= pages.end);
        prop_assert!(segment.file_size == 0 || segment.file_offset + segment.file_size <= file_size);
        prop_assert!(segment.zero.is_empty() || segment.zero.end == segment.anonymous.start);
        prop_assert!(plan.brk >= segment.range().end);
    }
    if let Some(range) = plan.interpreter {
        prop_assert!(range.offset + range.len as u64 <= file_size);
    }
    Ok(())
}

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    match plan(bytes) {
        Ok(plan) => promises(&plan, bytes.len() as u64)?,
        Err(error) => prop_assert!(!error.to_string().is_empty() && error.errno() != 0),
    }
    let read = |offset: u64, buffer: &mut [u8]| -> Result<(), String> {
        let start = usize::try_from(offset).map_err(|error| error.to_string())?;
        let bytes = bytes.get(start..).and_then(|rest| rest.get(..buffer.len())).ok_or("outside")?;
        buffer.copy_from_slice(bytes);
        Ok(())
    };
    let result = dynamic::read(bytes.len() as u64, read);
    prop_assert!(!matches!(result, Err(dynamic::DynamicError::Read(_))), "read outside of the file");
    Ok(())
}

/// Values at which arithmetic goes wrong, and ordinary ones.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..0x4000,
        prop::sample::select(vec![
            0,
            1,
            PAGE_SIZE - 1,
            PAGE_SIZE,
            USER_END - 1,
            USER_END,
            1 << 63,
            u64::MAX - PAGE_SIZE,
            u64::MAX
        ]),
        any::<u64>(),
    ]
}

prop_compose! {
    fn entry()(
        kind in prop::sample::select(vec![1u32, 1, 1, 2, 3, 4, 6, 0x6474_e551]),
        flags in 0u32..8,
        (offset, vaddr, file_size, mem_size, align) in (word(), word(), word(), word(), word()),
    ) -> Entry {
        Entry { kind, flags, offset, vaddr, file_size, mem_size, align }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        check(&bytes)?;
        check(&[b"\x7fELF\x02\x01\x01".as_slice(), &bytes].concat())?;
    }

    #[test]
    fn random_program_headers(entries in prop::collection::vec(entry(), 0..6), size in 0usize..0x4000) {
        check(&file(&entries, size))?;
    }

    #[test]
    fn mutated_files(changes in prop::collection::vec((0usize..1200, any::<u8>()), 1..8), cut in 0usize..20_000) {
        // This test's own file has every kind of program header.
        static ORIGINAL: std::sync::LazyLock<Vec<u8>> =
            std::sync::LazyLock::new(|| std::fs::read(std::env::current_exe().unwrap()).unwrap());
        let mut bytes = ORIGINAL[..(1 << 16).min(ORIGINAL.len())].to_vec();
        for (at, value) in changes {
            bytes[at] = value;
        }
        // As if the file had all its bytes, and cut short.
        let size = ORIGINAL.len() as u64;
        if let Ok(range) = program_headers_at(&bytes, size)
            && let Some(table) = bytes.get(range.offset as usize..).and_then(|rest| rest.get(..range.len))
            && let Ok(plan) = parse(&bytes, table, size)
        {
            promises(&plan, size)?;
        }
        bytes.truncate(cut);
        check(&bytes)?;
    }
}

/// Bytes shorter than the table that was asked for are an error, not a panic.
#[test]
fn short_table() {
    let bytes = file(&[crate::support::load(0, 0, 8, 8)], 0x100);
    let error = parse(&bytes, &bytes[64..100], bytes.len() as u64).unwrap_err();
    assert!(error.to_string().starts_with("the file is truncated: the program header table"));
}
