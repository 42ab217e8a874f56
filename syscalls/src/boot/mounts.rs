//! The tree of files at boot: the root image with changes in memory, and the filesystems that need no disk.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use husk_abi::Timespec;
use husk_fs::{
    Clock, Credentials, DeviceNumber, Ext4, FileSystem, Limits, Location, LookupFlags, MemFs, MountFlags,
    Namespace, NewKind, WalkContext,
};
use husk_machine::{devices, frame, time};

/// The wall clock.
struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timespec {
        Timespec::from_nanos(time::realtime_ns())
    }
}

/// The wall clock, for filesystems.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(WallClock)
}

/// The next device number for a filesystem without a device (Linux's major 0).
pub(crate) fn anonymous_device() -> DeviceNumber {
    use core::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(20);
    DeviceNumber::new(0, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Linux's for a tmpfs: half of the memory, in pages and in files.
pub(crate) fn tmpfs_limits() -> Limits {
    let half = (frame::stats().total / 2) as u64;
    Limits { pages: half, inodes: half }
}

/// Mounts everything.
///
/// # Errors
/// What is wrong, for the user.
pub(super) fn mount_all() -> Result<Arc<Namespace>, String> {
    /// virtio-blk's first disk as Linux numbers it.
    const VDA: DeviceNumber = DeviceNumber::new(254, 0);
    let disk = devices::blocks()
        .into_iter()
        .next()
        .ok_or("there is no disk with the root filesystem (virtio-blk)")?;
    let lower = Ext4::open(disk)
        .map_err(|error| format!("the root disk cannot be mounted as ext4: {}", error.message()))?;
    let memory = (frame::stats().total) as u64;
    let root = MemFs::over(lower, VDA, clock(), Limits { pages: memory, inodes: u64::MAX })
        .map_err(|error| format!("the root filesystem cannot be read: {}", error.message()))?;
    let namespace = Namespace::new(root, b"/dev/vda", MountFlags::RELATIME);
    let tree = Tree { namespace, walk: None };
    tree.finish()
}

struct Tree {
    namespace: Arc<Namespace>,
    walk: Option<WalkContext>,
}

impl Tree {
    fn finish(mut self) -> Result<Arc<Namespace>, String> {
        let root = self.namespace.root();
        self.walk =
            Some(WalkContext { root: root.clone(), cwd: root, credentials: Arc::new(Credentials::root()) });
        let common = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::RELATIME;
        let tmpfs = || MemFs::tmpfs(anonymous_device(), clock(), tmpfs_limits());
        self.mount(crate::procfs::new(), b"proc", b"/proc", common | MountFlags::NOEXEC)?;
        self.mount(crate::sysfs::new(), b"sysfs", b"/sys", common | MountFlags::NOEXEC)?;
        self.mount(crate::devfs::new(), b"udev", b"/dev", MountFlags::NOSUID | MountFlags::RELATIME)?;
        self.mount(tmpfs(), b"tmpfs", b"/dev/shm", common)?;
        // Files that the image has there would be hidden: the root, whose changes are in memory too, serves as well.
        for path in [&b"/run"[..], b"/tmp"] {
            if self.is_empty(path).unwrap_or(true) {
                self.mount(tmpfs(), b"tmpfs", path, common)?;
            }
        }
        Ok(self.namespace)
    }

    fn is_empty(&self, path: &[u8]) -> Result<bool, husk_abi::Errno> {
        let mut empty = true;
        self.directory(path)?.inode().read_dir(0, &mut |entry| {
            empty = entry.name == b"." || entry.name == b"..";
            empty
        })?;
        Ok(empty)
    }

    fn mount(
        &self,
        fs: Arc<dyn FileSystem>,
        source: &[u8],
        path: &[u8],
        flags: MountFlags,
    ) -> Result<(), String> {
        let failed = |error: husk_abi::Errno| {
            format!("{} cannot be mounted: {}", String::from_utf8_lossy(path), error.message())
        };
        let at = self.directory(path).map_err(failed)?;
        self.namespace.mount(fs, source, flags, &at).map_err(failed)?;
        Ok(())
    }

    /// The directory for a mount, made (in memory) if the image has none.
    fn directory(&self, path: &[u8]) -> Result<Location, husk_abi::Errno> {
        let walk = self.walk.as_ref().ok_or(husk_abi::Errno::EINVAL)?;
        match husk_fs::lookup(walk, None, path, LookupFlags::FOLLOW | LookupFlags::DIRECTORY) {
            Err(error) if error == husk_abi::Errno::ENOENT => {
                husk_fs::ops::make(walk, None, path, NewKind::Directory, 0o755)
            }
            found => found,
        }
    }
}
