//! Starting small programs on the simulated machine.

use super::{ProgramStart, start};
use crate::credentials::Credentials;
use crate::limits::Limits;
use crate::mm::{PAGE, Prot};
use crate::test_support::namespace;
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::Errno;
use husk_fs::io::SliceSource;
use husk_fs::{NewKind, WalkContext, WriteAt, ops};

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;

/// A program with one segment at `vaddr`, of which the file has 0x200 bytes and memory 0x3000.
fn elf(kind: u16, vaddr: u64, interpreter: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = alloc::vec![0; 0x200];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &kind.to_le_bytes());
    put(18, &62_u16.to_le_bytes());
    put(20, &1_u32.to_le_bytes());
    put(24, &(vaddr + 0x180).to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    put(52, &64_u16.to_le_bytes());
    put(54, &56_u16.to_le_bytes());
    put(56, &(1 + u16::from(interpreter.is_some())).to_le_bytes());
    let mut header = |at: usize, kind: u32, flags: u32, words: [u64; 6]| {
        put(at, &kind.to_le_bytes());
        put(at + 4, &flags.to_le_bytes());
        for (index, word) in words.into_iter().enumerate() {
            put(at + 8 + index * 8, &word.to_le_bytes());
        }
    };
    header(64, 1, 7, [0, vaddr, vaddr, 0x200, 0x3000, PAGE]);
    if let Some(path) = interpreter {
        header(
            120,
            3,
            4,
            [0x1c0, vaddr + 0x1c0, vaddr + 0x1c0, path.len() as u64 + 1, path.len() as u64 + 1, 1],
        );
        put(0x1c0, path);
    }
    put(0x180, &[0x90; 16]);
    bytes
}

struct Files {
    walk: WalkContext,
}

impl Files {
    fn new() -> Self {
        let root = namespace().root();
        let credentials = Arc::new(husk_fs::Credentials::root());
        Self { walk: WalkContext { root: root.clone(), cwd: root, credentials } }
    }

    fn add(&self, path: &[u8], mode: u32, contents: &[u8]) {
        let file = ops::make(&self.walk, None, path, NewKind::Regular, mode).unwrap();
        file.inode().write_at(WriteAt::Offset(0), &mut SliceSource::new(contents)).unwrap();
    }

    fn start(&self, path: &[u8]) -> Result<super::start::Start, (Errno, String)> {
        start(ProgramStart {
            path,
            argv: Vec::from([b"zero".as_slice(), b"one"]),
            envp: Vec::from([b"A=b".as_slice()]),
            walk: &self.walk,
            credentials: Credentials::new(0, 0),
            limits: &Limits::initial(1 << 20),
        })
        .map_err(|error| (error.errno, error.message))
    }
}

/// argc and argv as the program finds them.
fn arguments(start: &super::start::Start) -> Vec<Vec<u8>> {
    let word = |addr: u64| {
        let mut bytes = [0; 8];
        start.mm.read_foreign(addr, &mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    };
    let sp = start.context.regs.rsp;
    assert_eq!(sp % 16, 0);
    let string = |addr: u64| {
        let mut bytes = [0; 64];
        let room = (64).min(start.mm.layout().stack_top - addr) as usize;
        start.mm.read_foreign(addr, &mut bytes[..room]).unwrap();
        bytes.split(|&byte| byte == 0).next().unwrap().to_vec()
    };
    (0..word(sp)).map(|index| string(word(sp + 8 + index * 8))).collect()
}

#[test]
fn a_fixed_program() {
    let files = Files::new();
    files.add(b"/program", 0o755, &elf(ET_EXEC, 0x40_0000, None));
    let started = files.start(b"/program").unwrap();
    assert_eq!(started.context.regs.rip, 0x40_0180);
    assert_eq!(started.comm, b"program");
    assert_eq!(arguments(&started), [b"zero".to_vec(), b"one".to_vec()]);
    // Text is read when touched; .bss is zero though the file's page goes on.
    let mut byte = [0];
    started.mm.read_foreign(0x40_0180, &mut byte).unwrap();
    assert_eq!(byte, [0x90]);
    started.mm.read_foreign(0x40_2fff, &mut byte).unwrap();
    assert_eq!(byte, [0]);
    assert_eq!(started.mm.read_foreign(0x40_3000, &mut byte), Err(Errno::EFAULT));
    let vmas = started.mm.vmas();
    assert_eq!(vmas[0].start, 0x40_0000);
    assert!(vmas.iter().any(|vma| format!("{:?}", vma.name) == "[stack]" && !vma.prot.contains(Prot::EXEC)));
}

#[test]
fn a_position_independent_program_with_its_loader() {
    let files = Files::new();
    files.add(b"/loader", 0o755, &elf(ET_DYN, 0, None));
    files.add(b"/program", 0o755, &elf(ET_DYN, 0, Some(b"/loader")));
    let started = files.start(b"/program").unwrap();
    let vmas = started.mm.vmas();
    let program = vmas[0].start;
    assert!((0x5555_5555_4000..0x6555_5555_5000).contains(&program), "{program:#x}");
    let loader = started.context.regs.rip - 0x180;
    assert!(loader > 0x7000_0000_0000, "{loader:#x}");
    let auxv = started.mm.layout().auxv;
    let entry = |kind: u64| {
        let pair = auxv.chunks_exact(16).find(|pair| pair[..8] == kind.to_le_bytes()).unwrap();
        u64::from_le_bytes(pair[8..].try_into().unwrap())
    };
    assert_eq!((entry(7), entry(9), entry(3)), (loader, program + 0x180, program + 64));
    assert_ne!(files.start(b"/program").unwrap().mm.vmas()[0].start, program, "placed at random");

    let vdso = entry(33);
    let name_at = |addr| vmas.iter().find(|vma| vma.start == addr).map(|vma| format!("{:?}", vma.name));
    assert_eq!(name_at(vdso).as_deref(), Some("[vdso]"));
    assert_eq!(name_at(vdso - PAGE).as_deref(), Some("[vvar]"));
    let mut object = [0; PAGE as usize];
    started.mm.read_foreign(vdso, &mut object).unwrap();
    assert!(object.starts_with(b"\x7fELF") && object[0x800..].starts_with(&husk_machine::vdso::code()[..64]));
    assert_eq!(started.mm.write_foreign(vdso, &[0]), Err(Errno::EFAULT));
    // A debugger may make it writable, and then has a copy.
    let all = Prot::READ | Prot::WRITE | Prot::EXEC;
    started.mm.protect(vdso, PAGE, all, false).unwrap();
    started.mm.write_foreign(vdso, &[1, 2, 3]).unwrap();
    started.mm.read_foreign(vdso, &mut object[..4]).unwrap();
    assert_eq!(object[..4], [1, 2, 3, b'F']);
    assert_eq!(started.mm.protect(vdso - PAGE, PAGE, Prot::READ | Prot::WRITE, false), Err(Errno::EACCES));
    let other = files.start(b"/program").unwrap();
    let theirs = other.mm.vmas().iter().find(|vma| format!("{:?}", vma.name) == "[vdso]").unwrap().start;
    other.mm.read_foreign(theirs, &mut object[..4]).unwrap();
    assert_eq!(&object[..4], b"\x7fELF");
}

#[test]
fn scripts() {
    let files = Files::new();
    files.add(b"/program", 0o755, &elf(ET_EXEC, 0x40_0000, None));
    files.add(b"/script", 0o755, b"#!/program -x y\n");
    files.add(b"/again", 0o755, b"#! /script\n");
    let text = |words: Vec<Vec<u8>>| String::from_utf8(words.join(&b' ')).unwrap();
    let started = files.start(b"/script").unwrap();
    assert_eq!(text(arguments(&started)), "/program -x y /script one");
    assert_eq!(started.comm, b"script");
    let nested = files.start(b"/again").unwrap();
    assert_eq!(text(arguments(&nested)), "/program -x y /script /again one");
    files.add(b"/loop", 0o755, b"#!/loop\n");
    assert_eq!(files.start(b"/loop").err().unwrap().0, Errno::ELOOP);
}

#[test]
fn refusals_say_what_is_wrong() {
    let files = Files::new();
    files.add(b"/text", 0o755, b"just text");
    files.add(b"/closed", 0o644, &elf(ET_EXEC, 0x40_0000, None));
    files.add(b"/orphan", 0o755, &elf(ET_DYN, 0, Some(b"/no/loader")));
    files.add(b"/bad", 0o755, b"#!/no/such/shell\n");
    let cases: [(&[u8], Errno, &str); 6] = [
        (b"/missing", Errno::ENOENT, "/missing: No such file or directory"),
        (b"/", Errno::EACCES, "/: Permission denied"),
        (b"/closed", Errno::EACCES, "/closed: Permission denied"),
        (b"/text", Errno::ENOEXEC, "/text: the file does not start with \\x7fELF: it is not an ELF program"),
        (b"/orphan", Errno::ENOENT, "/orphan: its interpreter /no/loader: No such file or directory"),
        (b"/bad", Errno::ENOENT, "/bad: its interpreter /no/such/shell: No such file or directory"),
    ];
    for (path, errno, message) in cases {
        let refused = files.start(path).err().unwrap();
        assert_eq!(refused, (errno, message.into()));
    }
}
