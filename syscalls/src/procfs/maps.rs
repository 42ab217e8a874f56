//! /proc/PID/maps, smaps and smaps_rollup.

use super::mounts::escaped;
use crate::mm::{AddressSpace, PAGE, Prot, VmFlags, VmaInfo, VmaName};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use husk_fs::{DeviceNumber, Location};

/// Column of the name in a line of maps.
const NAME_COLUMN: usize = 73;

/// One line of maps.
fn line(vma: &VmaInfo, root: &Location) -> Vec<u8> {
    let on = |prot: Prot, letter: char| if vma.prot.contains(prot) { letter } else { '-' };
    let dev = DeviceNumber::decode(vma.dev);
    let mut out = format!(
        "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {} ",
        vma.start,
        vma.end,
        on(Prot::READ, 'r'),
        on(Prot::WRITE, 'w'),
        on(Prot::EXEC, 'x'),
        if vma.flags.contains(VmFlags::SHARED) { 's' } else { 'p' },
        vma.offset,
        dev.major,
        dev.minor,
        vma.ino
    )
    .into_bytes();
    let name = match &vma.name {
        VmaName::None => Vec::new(),
        VmaName::Special(name) => name.as_bytes().to_vec(),
        VmaName::Page(page) => page.name.as_bytes().to_vec(),
        VmaName::SysV(key) => format!("/SYSV{key:08x} (deleted)").into_bytes(),
        VmaName::File(location) => escaped(&location.path(root), b"\n"),
    };
    if !name.is_empty() {
        out.resize(out.len().max(NAME_COLUMN), b' ');
        out.extend(name);
    }
    out.push(b'\n');
    out
}

/// /proc/PID/maps.
pub(super) fn maps(mm: &AddressSpace, root: &Location) -> Vec<u8> {
    mm.vmas().iter().flat_map(|vma| line(vma, root)).collect()
}

/// Whether it shows what the kernel goes on changing.
fn is_live(vma: &VmaInfo) -> bool {
    matches!(vma.name, VmaName::Page(page) if page.live)
}

/// What of a mapping is in memory, in pages.
#[derive(Clone, Copy, Debug, Default)]
struct Resident {
    shared_clean: u64,
    shared_dirty: u64,
    private_clean: u64,
    private_dirty: u64,
    anonymous: u64,
}

impl Resident {
    fn of(mm: &AddressSpace, vma: &VmaInfo) -> Self {
        let mut resident = Self::default();
        let file = matches!(vma.name, VmaName::File(_) | VmaName::Page(_));
        if is_live(vma) {
            return resident;
        }
        mm.resident_in(vma.start, vma.end, |own, dirty| {
            let count = match (own, dirty) {
                (false, false) => &mut resident.shared_clean,
                (false, true) => &mut resident.shared_dirty,
                (true, false) => &mut resident.private_clean,
                (true, true) => &mut resident.private_dirty,
            };
            *count += 1;
            resident.anonymous += u64::from(own || !file);
        });
        resident
    }

    fn add(&mut self, other: &Self) {
        self.shared_clean += other.shared_clean;
        self.shared_dirty += other.shared_dirty;
        self.private_clean += other.private_clean;
        self.private_dirty += other.private_dirty;
        self.anonymous += other.anonymous;
    }

    fn total(&self) -> u64 {
        self.shared_clean + self.shared_dirty + self.private_clean + self.private_dirty
    }

    fn write(&self, out: &mut String, rollup: bool) {
        let mut line = |name: &str, pages: u64| {
            let _ = writeln!(out, "{:<16}{:8} kB", format!("{name}:"), pages * (PAGE / 1024));
        };
        line("Rss", self.total());
        line("Pss", self.total());
        line("Pss_Dirty", self.private_dirty + self.shared_dirty);
        if rollup {
            line("Pss_Anon", self.anonymous);
            line("Pss_File", self.total() - self.anonymous);
            line("Pss_Shmem", 0);
        }
        line("Shared_Clean", self.shared_clean);
        line("Shared_Dirty", self.shared_dirty);
        line("Private_Clean", self.private_clean);
        line("Private_Dirty", self.private_dirty);
        line("Referenced", self.total());
        line("Anonymous", self.anonymous);
        for name in [
            "KSM",
            "LazyFree",
            "AnonHugePages",
            "ShmemPmdMapped",
            "FilePmdMapped",
            "Shared_Hugetlb",
            "Private_Hugetlb",
            "Swap",
            "SwapPss",
        ] {
            line(name, 0);
        }
    }
}

/// The two-letter names of a mapping's flags.
fn flag_names(vma: &VmaInfo) -> String {
    let mut out = String::new();
    let mut put = |name: &str, on: bool| {
        if on {
            out.push_str(name);
            out.push(' ');
        }
    };
    put("rd", vma.prot.contains(Prot::READ));
    put("wr", vma.prot.contains(Prot::WRITE));
    put("ex", vma.prot.contains(Prot::EXEC));
    put("sh", vma.flags.contains(VmFlags::SHARED));
    let (special, live) = (matches!(vma.name, VmaName::Page(_)), is_live(vma));
    put("mr", true);
    put("mw", !live);
    put("me", !live);
    put("ms", vma.flags.contains(VmFlags::SHARED));
    put("gd", vma.flags.contains(VmFlags::GROWSDOWN));
    put("pf", live);
    put("lo", vma.flags.contains(VmFlags::LOCKED));
    put("io", live);
    put("sr", vma.flags.contains(VmFlags::SEQUENTIAL));
    put("rr", vma.flags.contains(VmFlags::RANDOM));
    put("dc", vma.flags.contains(VmFlags::DONTFORK));
    put("de", special);
    put("ac", vma.prot.contains(Prot::WRITE) && !vma.flags.contains(VmFlags::NORESERVE));
    put("nr", vma.flags.contains(VmFlags::NORESERVE));
    put("dd", live || vma.flags.contains(VmFlags::DONTDUMP));
    put("hg", vma.flags.contains(VmFlags::HUGEPAGE));
    put("nh", vma.flags.contains(VmFlags::NOHUGEPAGE));
    put("mg", vma.flags.contains(VmFlags::MERGEABLE));
    put("wf", vma.flags.contains(VmFlags::WIPEONFORK));
    out
}

/// /proc/PID/smaps.
pub(super) fn smaps(mm: &AddressSpace, root: &Location) -> Vec<u8> {
    let mut all = Vec::new();
    for vma in mm.vmas() {
        all.extend(line(&vma, root));
        let mut out = String::new();
        let kib = PAGE / 1024;
        let _ = writeln!(out, "{:<16}{:8} kB", "Size:", (vma.end - vma.start) / 1024);
        let _ = writeln!(out, "{:<16}{kib:8} kB", "KernelPageSize:");
        let _ = writeln!(out, "{:<16}{kib:8} kB", "MMUPageSize:");
        let resident = Resident::of(mm, &vma);
        resident.write(&mut out, false);
        let locked = if vma.flags.contains(VmFlags::LOCKED) { resident.total() * kib } else { 0 };
        let _ = writeln!(out, "{:<16}{locked:8} kB", "Locked:");
        let _ = writeln!(out, "THPeligible:    {:8}", 0);
        let _ = writeln!(out, "VmFlags: {}", flag_names(&vma));
        all.extend(out.into_bytes());
    }
    all
}

/// /proc/PID/smaps_rollup.
pub(super) fn smaps_rollup(mm: &AddressSpace) -> Vec<u8> {
    let vmas = mm.vmas();
    let start = vmas.first().map_or(0, |vma| vma.start);
    let end = vmas.last().map_or(0, |vma| vma.end);
    let mut out = format!("{start:08x}-{end:08x} ---p 00000000 00:00 0 ");
    let padding = NAME_COLUMN.saturating_sub(out.len());
    let _ = writeln!(out, "{:padding$}[rollup]", "");
    let mut sum = Resident::default();
    let mut locked = 0;
    for vma in &vmas {
        let resident = Resident::of(mm, vma);
        if vma.flags.contains(VmFlags::LOCKED) {
            locked += resident.total();
        }
        sum.add(&resident);
    }
    sum.write(&mut out, true);
    let _ = writeln!(out, "{:<16}{:8} kB", "Locked:", locked * (PAGE / 1024));
    out.into_bytes()
}
