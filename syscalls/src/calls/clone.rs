//! clone(2), clone3(2): new threads. New processes are refused: a VM holds one.

use super::process::refuse;
use crate::args::UserPtr;
use crate::credentials::Capability;
use crate::limits::Resource;
use crate::mm::{PAGE, USER_END};
use crate::pid;
use crate::run;
use crate::task::{Task, ThreadParts};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use husk_machine::user::UserContext;
use linux_raw_sys::general as sys;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The low bits of clone(2)'s flags: the signal that the parent gets when the child ends.
const CSIGNAL: u64 = 0xff;
/// clone3(2) alone: no handlers are inherited, the child is in another control group.
const CLEAR_SIGHAND: u64 = 1 << 32;
const INTO_CGROUP: u64 = 1 << 33;

/// `struct clone_args` in its third version.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const VERSION_0: usize = 64;
const VERSION_2: usize = size_of::<CloneArgs>();
const _: () = assert!(size_of::<CloneArgs>() == sys::CLONE_ARGS_SIZE_VER2 as usize);

/// What a new thread is made from, once the two calls' arguments are the same.
struct Request {
    flags: u64,
    /// The stack pointer; 0 for the parent's.
    stack_pointer: u64,
    parent_tid: UserPtr<i32>,
    child_tid: u64,
    tls: u64,
}

impl Request {
    fn has(&self, flag: u32) -> bool {
        has(self.flags, flag)
    }
}

fn has(flags: u64, flag: u32) -> bool {
    flags & u64::from(flag) != 0
}

/// clone(2).
pub(crate) fn clone(
    task: &Task,
    context: &mut UserContext,
    flags: u32,
    stack_pointer: u64,
    parent_tid: UserPtr<i32>,
    child_tid: u64,
    tls: u64,
) -> Result<i32, Errno> {
    let flags = u64::from(flags) & !CSIGNAL;
    start(task, context, &Request { flags, stack_pointer, parent_tid, child_tid, tls })
}

/// clone3(2).
pub(crate) fn clone3(
    task: &Task,
    context: &mut UserContext,
    arguments: UserPtr<u8>,
    size: usize,
) -> Result<i32, Errno> {
    if size > PAGE as usize {
        return err!(E2BIG);
    }
    if size < VERSION_0 {
        return err!(EINVAL);
    }
    let bytes = arguments.read_array(task.mm(), size)?;
    let (known, unknown) = bytes.split_at(size.min(VERSION_2));
    if unknown.iter().any(|&byte| byte != 0) {
        return err!(E2BIG);
    }
    let mut args = CloneArgs::default();
    args.as_mut_bytes()[..known.len()].copy_from_slice(known);
    check_clone3(task, &args, size)?;
    let request = Request {
        flags: args.flags,
        stack_pointer: if args.stack == 0 { 0 } else { args.stack + args.stack_size },
        parent_tid: UserPtr::new(args.parent_tid),
        child_tid: args.child_tid,
        tls: args.tls,
    };
    start(task, context, &request)
}

/// copy_clone_args_from_user() and clone3_args_valid() in Linux.
fn check_clone3(task: &Task, args: &CloneArgs, size: usize) -> Result<(), Errno> {
    const MAX_PID_LEVELS: u64 = 32;
    const LAST_SIGNAL: u64 = 64;
    const LEGACY_FLAGS: u64 = 0xffff_ffff;
    if args.set_tid_size > MAX_PID_LEVELS || (args.set_tid == 0) != (args.set_tid_size == 0) {
        return err!(EINVAL);
    }
    if args.exit_signal > LAST_SIGNAL {
        return err!(EINVAL);
    }
    if args.flags & INTO_CGROUP != 0 && (args.cgroup > i32::MAX as u64 || size < VERSION_2) {
        return err!(EINVAL);
    }
    if args.set_tid != 0 {
        UserPtr::<i32>::new(args.set_tid).read_array(task.mm(), args.set_tid_size as usize)?;
    }
    let flags = args.flags;
    if flags & !(LEGACY_FLAGS | CLEAR_SIGHAND | INTO_CGROUP) != 0
        || flags & (u64::from(sys::CLONE_DETACHED) | CSIGNAL & !u64::from(sys::CLONE_NEWTIME)) != 0
        || flags & CLEAR_SIGHAND != 0 && has(flags, sys::CLONE_SIGHAND)
        || has(flags, sys::CLONE_THREAD | sys::CLONE_PARENT) && args.exit_signal != 0
    {
        return err!(EINVAL);
    }
    let stack_fits = args.stack.checked_add(args.stack_size).is_some_and(|end| end <= USER_END);
    if (args.stack == 0) != (args.stack_size == 0) || !stack_fits {
        return err!(EINVAL);
    }
    if flags & INTO_CGROUP != 0 {
        // No descriptor is that of a control group.
        return err!(EBADF);
    }
    if args.set_tid != 0 && has(flags, sys::CLONE_THREAD) {
        // Ids are given in turn.
        return err!(EPERM);
    }
    Ok(())
}

/// copy_process() in Linux, as far as flags go that contradict each other.
fn check_flags(flags: u64) -> Result<(), Errno> {
    let has = |flag: u32| has(flags, flag);
    if has(sys::CLONE_FS) && has(sys::CLONE_NEWNS | sys::CLONE_NEWUSER)
        || has(sys::CLONE_THREAD) && !has(sys::CLONE_SIGHAND)
        || has(sys::CLONE_SIGHAND) && !has(sys::CLONE_VM)
        || has(sys::CLONE_THREAD) && has(sys::CLONE_NEWUSER | sys::CLONE_NEWPID)
        || has(sys::CLONE_PIDFD) && has(sys::CLONE_DETACHED)
    {
        return err!(EINVAL);
    }
    Ok(())
}

fn start(task: &Task, context: &mut UserContext, request: &Request) -> Result<i32, Errno> {
    /// There are no namespaces and no descriptors of processes, and a thread cannot hold its parent up.
    const NOT_FOR_THREADS: u32 = sys::CLONE_PIDFD
        | sys::CLONE_VFORK
        | sys::CLONE_NEWNS
        | sys::CLONE_NEWCGROUP
        | sys::CLONE_NEWUTS
        | sys::CLONE_NEWIPC
        | sys::CLONE_NEWNET
        | sys::CLONE_NEWTIME;
    check_flags(request.flags)?;
    if !request.has(sys::CLONE_THREAD) {
        return Err(refuse("clone of a process"));
    }
    if request.has(NOT_FOR_THREADS) {
        return err!(EINVAL);
    }
    check_count(task)?;
    if request.has(sys::CLONE_SETTLS) && request.tls >= USER_END {
        return err!(EPERM);
    }
    let mut registers = context.try_clone().map_err(|_| Errno::ENOMEM.here())?;
    registers.regs.rax = 0;
    if request.stack_pointer != 0 {
        registers.regs.rsp = request.stack_pointer;
    }
    if request.has(sys::CLONE_SETTLS) {
        registers.regs.fs_base = request.tls;
    }
    let files = task.files();
    let parts = ThreadParts {
        files: if request.has(sys::CLONE_FILES) { files } else { Arc::new(files.duplicate()) },
        fs: if request.has(sys::CLONE_FS) { task.fs() } else { Arc::new(task.fs().duplicate()) },
    };
    let child = task.new_thread(parts);
    let tid = child.tid();
    if request.has(sys::CLONE_CHILD_CLEARTID) {
        child.clear_child_tid.store(request.child_tid, Ordering::Relaxed);
    }
    let child_tid = request.has(sys::CLONE_CHILD_SETTID).then_some(UserPtr::new(request.child_tid));
    if request.has(sys::CLONE_PARENT_SETTID) {
        // Linux does not report a bad address either.
        let _ = request.parent_tid.write(task.mm(), &tid);
    }
    task.process().add_thread(&child);
    if run::start_thread(child.clone(), registers, child_tid).is_err() {
        task.process().remove_thread(&child);
        return err!(ENOMEM);
    }
    Ok(tid)
}

/// RLIMIT_NPROC, which does not concern the superuser, and the most threads there may be (`kernel.threads-max`).
fn check_count(task: &Task) -> Result<(), Errno> {
    let credentials = task.credentials();
    let processes = pid::processes();
    let all: usize = processes.iter().map(|process| process.thread_count()).sum();
    if all as u64 >= pid::threads_max() {
        return err!(EAGAIN);
    }
    let limit = task.process().limit(Resource::NPROC).soft;
    let exempt = credentials.uid.real == 0
        || credentials.has(Capability::SYS_RESOURCE)
        || credentials.has(Capability::SYS_ADMIN);
    if exempt || (all as u64) < limit {
        return Ok(());
    }
    let threads = processes.iter().flat_map(|process| process.threads());
    let own = threads.filter(|other| other.credentials().uid.real == credentials.uid.real).count();
    if own as u64 >= limit { err!(EAGAIN) } else { Ok(()) }
}
