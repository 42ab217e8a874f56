//! /sys/devices/system/node: one memory node.

use super::WithAttribute;
use super::cpus::{list, mask};
use alloc::format;
use alloc::string::String;
use core::fmt::Write;
use husk_fs::{PseudoNode, StaticDir};
use husk_machine::cpu;
use husk_machine::frame::{PAGE_SIZE, stats};

/// The directory.
pub(super) fn directory() -> StaticDir {
    let mut node = StaticDir::new()
        .attribute("cpulist", || list(cpu::count()))
        .attribute("cpumap", || mask(cpu::count(), |_| true))
        .constant("distance", 10)
        .attribute("meminfo", meminfo);
    // Erlang and hwloc find the CPUs by these.
    for number in 0..cpu::count() {
        let target = format!("../../cpu/cpu{number}");
        node = node.with(&format!("cpu{number}"), PseudoNode::Link(target.into_bytes()));
    }
    StaticDir::new()
        .constant("has_cpu", 0)
        .constant("has_memory", 0)
        .constant("has_normal_memory", 0)
        .with_dir("node0", node)
        .constant("online", 0)
        .constant("possible", 0)
}

/// The lines of meminfo that are known of a node.
fn meminfo() -> String {
    let stats = stats();
    let (cached, _) = husk_fs::cached_pages();
    let kib = |pages: usize| pages * (PAGE_SIZE / 1024);
    let mut out = String::new();
    let lines = [
        ("MemTotal", kib(stats.total)),
        ("MemFree", kib(stats.free)),
        ("MemUsed", kib(stats.total - stats.free)),
        ("FilePages", kib(cached)),
    ];
    for (name, value) in lines {
        let _ = writeln!(out, "Node 0 {:<15}{value:8} kB", format!("{name}:"));
    }
    for name in ["HugePages_Total", "HugePages_Free", "HugePages_Surp"] {
        let _ = writeln!(out, "Node 0 {name}:{:6}", 0);
    }
    out.pop();
    out
}
