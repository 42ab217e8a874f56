//! uname(2), sethostname(2), setdomainname(2), sysinfo(2), syslog(2).

use crate::args::{UserPtr, UserSlice};
use crate::boot;
use crate::credentials::Capability;
use crate::mm::PAGE;
use crate::pid;
use crate::task::Task;
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_machine::sync::SpinLock;
use husk_machine::{frame, time, usage};
use linux_raw_sys::system;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The release that programs see: the Linux whose calls these are.
pub(crate) const RELEASE: &str = "6.12.0-husk";
/// The version, which names the kernel behind.
pub(crate) const VERSION: &str = concat!("#1 Husk ", env!("CARGO_PKG_VERSION"));
/// Longest host or domain name (`__NEW_UTS_LEN`).
const NAME_MAX: usize = 64;

static NAMES: SpinLock<Names> = SpinLock::new(Names { host: None, domain: None });

struct Names {
    host: Option<Vec<u8>>,
    domain: Option<Vec<u8>>,
}

/// The node name now.
pub(crate) fn hostname() -> Vec<u8> {
    NAMES.lock().host.clone().unwrap_or_else(|| boot::hostname().to_vec())
}

/// The domain name now.
pub(crate) fn domainname() -> Vec<u8> {
    NAMES.lock().domain.clone().unwrap_or_else(|| b"(none)".to_vec())
}

type Field = [u8; NAME_MAX + 1];

fn field(text: &[u8]) -> Field {
    let mut field = [0; NAME_MAX + 1];
    let len = text.len().min(NAME_MAX);
    field[..len].copy_from_slice(&text[..len]);
    field
}

/// uname(2).
pub(crate) fn uname(task: &Task, name: UserPtr<[Field; 6]>) -> Result<(), Errno> {
    name.write(
        task.mm(),
        &[
            field(b"Linux"),
            field(&hostname()),
            field(RELEASE.as_bytes()),
            field(VERSION.as_bytes()),
            field(b"x86_64"),
            field(&domainname()),
        ],
    )
}

fn new_name(task: &Task, name: UserSlice) -> Result<Vec<u8>, Errno> {
    if !task.has_capability(Capability::SYS_ADMIN) {
        return err!(EPERM);
    }
    // The length is an int there.
    if name.len > NAME_MAX {
        return err!(EINVAL);
    }
    name.read(task.mm())
}

/// sethostname(2).
pub(crate) fn sethostname(task: &Task, name: UserSlice) -> Result<(), Errno> {
    let name = new_name(task, name)?;
    NAMES.lock().host = Some(name);
    Ok(())
}

/// setdomainname(2).
pub(crate) fn setdomainname(task: &Task, name: UserSlice) -> Result<(), Errno> {
    let name = new_name(task, name)?;
    NAMES.lock().domain = Some(name);
    Ok(())
}

/// `struct sysinfo`.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct SysInfo {
    uptime: i64,
    loads: [u64; 3],
    total_ram: u64,
    free_ram: u64,
    shared_ram: u64,
    buffer_ram: u64,
    total_swap: u64,
    free_swap: u64,
    processes: u16,
    pad: u16,
    pad2: u32,
    total_high: u64,
    free_high: u64,
    unit: u32,
    pad3: u32,
}

const _: () = assert!(size_of::<SysInfo>() == size_of::<system::sysinfo>());

/// sysinfo(2).
pub(crate) fn sysinfo(task: &Task, info: UserPtr<SysInfo>) -> Result<(), Errno> {
    let stats = frame::stats();
    let threads: usize = pid::processes().iter().map(|process| process.thread_count()).sum();
    info.write(
        task.mm(),
        &SysInfo {
            // Linux rounds up.
            uptime: time::monotonic_ns().div_ceil(1_000_000_000) as i64,
            loads: usage::load_averages(),
            total_ram: stats.total as u64 * PAGE,
            free_ram: stats.free as u64 * PAGE,
            processes: threads as u16,
            unit: 1,
            ..SysInfo::default()
        },
    )
}

/// syslog(2): the kernel's log goes to the serial line, and is not kept.
pub(crate) fn syslog(task: &Task, action: u32, buffer: u64, len: i32) -> Result<i32, Errno> {
    const READ: u32 = 2;
    const READ_ALL: u32 = 3;
    const READ_CLEAR: u32 = 4;
    const SIZE_UNREAD: u32 = 9;
    const SIZE_BUFFER: u32 = 10;
    if !matches!(action, READ_ALL | SIZE_BUFFER) && !task.has_capability(Capability::SYS_ADMIN) {
        return err!(EPERM);
    }
    match action {
        READ | READ_ALL | READ_CLEAR if buffer == 0 || len < 0 => err!(EINVAL),
        READ_ALL | READ_CLEAR | SIZE_UNREAD | SIZE_BUFFER => Ok(0),
        // Open, close, clear, and the console's level: nothing to change.
        0 | 1 | 5..=8 => Ok(0),
        READ => err!(ENOSYS),
        _ => err!(EINVAL),
    }
}
