//! A process for tests, on the simulated machine.

use crate::credentials::Credentials;
use crate::file::FdTable;
use crate::fs_state::FsState;
use crate::limits::Limits;
use crate::mm::tests::{request, space};
use crate::mm::{PAGE, Placement};
use crate::process::{Process, ProcessParts};
use crate::task::{Task, TaskParts};
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::Timespec;
use husk_fs::{Clock, DeviceNumber, MemFs, MountFlags, Namespace};

/// Where the test's program has memory: 64 pages, readable and writable.
pub(crate) const MEMORY: u64 = 0x10_0000;

struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Timespec {
        Timespec::default()
    }
}

/// An empty tree of files.
pub(crate) fn namespace() -> Arc<Namespace> {
    let limits = husk_fs::Limits { pages: 1 << 20, inodes: 1 << 20 };
    let root = MemFs::tmpfs(DeviceNumber::new(0, 98), Arc::new(NoClock), limits);
    Namespace::new(root, b"none", MountFlags::empty())
}

/// The first thread of a process with [`MEMORY`].
pub(crate) fn task() -> Arc<Task> {
    let space = space();
    space.map(request(Placement::Fixed(MEMORY), 64)).unwrap();
    let process =
        Process::new(ProcessParts { mm: Arc::new(space), limits: Limits::initial(1 << 20), exe: None });
    let root = namespace().root();
    Task::leader(
        &process,
        TaskParts {
            files: Arc::new(FdTable::new()),
            fs: Arc::new(FsState::new(root.clone(), root)),
            credentials: Arc::new(Credentials::new(0, 0)),
            comm: b"test".to_vec(),
        },
    )
}

/// The end of [`MEMORY`].
pub(crate) const MEMORY_END: u64 = MEMORY + 64 * PAGE;

/// Bytes of the program's memory.
pub(crate) fn memory(task: &Task, addr: u64, len: usize) -> Vec<u8> {
    let mut bytes = alloc::vec![0; len];
    task.mm().copy_in(&mut bytes, addr).unwrap();
    bytes
}
