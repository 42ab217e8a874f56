//! sysfs (sysfs(5)): the CPUs, the one memory node, the disks, and what programs ask about huge pages.

mod block;
mod cpus;
mod node;

use crate::boot::mounts::{anonymous_device, clock};
use crate::lazy_dir::LazyDir;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::Errno;
use husk_fs::{FileSystem, PseudoFile, PseudoFs, PseudoNode, StaticDir};
use linux_raw_sys::general::SYSFS_MAGIC;

/// A new filesystem for /sys.
pub(crate) fn new() -> Arc<dyn FileSystem> {
    let root = Arc::new(LazyDir::new(root));
    PseudoFs::new("sysfs", u64::from(SYSFS_MAGIC), anonymous_device(), clock(), root)
}

fn root() -> StaticDir {
    let disks = block::disks();
    let class = StaticDir::new().with_dir("block", block::links(&disks, "../../devices/virtual/block"));
    let devices = StaticDir::new()
        .with_dir(
            "system",
            StaticDir::new()
                .with_dir("clocksource", StaticDir::new().with_dir("clocksource0", clock_source()))
                .with_dir("cpu", cpus::directory())
                .with_dir("node", node::directory()),
        )
        .with_dir("virtual", StaticDir::new().with_dir("block", block::directories(&disks)));
    StaticDir::new()
        .with_dir("block", block::links(&disks, "../devices/virtual/block"))
        .with_dir("bus", StaticDir::new())
        .with_dir("class", class)
        .with_dir("dev", StaticDir::new())
        .with_dir("devices", devices)
        .with_dir("firmware", StaticDir::new())
        .with_dir("fs", StaticDir::new().with_dir("cgroup", StaticDir::new()))
        .with_dir("kernel", StaticDir::new().with_dir("mm", memory()))
        .with_dir("module", StaticDir::new())
}

/// A file that shows one line, and a page as its size.
struct Attribute<F>(F);

impl<F: Fn() -> String + Send + Sync> PseudoFile for Attribute<F> {
    fn shown_size(&self) -> u64 {
        4096
    }

    fn read(&self) -> Result<Vec<u8>, Errno> {
        let mut line = (self.0)().into_bytes();
        line.push(b'\n');
        Ok(line)
    }
}

trait WithAttribute {
    /// With a file whose line is made when it is read.
    fn attribute(self, name: &str, value: impl Fn() -> String + Send + Sync + 'static) -> Self;
    /// With a file that holds this line.
    fn constant(self, name: &str, value: impl core::fmt::Display) -> Self;
}

impl WithAttribute for StaticDir {
    fn attribute(self, name: &str, value: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.with(name, PseudoNode::File(Arc::new(Attribute(value))))
    }

    fn constant(self, name: &str, value: impl core::fmt::Display) -> Self {
        let line = format!("{value}");
        self.attribute(name, move || line.clone())
    }
}

fn clock_source() -> StaticDir {
    StaticDir::new()
        .attribute("available_clocksource", || format!("{} ", husk_machine::time::clock_source()))
        .attribute("current_clocksource", || husk_machine::time::clock_source().into())
}

/// /sys/kernel/mm: anonymous memory is not put into huge pages, and there is no pool of them.
fn memory() -> StaticDir {
    let transparent = StaticDir::new()
        .constant("defrag", "always defer defer+madvise madvise [never]")
        .constant("enabled", "always madvise [never]")
        .constant("hpage_pmd_size", 2 << 20)
        .constant("shmem_enabled", "always within_size advise [never] deny force")
        .constant("use_zero_page", 0);
    let pool = StaticDir::new()
        .constant("free_hugepages", 0)
        .constant("nr_hugepages", 0)
        .constant("nr_overcommit_hugepages", 0)
        .constant("resv_hugepages", 0)
        .constant("surplus_hugepages", 0);
    StaticDir::new()
        .with_dir("hugepages", StaticDir::new().with_dir("hugepages-2048kB", pool))
        .with_dir("transparent_hugepage", transparent)
}
