//! Lines of a trace, compared with strace's.

use super::print;
use crate::table;
use crate::test_support::{MEMORY, task};
use husk_abi::Errno;
use linux_raw_sys::general as sys;

/// The line for a call whose arguments may point to what `memory` puts into the program's memory.
fn line(number: u32, args: [u64; 6], memory: &[(u64, &[u8])], result: Result<u64, Errno>) -> String {
    let task = task();
    for (at, bytes) in memory {
        task.mm().copy_out(MEMORY + at, bytes).unwrap();
    }
    let entry = table::entry(number.into()).unwrap();
    format!(
        "{} = {}",
        print::call(task.mm(), entry, &args, Some(&result)),
        print::result(Some(entry), &result)
    )
}

const CWD: u64 = sys::AT_FDCWD as u64;

#[test]
fn paths_and_flags() {
    let path: [(u64, &[u8]); 1] = [(0, b"/etc/a b\n\0")];
    let flags = u64::from(sys::O_RDWR | sys::O_CREAT | sys::O_CLOEXEC);
    assert_eq!(
        line(sys::__NR_openat, [CWD, MEMORY, flags, 0o644, 0, 0], &path, Ok(3)),
        r#"openat(AT_FDCWD, "/etc/a b\n", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 3"#
    );
    assert_eq!(
        line(sys::__NR_openat, [CWD, MEMORY, 0, 0o644, 0, 0], &path, Err(Errno::ENOENT)),
        r#"openat(AT_FDCWD, "/etc/a b\n", O_RDONLY) = -1 ENOENT (No such file or directory)"#
    );
    assert_eq!(
        line(sys::__NR_openat, [CWD, 1, u64::from(sys::O_TMPFILE), 0, 0, 0], &[], Err(Errno::EFAULT)),
        "openat(AT_FDCWD, 0x1, O_RDONLY|O_TMPFILE) = -1 EFAULT (Bad address)"
    );
    assert_eq!(
        line(sys::__NR_access, [MEMORY, 0, 0, 0, 0, 0], &path, Ok(0)),
        r#"access("/etc/a b\n", F_OK) = 0"#
    );
}

#[test]
fn buffers() {
    let bytes = [b"\x7fELF\0\x01\"".as_slice(), &[b'x'; 40]].concat();
    let args = [3, MEMORY, 4096, 0, 0, 0];
    assert_eq!(
        line(sys::__NR_read, args, &[(0, &bytes)], Ok(47)),
        format!("read(3, \"\\177ELF\\0\\1\\\"{}\"..., 4096) = 47", "x".repeat(25))
    );
    assert_eq!(line(sys::__NR_read, args, &[(0, &bytes)], Ok(0)), "read(3, \"\", 4096) = 0");
    let failed = line(sys::__NR_read, args, &[(0, &bytes)], Err(Errno::EAGAIN));
    assert_eq!(failed, format!("read(3, {MEMORY:#x}, 4096) = -1 EAGAIN (Resource temporarily unavailable)"));
    let mut vectors = Vec::new();
    for (at, len) in [(MEMORY + 64, 2_u64), (MEMORY + 66, 3)] {
        vectors.extend(at.to_le_bytes());
        vectors.extend(len.to_le_bytes());
    }
    assert_eq!(
        line(sys::__NR_writev, [1, MEMORY, 2, 0, 0, 0], &[(0, &vectors), (64, b"abcde")], Ok(5)),
        r#"writev(1, [{iov_base="ab", iov_len=2}, {iov_base="cde", iov_len=3}], 2) = 5"#
    );
}

#[test]
fn memory_and_signals() {
    let flags = u64::from(sys::MAP_PRIVATE | sys::MAP_ANONYMOUS);
    assert_eq!(
        line(sys::__NR_mmap, [0, 8192, 3, flags, u64::from(u32::MAX), 0], &[], Ok(0x7f00_0000_0000)),
        "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000"
    );
    let set = (1_u64 << 1 | 1 << 14).to_le_bytes();
    assert_eq!(
        line(sys::__NR_rt_sigprocmask, [0, MEMORY, MEMORY + 8, 8, 0, 0], &[(0, &set)], Ok(0)),
        "rt_sigprocmask(SIG_BLOCK, [INT TERM], [], 8) = 0"
    );
    assert_eq!(line(sys::__NR_kill, [2, 11, 0, 0, 0, 0], &[], Ok(0)), "kill(2, SIGSEGV) = 0");
    assert_eq!(
        line(sys::__NR_pause, [0; 6], &[], Err(Errno::ERESTARTNOHAND)),
        "pause() = ? ERESTARTNOHAND (restart if no handler ran)"
    );
}
