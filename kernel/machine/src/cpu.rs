//! The CPUs.

use crate::thread::CpuSet;

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

/// Makes each of these CPUs pass a memory barrier, and fetch its instructions anew, before it goes on with a program; a restartable
/// sequence (rseq(2)) that it is in counts as interrupted. A halted CPU has passed one.
pub fn barrier(cpus: CpuSet) {
    crate::arch::tlb::barrier(cpus);
}

/// What the CPUID instruction gives for a leaf and a subleaf: EAX, EBX, ECX, EDX.
#[must_use]
pub fn cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    let result = core::arch::x86_64::__cpuid_count(leaf, subleaf);
    [result.eax, result.ebx, result.ecx, result.edx]
}
