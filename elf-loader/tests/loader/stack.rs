//! Decodes stack images as a C library's start code does.

use husk_elf_loader::stack::{AuxEntry, InitialStack, STRING_LIMIT, StackContents, StackError, build};
use proptest::prelude::*;

const TOP: u64 = 0x7fff_ffff_f000;
const LIMIT: u64 = 8 << 20;

/// Reads the image at guest addresses.
struct Memory<'a>(&'a InitialStack);

impl Memory<'_> {
    fn bytes(&self, address: u64, len: usize) -> &[u8] {
        &self.0.bytes[(address - self.0.sp) as usize..][..len]
    }

    fn word(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.bytes(address, 8).try_into().unwrap())
    }

    fn string(&self, address: u64) -> &[u8] {
        let tail = &self.0.bytes[(address - self.0.sp) as usize..];
        tail.split(|byte| *byte == 0).next().unwrap()
    }

    /// A null-terminated list of words and the address behind it.
    fn words(&self, mut address: u64) -> (Vec<u64>, u64) {
        let mut list = Vec::new();
        loop {
            let word = self.word(address);
            address += 8;
            if word == 0 {
                return (list, address);
            }
            list.push(word);
        }
    }
}

struct Decoded {
    argv: Vec<Vec<u8>>,
    envp: Vec<Vec<u8>>,
    auxv: Vec<(u64, u64)>,
}

fn decode(stack: &InitialStack) -> Decoded {
    let memory = Memory(stack);
    let strings = |list: &[u64]| list.iter().map(|at| memory.string(*at).to_vec()).collect::<Vec<_>>();
    let argc = memory.word(stack.sp);
    let (argv, next) = memory.words(stack.sp + 8);
    assert_eq!(argv.len() as u64, argc);
    let (envp, mut next) = memory.words(next);
    let start = next;
    let mut auxv = Vec::new();
    while memory.word(next) != 0 {
        auxv.push((memory.word(next), memory.word(next + 8)));
        next += 16;
    }
    assert_eq!(stack.auxv, memory.bytes(start, (next + 16 - start) as usize));
    Decoded { argv: strings(&argv), envp: strings(&envp), auxv }
}

fn contents<'a>(argv: &'a [&'a [u8]], envp: &'a [&'a [u8]]) -> StackContents<'a> {
    StackContents { argv, envp, execfn: b"/bin/prog", random: *b"0123456789abcdef", auxv: &[] }
}

#[test]
fn everything_is_found() {
    let auxv = [AuxEntry::PageSize(4096), AuxEntry::Entry(0x40_1000), AuxEntry::Secure(false)];
    let argv: [&[u8]; 3] = [b"prog", b"", b"a b"];
    let stack = build(&StackContents { auxv: &auxv, ..contents(&argv, &[b"K=a=b"]) }, TOP, LIMIT).unwrap();
    assert_eq!(stack.sp % 16, 0);
    assert_eq!(stack.sp + stack.bytes.len() as u64, TOP);
    let memory = Memory(&stack);
    let found = decode(&stack);
    assert_eq!(found.argv, argv);
    assert_eq!(found.envp, [b"K=a=b"]);
    assert_eq!(found.auxv[..3], [(6, 4096), (9, 0x40_1000), (23, 0)]);
    let value = |kind| found.auxv.iter().find(|(key, _)| *key == kind).unwrap().1;
    assert_eq!(memory.bytes(value(25), 16), b"0123456789abcdef");
    assert_eq!(memory.string(value(31)), b"/bin/prog");
    assert_eq!(memory.string(value(15)), b"x86_64");
    assert_eq!(memory.word(TOP - 8), 0);
    assert_eq!(value(31), TOP - 8 - 10);
    let len = |range: &std::ops::Range<u64>| (range.end - range.start) as usize;
    assert_eq!(memory.bytes(stack.args.start, len(&stack.args)), b"prog\0\0a b\0");
    assert_eq!(memory.bytes(stack.env.start, len(&stack.env)), b"K=a=b\0");
    assert_eq!(stack.args.end, stack.env.start);
}

#[test]
fn no_arguments_become_one_empty_one() {
    let found = decode(&build(&contents(&[], &[]), TOP, LIMIT).unwrap());
    assert_eq!(found.argv, [b""]);
    assert!(found.envp.is_empty());
}

#[test]
fn limits() {
    let longest = vec![b'x'; STRING_LIMIT - 1];
    let too_long = vec![b'x'; STRING_LIMIT];
    assert!(build(&contents(&[&longest], &[]), TOP, LIMIT).is_ok());
    let error = build(&contents(&[&too_long], &[]), TOP, LIMIT).unwrap_err();
    assert_eq!((error, error.errno()), (StackError::StringTooLong(STRING_LIMIT), 7));
    // Two of the longest fit in a quarter of 8 MiB, not in one of 1 MiB nor in the minimum of 128 KiB.
    assert!(build(&contents(&[&longest, &longest], &[]), TOP, LIMIT).is_ok());
    assert!(build(&contents(&[&longest, &longest], &[]), TOP, 1 << 20).is_err());
    assert!(build(&contents(&[&longest[..100_000]], &[]), TOP, 4096).is_ok());
    // However large the stack, 6 MiB is all.
    let many = vec![longest.as_slice(); 48];
    let error = build(&contents(&many, &[]), TOP, u64::MAX).unwrap_err();
    assert!(matches!(error, StackError::TooLarge { limit: 0x60_0000, .. }), "{error}");
    assert_eq!(error.errno(), 7);
    assert_eq!(build(&contents(&[b"a\0b"], &[]), TOP, LIMIT), Err(StackError::ZeroByte));
}

proptest! {
    #[test]
    fn round_trip(
        argv in prop::collection::vec(prop::collection::vec(1u8..=255, 0..40), 1..20),
        envp in prop::collection::vec(prop::collection::vec(1u8..=255, 0..40), 0..20),
        count in 0usize..5,
    ) {
        let argv_slices: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
        let envp_slices: Vec<&[u8]> = envp.iter().map(Vec::as_slice).collect();
        let auxv = vec![AuxEntry::Hwcap(7); count];
        let contents = StackContents { auxv: &auxv, ..contents(&argv_slices, &envp_slices) };
        let stack = build(&contents, TOP, LIMIT).unwrap();
        prop_assert_eq!(stack.sp % 16, 0);
        prop_assert_eq!(stack.sp + stack.bytes.len() as u64, TOP);
        let found = decode(&stack);
        prop_assert_eq!(found.argv, argv);
        prop_assert_eq!(found.envp, envp);
        prop_assert_eq!(found.auxv.len(), count + 3);
    }
}
