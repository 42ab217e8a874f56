//! User and group ids, supplementary groups and capabilities (credentials(7), capabilities(7)).

use alloc::vec::Vec;

/// All capabilities Linux 6.12 knows: up to `CAP_CHECKPOINT_RESTORE` (40).
pub(crate) const CAP_LAST: u32 = 40;
/// The set of all of them.
pub(crate) const CAP_ALL: u64 = (1 << (CAP_LAST + 1)) - 1;

/// A capability by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capability(pub(crate) u32);

impl Capability {
    pub(crate) const CHOWN: Self = Self(0);
    pub(crate) const DAC_OVERRIDE: Self = Self(1);
    pub(crate) const DAC_READ_SEARCH: Self = Self(2);
    pub(crate) const FOWNER: Self = Self(3);
    pub(crate) const FSETID: Self = Self(4);
    pub(crate) const KILL: Self = Self(5);
    pub(crate) const SETGID: Self = Self(6);
    pub(crate) const SETUID: Self = Self(7);
    pub(crate) const SETPCAP: Self = Self(8);
    pub(crate) const NET_BIND_SERVICE: Self = Self(10);
    pub(crate) const IPC_LOCK: Self = Self(14);
    pub(crate) const SYS_RAWIO: Self = Self(17);
    pub(crate) const SYS_CHROOT: Self = Self(18);
    pub(crate) const SYS_ADMIN: Self = Self(21);
    pub(crate) const SYS_NICE: Self = Self(23);
    pub(crate) const SYS_RESOURCE: Self = Self(24);
    pub(crate) const SYS_TIME: Self = Self(25);
    pub(crate) const MKNOD: Self = Self(27);
    pub(crate) const WAKE_ALARM: Self = Self(35);
}

/// The user ids or the group ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    /// Real.
    pub(crate) real: u32,
    /// Effective.
    pub(crate) effective: u32,
    /// Saved.
    pub(crate) saved: u32,
    /// For file access.
    pub(crate) fs: u32,
}

impl Ids {
    /// All of them the same.
    pub(crate) const fn all(id: u32) -> Self {
        Self { real: id, effective: id, saved: id, fs: id }
    }
}

/// A thread's credentials: never changed in place, but replaced by a new object.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    /// User ids.
    pub(crate) uid: Ids,
    /// Group ids.
    pub(crate) gid: Ids,
    /// Supplementary groups, sorted.
    pub(crate) groups: Vec<u32>,
    /// Capability sets as bit masks.
    pub(crate) permitted: u64,
    /// Capabilities in force.
    pub(crate) effective: u64,
    /// Capabilities kept over execve(2).
    pub(crate) inheritable: u64,
    /// Capabilities that can be gained at all.
    pub(crate) bounding: u64,
    /// Capabilities kept over execve(2) of a program without any.
    pub(crate) ambient: u64,
    /// `SECBIT_*` of prctl(2).
    pub(crate) securebits: u32,
}

impl Credentials {
    /// Those of a program started with these ids: all capabilities for the superuser, none for others.
    pub(crate) fn new(uid: u32, gid: u32) -> Self {
        let capabilities = if uid == 0 { CAP_ALL } else { 0 };
        Self {
            uid: Ids::all(uid),
            gid: Ids::all(gid),
            groups: Vec::new(),
            permitted: capabilities,
            effective: capabilities,
            inheritable: 0,
            bounding: CAP_ALL,
            ambient: 0,
            securebits: 0,
        }
    }

    /// Whether the capability is in force (capable() in Linux).
    pub(crate) fn has(&self, capability: Capability) -> bool {
        self.effective & (1 << capability.0) != 0
    }

    /// As filesystems check them.
    pub(crate) fn for_files(&self) -> husk_fs::Credentials {
        use husk_fs::Capabilities as Held;
        let held = [
            (Capability::CHOWN, Held::CHOWN),
            (Capability::DAC_OVERRIDE, Held::DAC_OVERRIDE),
            (Capability::DAC_READ_SEARCH, Held::DAC_READ_SEARCH),
            (Capability::FOWNER, Held::FOWNER),
            (Capability::FSETID, Held::FSETID),
            (Capability::MKNOD, Held::MKNOD),
            (Capability::SYS_ADMIN, Held::SYS_ADMIN),
        ];
        let held = held.into_iter().filter(|(capability, _)| self.has(*capability)).map(|(_, held)| held);
        husk_fs::Credentials {
            uid: self.uid.fs,
            gid: self.gid.fs,
            groups: self.groups.clone(),
            capabilities: held.collect(),
        }
    }
}
