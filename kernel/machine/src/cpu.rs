//! The CPUs.

/// CPUs that run.
#[must_use]
pub fn count() -> usize {
    crate::arch::cpu_count()
}

/// Number of the CPU that this runs on, from 0.
#[must_use]
pub fn current() -> usize {
    crate::arch::cpu_index()
}

/// What the CPUID instruction gives for a leaf and a subleaf: EAX, EBX, ECX, EDX.
#[must_use]
pub fn cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    let result = core::arch::x86_64::__cpuid_count(leaf, subleaf);
    [result.eax, result.ebx, result.ecx, result.edx]
}
