//! /proc/cpuinfo.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use husk_machine::cpu;
use husk_machine::time::cpu_khz;

/// A leaf and subleaf of CPUID, the register (EAX first), and its bits with their names.
type Word = (u32, u32, usize, &'static [(u32, &'static str)]);

/// Where a word of feature bits comes from: CPUID leaf, subleaf, register (0 is EAX); and Linux's names by bit. The order is that
/// of Linux's words.
const WORDS: [Word; 10] = [
    (
        1,
        0,
        3,
        &[
            (0, "fpu"),
            (1, "vme"),
            (2, "de"),
            (3, "pse"),
            (4, "tsc"),
            (5, "msr"),
            (6, "pae"),
            (7, "mce"),
            (8, "cx8"),
            (9, "apic"),
            (11, "sep"),
            (12, "mtrr"),
            (13, "pge"),
            (14, "mca"),
            (15, "cmov"),
            (16, "pat"),
            (17, "pse36"),
            (18, "pn"),
            (19, "clflush"),
            (21, "dts"),
            (22, "acpi"),
            (23, "mmx"),
            (24, "fxsr"),
            (25, "sse"),
            (26, "sse2"),
            (27, "ss"),
            (28, "ht"),
            (29, "tm"),
            (30, "ia64"),
            (31, "pbe"),
        ],
    ),
    (
        0x8000_0001,
        0,
        3,
        &[
            (11, "syscall"),
            (19, "mp"),
            (20, "nx"),
            (22, "mmxext"),
            (25, "fxsr_opt"),
            (26, "pdpe1gb"),
            (27, "rdtscp"),
            (29, "lm"),
            (30, "3dnowext"),
            (31, "3dnow"),
        ],
    ),
    (
        1,
        0,
        2,
        &[
            (0, "pni"),
            (1, "pclmulqdq"),
            (2, "dtes64"),
            (3, "monitor"),
            (4, "ds_cpl"),
            (5, "vmx"),
            (6, "smx"),
            (7, "est"),
            (8, "tm2"),
            (9, "ssse3"),
            (10, "cid"),
            (11, "sdbg"),
            (12, "fma"),
            (13, "cx16"),
            (14, "xtpr"),
            (15, "pdcm"),
            (17, "pcid"),
            (18, "dca"),
            (19, "sse4_1"),
            (20, "sse4_2"),
            (21, "x2apic"),
            (22, "movbe"),
            (23, "popcnt"),
            (24, "tsc_deadline_timer"),
            (25, "aes"),
            (26, "xsave"),
            (28, "avx"),
            (29, "f16c"),
            (30, "rdrand"),
            (31, "hypervisor"),
        ],
    ),
    (
        0x8000_0001,
        0,
        2,
        &[
            (0, "lahf_lm"),
            (1, "cmp_legacy"),
            (2, "svm"),
            (3, "extapic"),
            (4, "cr8_legacy"),
            (5, "abm"),
            (6, "sse4a"),
            (7, "misalignsse"),
            (8, "3dnowprefetch"),
            (9, "osvw"),
            (10, "ibs"),
            (11, "xop"),
            (12, "skinit"),
            (13, "wdt"),
            (15, "lwp"),
            (16, "fma4"),
            (17, "tce"),
            (19, "nodeid_msr"),
            (21, "tbm"),
            (22, "topoext"),
            (23, "perfctr_core"),
            (24, "perfctr_nb"),
            (26, "bpext"),
            (27, "ptsc"),
            (28, "perfctr_llc"),
            (29, "mwaitx"),
        ],
    ),
    (
        7,
        0,
        1,
        &[
            (0, "fsgsbase"),
            (1, "tsc_adjust"),
            (2, "sgx"),
            (3, "bmi1"),
            (4, "hle"),
            (5, "avx2"),
            (7, "smep"),
            (8, "bmi2"),
            (9, "erms"),
            (10, "invpcid"),
            (11, "rtm"),
            (12, "cqm"),
            (14, "mpx"),
            (15, "rdt_a"),
            (16, "avx512f"),
            (17, "avx512dq"),
            (18, "rdseed"),
            (19, "adx"),
            (20, "smap"),
            (21, "avx512ifma"),
            (23, "clflushopt"),
            (24, "clwb"),
            (25, "intel_pt"),
            (26, "avx512pf"),
            (27, "avx512er"),
            (28, "avx512cd"),
            (29, "sha_ni"),
            (30, "avx512bw"),
            (31, "avx512vl"),
        ],
    ),
    (13, 1, 0, &[(0, "xsaveopt"), (1, "xsavec"), (2, "xgetbv1"), (3, "xsaves")]),
    (7, 1, 0, &[(4, "avx_vnni"), (5, "avx512_bf16"), (23, "avx_ifma")]),
    (0x8000_0008, 0, 1, &[(0, "clzero"), (1, "irperf"), (2, "xsaveerptr"), (4, "rdpru"), (9, "wbnoinvd")]),
    (
        7,
        0,
        2,
        &[
            (1, "avx512vbmi"),
            (2, "umip"),
            (3, "pku"),
            (4, "ospke"),
            (5, "waitpkg"),
            (6, "avx512_vbmi2"),
            (8, "gfni"),
            (9, "vaes"),
            (10, "vpclmulqdq"),
            (11, "avx512_vnni"),
            (12, "avx512_bitalg"),
            (13, "tme"),
            (14, "avx512_vpopcntdq"),
            (16, "la57"),
            (22, "rdpid"),
            (24, "bus_lock_detect"),
            (25, "cldemote"),
            (27, "movdiri"),
            (28, "movdir64b"),
            (29, "enqcmd"),
            (30, "sgx_lc"),
        ],
    ),
    (
        7,
        0,
        3,
        &[
            (2, "avx512_4vnniw"),
            (3, "avx512_4fmaps"),
            (4, "fsrm"),
            (8, "avx512_vp2intersect"),
            (10, "md_clear"),
            (14, "serialize"),
            (16, "tsxldtrk"),
            (18, "pconfig"),
            (19, "arch_lbr"),
            (20, "ibt"),
            (22, "amx_bf16"),
            (23, "avx512_fp16"),
            (24, "amx_tile"),
            (25, "amx_int8"),
            (28, "flush_l1d"),
            (29, "arch_capabilities"),
        ],
    ),
];

/// Features that Linux names itself, from what the CPU says: they stand after the second word.
fn synthetic() -> Vec<&'static str> {
    let mut names = Vec::new();
    let invariant = bit(0x8000_0007, 0, 3, 8);
    if invariant {
        names.push("constant_tsc");
    }
    names.extend(["rep_good", "nopl"]);
    if invariant {
        names.push("nonstop_tsc");
    }
    names.push("cpuid");
    names
}

/// CPUID, with zeros for a leaf the CPU does not have.
fn cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    let highest = cpu::cpuid(leaf & 0xc000_0000, 0)[0];
    if leaf <= highest { cpu::cpuid(leaf, subleaf) } else { [0; 4] }
}

fn bit(leaf: u32, subleaf: u32, register: usize, bit: u32) -> bool {
    cpuid(leaf, subleaf)[register] & (1 << bit) != 0
}

/// The names of all features.
fn flags() -> String {
    let mut names: Vec<&str> = Vec::new();
    for (index, (leaf, subleaf, register, bits)) in WORDS.into_iter().enumerate() {
        let value = cpuid(leaf, subleaf)[register];
        names.extend(bits.iter().filter(|(bit, _)| value & (1 << bit) != 0).map(|(_, name)| *name));
        if index == 1 {
            names.extend(synthetic());
        }
    }
    names.join(" ")
}

fn vendor() -> String {
    let [_, b, c, d] = cpu::cpuid(0, 0);
    let bytes: Vec<u8> = [b, d, c].iter().flat_map(|register| register.to_le_bytes()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The CPU's name for itself.
fn brand() -> String {
    let bytes: Vec<u8> = (0x8000_0002..=0x8000_0004)
        .flat_map(|leaf| cpuid(leaf, 0))
        .flat_map(u32::to_le_bytes)
        .take_while(|byte| *byte != 0)
        .collect();
    String::from_utf8_lossy(&bytes).trim().into()
}

/// Size of the largest cache in KiB, if the CPU tells (leaf 4).
fn cache_kib() -> Option<u32> {
    (0..16)
        .map(|index| cpuid(4, index))
        .take_while(|leaf| leaf[0] & 0x1f != 0)
        .map(|[_, b, c, _]| ((b >> 22) + 1) * (((b >> 12) & 0x3ff) + 1) * ((b & 0xfff) + 1) * (c + 1) / 1024)
        .max()
}

/// The contents.
pub(super) fn contents() -> Vec<u8> {
    let signature = cpuid(1, 0);
    let eax = signature[0];
    let base_family = (eax >> 8) & 0xf;
    let family = if base_family == 0xf { base_family + ((eax >> 20) & 0xff) } else { base_family };
    let model = if family >= 6 { ((eax >> 4) & 0xf) | ((eax >> 12) & 0xf0) } else { (eax >> 4) & 0xf };
    let clflush = ((signature[1] >> 8) & 0xff) * 8;
    let sizes = match cpuid(0x8000_0008, 0)[0] {
        0 => (36, 48),
        eax => (eax & 0xff, (eax >> 8) & 0xff),
    };
    let mhz = cpu_khz();
    let count = cpu::count();
    let mut out = String::new();
    for number in 0..count {
        let mut line = |name: &str, value: String| {
            // The names are padded with tabs to the third stop.
            let tabs = if name.len() < 8 { "\t\t" } else { "\t" };
            let space = if value.is_empty() { "" } else { " " };
            let _ = writeln!(out, "{name}{tabs}:{space}{value}");
        };
        line("processor", format!("{number}"));
        line("vendor_id", vendor());
        line("cpu family", format!("{family}"));
        line("model", format!("{model}"));
        line("model name", brand());
        line("stepping", format!("{}", eax & 0xf));
        line("cpu MHz", format!("{}.{:03}", mhz / 1000, mhz % 1000));
        if let Some(kib) = cache_kib() {
            line("cache size", format!("{kib} KB"));
        }
        line("physical id", "0".into());
        line("siblings", format!("{count}"));
        line("core id", format!("{number}"));
        line("cpu cores", format!("{count}"));
        line("apicid", format!("{number}"));
        line("initial apicid", format!("{number}"));
        line("fpu", "yes".into());
        line("fpu_exception", "yes".into());
        line("cpuid level", format!("{}", cpuid(0, 0)[0]));
        line("wp", "yes".into());
        line("flags", flags());
        line("bugs", String::new());
        line("bogomips", format!("{}.{:02}", mhz * 2 / 1000, mhz * 2 % 1000 / 10));
        line("clflush size", format!("{clflush}"));
        line("cache_alignment", format!("{clflush}"));
        line("address sizes", format!("{} bits physical, {} bits virtual", sizes.0, sizes.1));
        line("power management", String::new());
        out.push('\n');
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The host is Linux on the same kind of CPU: what both print has to be the same.
    #[test]
    fn agrees_with_the_host() {
        let host = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let own = String::from_utf8(contents()).unwrap();
        let field = |text: &str, name: &str| {
            text.lines()
                .find(|line| line.starts_with(name))
                .map(|line| line.split_once(':').unwrap().1.trim().to_owned())
        };
        for name in ["vendor_id", "cpu family", "model", "stepping", "cpuid level", "clflush size"] {
            assert_eq!(field(&own, name), field(&host, name), "{name}");
        }
        let host_flags = field(&host, "flags").unwrap();
        let host_flags: Vec<&str> = host_flags.split(' ').collect();
        for name in ["fpu", "sse2", "syscall", "lm", "pni"] {
            assert_eq!(
                field(&own, "flags").unwrap().split(' ').any(|flag| flag == name),
                host_flags.contains(&name),
                "{name}"
            );
        }
    }
}
