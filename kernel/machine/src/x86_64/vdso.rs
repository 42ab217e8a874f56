//! The code of the vDSO: the calls that a program makes without entering the kernel.
//!
//! It runs in user mode, wherever it is mapped, [`DATA_DISTANCE`] bytes above the page of [`clock_page`](super::clock_page). All of it is leaf
//! functions that use neither the stack nor registers which a callee must keep, so that one rule says how to unwind them all. What they
//! cannot do themselves they leave to the system call, whose negative error number they return.

use core::arch::global_asm;

use super::clock_layout::offset;

/// Where in the vDSO the code starts: before it is room for the tables that make it a shared object.
pub(crate) const CODE_OFFSET: usize = 0x800;
/// From the start of the data page to the start of the vDSO.
pub(crate) const DATA_DISTANCE: usize = 4096;

/// Resolution of the coarse clocks in nanoseconds: Linux's at 250 Hz.
pub(crate) const COARSE_NS: u32 = 4_000_000;

// Clock numbers (clock_gettime(2)).
const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
const MONOTONIC_RAW: u32 = 4;
const REALTIME_COARSE: u32 = 5;
const MONOTONIC_COARSE: u32 = 6;
const BOOTTIME: u32 = 7;
const TAI: u32 = 11;

/// Clocks of the coarse kind.
const COARSE: u32 = 1 << REALTIME_COARSE | 1 << MONOTONIC_COARSE;
/// Clocks that are read here.
const KNOWN: u32 = 1 << REALTIME | 1 << MONOTONIC | 1 << MONOTONIC_RAW | 1 << BOOTTIME | 1 << TAI | COARSE;
/// Clocks that the wall clock's offset is added to.
const WALL: u32 = 1 << REALTIME | 1 << REALTIME_COARSE | 1 << TAI;

global_asm!(
    // r8 = the data page.
    ".macro husk_vdso_data",
    "lea r8, [rip + .Lhusk_vdso_code - {to_data}]",
    ".endm",
    // rax = monotonic time, r10 = the wall clock's offset, r9 = the sequence number at which that holds. To `2f` where programs must ask.
    // Changes rdx. The label before must be `7:`.
    ".macro husk_vdso_read",
    "mov r9d, [r8]",
    "test r9b, 1",
    "jnz 3f",
    "cmp dword ptr [r8 + {usable}], 0",
    "je 2f",
    // Not before the sequence number was read.
    "lfence",
    "rdtsc",
    "shl rdx, 32",
    "or rax, rdx",
    // A reading from before the parameters counts as that at their making.
    "xor edx, edx",
    "sub rax, [r8 + {base_tsc}]",
    "cmovb rax, rdx",
    "mul qword ptr [r8 + {ns_per_tick}]",
    "shrd rax, rdx, 32",
    "add rax, [r8 + {base_ns}]",
    "mov r10, [r8 + {realtime_offset}]",
    ".endm",
    // Back to `7:` if the parameters have changed meanwhile.
    ".macro husk_vdso_check",
    "cmp r9d, [r8]",
    "jne 7b",
    ".endm",
    // rdx = seconds, rcx = the nanoseconds beside them, of rax nanoseconds. Changes rax.
    ".macro husk_vdso_split",
    "mov rcx, rax",
    "shr rax, 9",
    "movabs rdx, 0x44b82fa09b5a53", // 2^75 / 5^9, rounded up
    "mul rdx",
    "shr rdx, 11",
    "imul rax, rdx, 1000000000",
    "sub rcx, rax",
    ".endm",
    // Waits for a writer, which is a few instructions from its end.
    ".macro husk_vdso_wait",
    "3:",
    "pause",
    "jmp 7b",
    ".endm",
    ".pushsection .rodata.husk_vdso, \"a\", @progbits",
    ".p2align 4",
    ".globl husk_vdso_code",
    "husk_vdso_code:",
    ".Lhusk_vdso_code:",
    // int clock_gettime(clockid_t edi, struct timespec *rsi)
    ".globl husk_vdso_clock_gettime",
    "husk_vdso_clock_gettime:",
    "cmp edi, 31",
    "ja 2f",
    "mov r11d, {known}",
    "bt r11d, edi",
    "jnc 2f",
    "husk_vdso_data",
    "7:",
    "husk_vdso_read",
    "mov r11d, {wall}",
    "bt r11d, edi",
    "jnc 4f",
    "test r10, r10",
    "jz 2f",
    "add rax, r10",
    "cmp edi, {tai}",
    "jne 4f",
    "add rax, [r8 + {tai_offset}]",
    "4:",
    "husk_vdso_check",
    "mov r11d, {coarse}",
    "bt r11d, edi",
    "jc 6f",
    "5:",
    "husk_vdso_split",
    "mov [rsi], rdx",
    "mov [rsi + 8], rcx",
    "xor eax, eax",
    "ret",
    "6:",
    "mov r9, rax",
    "xor edx, edx",
    "mov ecx, {coarse_ns}",
    "div rcx",
    "mov rax, r9",
    "sub rax, rdx",
    "jmp 5b",
    "husk_vdso_wait",
    "2:",
    "movsxd rdi, edi",
    "mov eax, 228",
    "syscall",
    "ret",
    ".p2align 4, 0xcc",
    // int gettimeofday(struct timeval *rdi, struct timezone *rsi)
    ".globl husk_vdso_gettimeofday",
    "husk_vdso_gettimeofday:",
    "test rdi, rdi",
    "jz 4f",
    "husk_vdso_data",
    "7:",
    "husk_vdso_read",
    "test r10, r10",
    "jz 2f",
    "add rax, r10",
    "husk_vdso_check",
    "husk_vdso_split",
    "mov [rdi], rdx",
    "imul rcx, rcx, 274877907", // 2^38 / 1000, rounded up
    "shr rcx, 38",
    "mov [rdi + 8], rcx",
    "4:",
    "test rsi, rsi",
    "jz 5f",
    "mov qword ptr [rsi], 0", // UTC
    "5:",
    "xor eax, eax",
    "ret",
    "husk_vdso_wait",
    "2:",
    "mov eax, 96",
    "syscall",
    "ret",
    ".p2align 4, 0xcc",
    // time_t time(time_t *rdi)
    ".globl husk_vdso_time",
    "husk_vdso_time:",
    "husk_vdso_data",
    "7:",
    "husk_vdso_read",
    "test r10, r10",
    "jz 2f",
    "add rax, r10",
    "husk_vdso_check",
    "husk_vdso_split",
    "test rdi, rdi",
    "jz 4f",
    "mov [rdi], rdx",
    "4:",
    "mov rax, rdx",
    "ret",
    "husk_vdso_wait",
    "2:",
    "mov eax, 201",
    "syscall",
    "ret",
    ".p2align 4, 0xcc",
    // int clock_getres(clockid_t edi, struct timespec *rsi)
    ".globl husk_vdso_clock_getres",
    "husk_vdso_clock_getres:",
    "cmp edi, 31",
    "ja 2f",
    "mov r11d, {known}",
    "bt r11d, edi",
    "jnc 2f",
    "test rsi, rsi",
    "jz 4f",
    "mov eax, 1",
    "mov ecx, {coarse_ns}",
    "mov r11d, {coarse}",
    "bt r11d, edi",
    "cmovc eax, ecx",
    "mov qword ptr [rsi], 0",
    "mov [rsi + 8], rax",
    "4:",
    "xor eax, eax",
    "ret",
    "2:",
    "movsxd rdi, edi",
    "mov eax, 229",
    "syscall",
    "ret",
    ".p2align 4, 0xcc",
    // int getcpu(unsigned *rdi, unsigned *rsi, void *rdx)
    ".globl husk_vdso_getcpu",
    "husk_vdso_getcpu:",
    "husk_vdso_data",
    "mov eax, [r8 + {cpu_number}]",
    "cmp eax, {by_rdtscp}",
    "je 3f",
    "cmp eax, {by_rdpid}",
    "jne 2f",
    "rdpid rcx",
    "jmp 4f",
    "3:",
    "rdtscp",
    "4:",
    // The kernel has put the node above the 12 bits of the CPU's number.
    "mov eax, ecx",
    "and eax, 0xfff",
    "shr ecx, 12",
    "test rdi, rdi",
    "jz 5f",
    "mov [rdi], eax",
    "5:",
    "test rsi, rsi",
    "jz 6f",
    "mov [rsi], ecx",
    "6:",
    "xor eax, eax",
    "ret",
    "2:",
    "mov eax, 309",
    "syscall",
    "ret",
    ".globl husk_vdso_end",
    "husk_vdso_end:",
    ".popsection",
    to_data = const CODE_OFFSET + DATA_DISTANCE,
    usable = const offset::USABLE,
    base_tsc = const offset::BASE_TSC,
    base_ns = const offset::BASE_NS,
    ns_per_tick = const offset::NS_PER_TICK,
    realtime_offset = const offset::REALTIME_OFFSET,
    tai_offset = const offset::TAI_OFFSET,
    cpu_number = const offset::CPU_NUMBER,
    by_rdpid = const super::clock_layout::by::RDPID,
    by_rdtscp = const super::clock_layout::by::RDTSCP,
    known = const KNOWN,
    wall = const WALL,
    coarse = const COARSE,
    coarse_ns = const COARSE_NS,
    tai = const TAI,
);

unsafe extern "C" {
    safe static husk_vdso_code: u8;
    safe static husk_vdso_clock_gettime: u8;
    safe static husk_vdso_gettimeofday: u8;
    safe static husk_vdso_time: u8;
    safe static husk_vdso_clock_getres: u8;
    safe static husk_vdso_getcpu: u8;
    safe static husk_vdso_end: u8;
}

fn offset_in_code(symbol: &u8) -> usize {
    (&raw const *symbol).addr() - (&raw const husk_vdso_code).addr()
}

/// The code.
pub(crate) fn code() -> &'static [u8] {
    // SAFETY: the two symbols are the start and the end of one section part of this image, which nobody writes.
    unsafe { core::slice::from_raw_parts(&raw const husk_vdso_code, offset_in_code(&husk_vdso_end)) }
}

/// The functions by their names in C, in order, with the place in the code where each starts.
pub(crate) fn functions() -> [(&'static str, usize); 5] {
    [
        ("clock_gettime", offset_in_code(&husk_vdso_clock_gettime)),
        ("gettimeofday", offset_in_code(&husk_vdso_gettimeofday)),
        ("time", offset_in_code(&husk_vdso_time)),
        ("clock_getres", offset_in_code(&husk_vdso_clock_getres)),
        ("getcpu", offset_in_code(&husk_vdso_getcpu)),
    ]
}

#[cfg(test)]
#[path = "vdso_tests.rs"]
mod tests;
