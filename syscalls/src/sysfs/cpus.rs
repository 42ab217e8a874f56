//! /sys/devices/system/cpu.

use super::WithAttribute;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use husk_fs::{PseudoNode, StaticDir};
use husk_machine::cpu;

/// Most CPUs the kernel could have, less one.
const KERNEL_MAX: usize = 255;

/// A list of the first `count` numbers: `0` or `0-3`.
pub(super) fn list(count: usize) -> String {
    if count <= 1 { "0".into() } else { format!("0-{}", count - 1) }
}

/// The CPUs of such a mask in hexadecimal, in groups of 32 from the highest, as wide as all of them need.
pub(super) fn mask(count: usize, contains: impl Fn(usize) -> bool) -> String {
    let group = |group: usize| {
        let bit = |bit: usize| u32::from(contains(group * 32 + bit)) << bit;
        (0..32.min(count - group * 32)).map(bit).fold(0, |mask, bit| mask | bit)
    };
    let groups = count.div_ceil(32);
    let digits = |at: usize| (count - at * 32).min(32).div_ceil(4);
    let words: Vec<String> =
        (0..groups).rev().map(|at| format!("{:0width$x}", group(at), width = digits(at))).collect();
    words.join(",")
}

/// The directory.
pub(super) fn directory() -> StaticDir {
    let count = cpu::count();
    let mut dir = StaticDir::new()
        .constant("isolated", "")
        .constant("kernel_max", KERNEL_MAX)
        .constant("offline", "")
        .attribute("online", || list(cpu::count()))
        .attribute("possible", || list(cpu::count()))
        .attribute("present", || list(cpu::count()));
    for number in 0..count {
        dir = dir.with_dir(&format!("cpu{number}"), one(number, count));
    }
    dir
}

fn one(number: usize, count: usize) -> StaticDir {
    let mut caches = StaticDir::new();
    for index in 0..8 {
        let Some(cache) = cache(number, count, index) else { break };
        caches = caches.with_dir(&format!("index{index}"), cache);
    }
    let (own, all) = (mask(count, |cpu| cpu == number), mask(count, |_| true));
    let topology = StaticDir::new()
        .constant("core_cpus", &own)
        .constant("core_cpus_list", number)
        .constant("core_id", number)
        .constant("core_siblings", &all)
        .constant("core_siblings_list", list(count))
        .constant("die_cpus", &all)
        .constant("die_cpus_list", list(count))
        .constant("die_id", 0)
        .constant("package_cpus", &all)
        .constant("package_cpus_list", list(count))
        .constant("physical_package_id", 0)
        .constant("thread_siblings", &own)
        .constant("thread_siblings_list", number);
    let dir = StaticDir::new()
        .with_dir("cache", caches)
        .with("node0", PseudoNode::Link("../../node/node0".into()))
        .with_dir("topology", topology);
    // The first CPU cannot be taken away and so does not say that it is there.
    if number == 0 { dir } else { dir.constant("online", 1) }
}

/// One cache as the CPU describes it (CPUID leaf 4).
fn cache(number: usize, count: usize, index: u32) -> Option<StaticDir> {
    if cpu::cpuid(0, 0)[0] < 4 {
        return None;
    }
    let [a, b, c, _] = cpu::cpuid(4, index);
    let kind = match a & 0x1f {
        1 => "Data",
        2 => "Instruction",
        3 => "Unified",
        _ => return None,
    };
    let level = (a >> 5) & 7;
    let (line, partitions, ways, sets) = ((b & 0xfff) + 1, ((b >> 12) & 0x3ff) + 1, (b >> 22) + 1, c + 1);
    let alone = (a >> 14) & 0xfff == 0;
    let shared = if alone { format!("{number}") } else { list(count) };
    Some(
        StaticDir::new()
            .constant("coherency_line_size", line)
            .constant("id", 0)
            .constant("level", level)
            .constant("number_of_sets", sets)
            .constant("physical_line_partition", partitions)
            .constant("shared_cpu_list", shared)
            .constant("shared_cpu_map", mask(count, |cpu| !alone || cpu == number))
            .constant("size", format!("{}K", line * partitions * ways * sets / 1024))
            .constant("type", kind)
            .constant("ways_of_associativity", ways),
    )
}

#[cfg(test)]
mod tests {
    use super::{list, mask};

    #[test]
    fn masks_of_cpus() {
        assert_eq!(
            (mask(1, |_| true), mask(4, |cpu| cpu == 2), mask(6, |_| true)),
            ("1".into(), "4".into(), "3f".into())
        );
        assert_eq!(mask(36, |cpu| cpu == 0 || cpu == 33), "2,00000001");
    }

    #[test]
    fn lists_of_cpus() {
        assert_eq!((list(1).as_str(), list(4).as_str()), ("0", "0-3"));
    }
}
