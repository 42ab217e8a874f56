//! User and group ids (credentials(7)).

use crate::args::UserPtr;
use crate::credentials::{CAP_ALL, Capability, Credentials, Ids};
use crate::task::Task;
use husk_abi::{Errno, err};

/// Stands for "leave it as it is".
const KEEP: u32 = u32::MAX;

const SECBIT_NO_SETUID_FIXUP: u32 = 1 << 2;
const SECBIT_KEEP_CAPS: u32 = 1 << 4;

/// getuid(2).
pub(crate) fn getuid(task: &Task) -> Result<u32, Errno> {
    Ok(task.credentials().uid.real)
}

/// geteuid(2).
pub(crate) fn geteuid(task: &Task) -> Result<u32, Errno> {
    Ok(task.credentials().uid.effective)
}

/// getgid(2).
pub(crate) fn getgid(task: &Task) -> Result<u32, Errno> {
    Ok(task.credentials().gid.real)
}

/// getegid(2).
pub(crate) fn getegid(task: &Task) -> Result<u32, Errno> {
    Ok(task.credentials().gid.effective)
}

/// getresuid(2).
pub(crate) fn getresuid(
    task: &Task,
    real: UserPtr<u32>,
    effective: UserPtr<u32>,
    saved: UserPtr<u32>,
) -> Result<(), Errno> {
    put(task, task.credentials().uid, [real, effective, saved])
}

/// getresgid(2).
pub(crate) fn getresgid(
    task: &Task,
    real: UserPtr<u32>,
    effective: UserPtr<u32>,
    saved: UserPtr<u32>,
) -> Result<(), Errno> {
    put(task, task.credentials().gid, [real, effective, saved])
}

fn put(task: &Task, ids: Ids, to: [UserPtr<u32>; 3]) -> Result<(), Errno> {
    let values = [ids.real, ids.effective, ids.saved];
    to.into_iter().zip(values).try_for_each(|(pointer, value)| pointer.write(task.mm(), &value))
}

/// setuid(2).
pub(crate) fn setuid(task: &Task, uid: u32) -> Result<(), Errno> {
    if uid == KEEP {
        return err!(EINVAL);
    }
    change_uid(task, |old, ids| {
        if old.has(Capability::SETUID) {
            ids.real = uid;
            ids.saved = uid;
        } else if uid != old.uid.real && uid != old.uid.saved {
            return err!(EPERM);
        }
        ids.effective = uid;
        Ok(())
    })
}

/// setgid(2).
pub(crate) fn setgid(task: &Task, gid: u32) -> Result<(), Errno> {
    if gid == KEEP {
        return err!(EINVAL);
    }
    change_gid(task, |old, ids| {
        if old.has(Capability::SETGID) {
            ids.real = gid;
            ids.saved = gid;
        } else if gid != old.gid.real && gid != old.gid.saved {
            return err!(EPERM);
        }
        ids.effective = gid;
        Ok(())
    })
}

/// setreuid(2).
pub(crate) fn setreuid(task: &Task, real: u32, effective: u32) -> Result<(), Errno> {
    change_uid(task, |old, ids| set_two(ids, old.uid, old.has(Capability::SETUID), real, effective))
}

/// setregid(2).
pub(crate) fn setregid(task: &Task, real: u32, effective: u32) -> Result<(), Errno> {
    change_gid(task, |old, ids| set_two(ids, old.gid, old.has(Capability::SETGID), real, effective))
}

fn set_two(ids: &mut Ids, old: Ids, privileged: bool, real: u32, effective: u32) -> Result<(), Errno> {
    if real != KEEP {
        if !privileged && real != old.real && real != old.effective {
            return err!(EPERM);
        }
        ids.real = real;
    }
    if effective != KEEP {
        if !privileged && ![old.real, old.effective, old.saved].contains(&effective) {
            return err!(EPERM);
        }
        ids.effective = effective;
    }
    if real != KEEP || effective != KEEP && effective != old.real {
        ids.saved = ids.effective;
    }
    Ok(())
}

/// setresuid(2).
pub(crate) fn setresuid(task: &Task, real: u32, effective: u32, saved: u32) -> Result<(), Errno> {
    change_uid(task, |old, ids| {
        set_three(ids, old.uid, old.has(Capability::SETUID), [real, effective, saved])
    })
}

/// setresgid(2).
pub(crate) fn setresgid(task: &Task, real: u32, effective: u32, saved: u32) -> Result<(), Errno> {
    change_gid(task, |old, ids| {
        set_three(ids, old.gid, old.has(Capability::SETGID), [real, effective, saved])
    })
}

fn set_three(ids: &mut Ids, old: Ids, privileged: bool, wanted: [u32; 3]) -> Result<(), Errno> {
    let mine = [old.real, old.effective, old.saved];
    if !privileged && wanted.iter().any(|id| *id != KEEP && !mine.contains(id)) {
        return err!(EPERM);
    }
    let keep = |wanted: u32, old: u32| if wanted == KEEP { old } else { wanted };
    ids.real = keep(wanted[0], old.real);
    ids.effective = keep(wanted[1], old.effective);
    ids.saved = keep(wanted[2], old.saved);
    Ok(())
}

/// setfsuid(2): the old value, whether it was changed or not.
pub(crate) fn setfsuid(task: &Task, uid: u32) -> Result<u32, Errno> {
    let old = task.credentials();
    let allowed = old.has(Capability::SETUID)
        || [old.uid.real, old.uid.effective, old.uid.saved, old.uid.fs].contains(&uid);
    if allowed && uid != KEEP && uid != old.uid.fs {
        let mut new = Credentials::clone(&old);
        new.uid.fs = uid;
        // The capabilities for files follow the file-access uid.
        const FILES: u64 = 0b1_1111 | 1 << 27;
        if old.securebits & SECBIT_NO_SETUID_FIXUP == 0 {
            if old.uid.fs == 0 && uid != 0 {
                new.effective &= !FILES;
            } else if old.uid.fs != 0 && uid == 0 {
                new.effective |= new.permitted & FILES;
            }
        }
        task.set_credentials(new);
    }
    Ok(old.uid.fs)
}

/// setfsgid(2): the old value, whether it was changed or not.
pub(crate) fn setfsgid(task: &Task, gid: u32) -> Result<u32, Errno> {
    let old = task.credentials();
    let allowed = old.has(Capability::SETGID)
        || [old.gid.real, old.gid.effective, old.gid.saved, old.gid.fs].contains(&gid);
    if allowed && gid != KEEP {
        let mut new = Credentials::clone(&old);
        new.gid.fs = gid;
        task.set_credentials(new);
    }
    Ok(old.gid.fs)
}

fn change_uid(
    task: &Task,
    change: impl FnOnce(&Credentials, &mut Ids) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let old = task.credentials();
    let mut ids = old.uid;
    change(&old, &mut ids)?;
    ids.fs = ids.effective;
    let mut new = Credentials::clone(&old);
    new.uid = ids;
    fix_capabilities(&old, &mut new);
    commit(task, &old, new);
    Ok(())
}

fn change_gid(
    task: &Task,
    change: impl FnOnce(&Credentials, &mut Ids) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let old = task.credentials();
    let mut ids = old.gid;
    change(&old, &mut ids)?;
    ids.fs = ids.effective;
    let mut new = Credentials::clone(&old);
    new.gid = ids;
    commit(task, &old, new);
    Ok(())
}

/// What changes of user ids do to capabilities (capabilities(7), "Effect of user ID changes on capabilities").
fn fix_capabilities(old: &Credentials, new: &mut Credentials) {
    if old.securebits & SECBIT_NO_SETUID_FIXUP != 0 {
        return;
    }
    let any_root = |ids: Ids| [ids.real, ids.effective, ids.saved].contains(&0);
    if any_root(old.uid) && !any_root(new.uid) {
        if old.securebits & SECBIT_KEEP_CAPS == 0 {
            new.permitted = 0;
            new.effective = 0;
        }
        new.ambient = 0;
    }
    if old.uid.effective == 0 && new.uid.effective != 0 {
        new.effective = 0;
    }
    if old.uid.effective != 0 && new.uid.effective == 0 {
        new.effective = new.permitted & CAP_ALL;
    }
}

/// A process whose effective ids change is no longer dumpable (Linux's `suid_dumpable` is 0).
fn commit(task: &Task, old: &Credentials, new: Credentials) {
    if old.uid.effective != new.uid.effective || old.gid.effective != new.gid.effective {
        task.process().dumpable.store(0, core::sync::atomic::Ordering::Relaxed);
        task.parent_death_signal.store(0, core::sync::atomic::Ordering::Relaxed);
    }
    task.set_credentials(new);
}
