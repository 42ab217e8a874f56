//! Starting the other CPUs (Intel SDM volume 3, section 9.4): INIT, then a start-up message with the page of the first
//! instructions.
//!
//! All are started at once, early, so that they come up while the boot CPU starts the devices. Each takes a ticket: it says which
//! stack is its own, and is its number. What the tables call a CPU and does not take a ticket in time is left out.

use super::boot::{self, Range};
use super::layout::{KERNEL_BASE, phys_to_virt};
use super::memory::copy_bytes;
use super::percpu::OtherCpu;
use super::pvh::{CR0, CR4};
use super::stack::Stack;
use super::{apic, cpu, devices, fpu, idt, kernel_map, sched, syscall, time, tsc};
use crate::thread::{MAX_CPUS, bits};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::arch::global_asm;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use x86_64::registers::control::EferFlags;

/// Where the start code goes: a page below 1 MiB that no monitor uses for what it tells the kernel.
const START_PAGE: u64 = 0x8000;

/// How long to wait for the CPUs. In emulation each is a thread of the host, which may be busy.
const PATIENCE_NS: u64 = 5_000_000_000;
/// The start-up message is sent again after this time, as the first may be lost; one that runs ignores it.
const AGAIN_NS: u64 = 200_000_000;

// Physical addresses: the image is below 4 GiB. The entry code's tables map what is needed on the way to the kernel's own.
global_asm!(
    r#"
    .pushsection .rodata.husk_ap, "a"
    .p2align 4
    .global husk_ap_start
husk_ap_start:
    .code16
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl 1f - husk_ap_start + {page}
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $0x20, $(2f - husk_ap_start + {page})
    .code32
2:  movw $0x18, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl ${cr4}, %eax
    movl %eax, %cr4
    movl $(husk_boot_pml4 - {base}), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx          // EFER
    rdmsr
    orl HUSK_AP_EFER - {base}, %eax
    wrmsr
    movl ${cr0}, %eax
    movl %eax, %cr0
    ljmpl $0x10, $(3f - husk_ap_start + {page})
    .code64
3:  movabsq $husk_ap_enter, %rax
    jmpq *%rax
    .p2align 3
4:  .quad 0
    .quad 0
    .quad 0x00af9b000000ffff        // 0x10: 64-bit code, as in gdt.rs
    .quad 0x00cf93000000ffff        // 0x18: data
    .quad 0x00cf9b000000ffff        // 0x20: 32-bit code
1:  .word 39
    .long 4b - husk_ap_start + {page}
    .global husk_ap_end
husk_ap_end:
    .popsection

    .pushsection .text.husk_ap, "ax"
husk_ap_enter:
    movq HUSK_AP_ROOT(%rip), %rax
    movq %rax, %cr3
    movl $1, %edi
    lock xaddl %edi, HUSK_AP_TICKETS(%rip)
    cmpl HUSK_AP_LIMIT(%rip), %edi
    jae 5f
    leaq HUSK_AP_STACKS(%rip), %rax
    movq (%rax, %rdi, 8), %rsp
    xorl %ebp, %ebp
    pushq %rbp                      // ends the chain of frames
    pushq %rbp
    call {entry}
5:  cli
    hlt
    jmp 5b
    .popsection
    "#,
    page = const START_PAGE,
    base = const KERNEL_BASE,
    cr4 = const CR4.bits(),
    cr0 = const CR0.bits(),
    entry = sym entry,
    options(att_syntax)
);

unsafe extern "C" {
    static husk_ap_start: u8;
    static husk_ap_end: u8;
}

/// The bits of EFER that the kernel's page tables need.
#[unsafe(no_mangle)]
static HUSK_AP_EFER: AtomicU32 = AtomicU32::new(0);
/// The kernel's top-level page table.
#[unsafe(no_mangle)]
static HUSK_AP_ROOT: AtomicU64 = AtomicU64::new(0);
#[unsafe(no_mangle)]
static HUSK_AP_TICKETS: AtomicU32 = AtomicU32::new(0);
/// How many tickets are good.
#[unsafe(no_mangle)]
static HUSK_AP_LIMIT: AtomicU32 = AtomicU32::new(0);
/// The ends of stacks, by ticket.
#[unsafe(no_mangle)]
static HUSK_AP_STACKS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// What each of them needs, likewise: a box given away.
static OTHER_CPUS: [AtomicPtr<OtherCpu>; MAX_CPUS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];

/// CPUs that have come up, the boot CPU included.
static UP: AtomicUsize = AtomicUsize::new(1);
/// The CPUs in use, fixed at the end of boot.
static COUNT: AtomicUsize = AtomicUsize::new(1);
/// CPUs that use the kernel's page tables.
static RUNNING: AtomicU64 = AtomicU64::new(1);

/// CPUs in use.
pub(crate) fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}

/// CPUs that use the kernel's page tables, a bit each.
pub(super) fn running() -> u64 {
    RUNNING.load(Ordering::SeqCst)
}

/// When this CPU panics: the others stop where they are.
pub(super) fn stop_others() {
    let own = cpu::current();
    bits(running()).filter(|number| *number != own).for_each(apic::send_nmi);
}

/// CPUs being started: what [`finish`] waits for.
pub(super) struct Starting {
    apic_ids: Vec<u32>,
}

/// Starts the other CPUs, if there are any.
pub(super) fn start() -> Starting {
    let own = apic::id();
    let mut apic_ids = devices::apic_ids();
    apic_ids.retain(|id| *id != own && apic::reaches(*id));
    if apic_ids.len() >= MAX_CPUS {
        log::warn!("the machine has {} CPUs, of which {MAX_CPUS} are used", apic_ids.len() + 1);
        apic_ids.truncate(MAX_CPUS - 1);
    }
    if apic_ids.is_empty() {
        return Starting { apic_ids };
    }
    tsc::compare();
    let start = &raw const husk_ap_start;
    let len = (&raw const husk_ap_end) as usize - start as usize;
    if boot::is_reserved(Range { start: START_PAGE, end: START_PAGE + 4096 }) {
        log::error!("the page at {START_PAGE:#x} is in use: the other CPUs are not started");
        return Starting { apic_ids: Vec::new() };
    }
    for (ticket, _) in apic_ids.iter().enumerate() {
        match Stack::new() {
            Ok(stack) => {
                HUSK_AP_STACKS[ticket].store(stack.forget(), Ordering::Relaxed);
                OTHER_CPUS[ticket].store(Box::into_raw(Box::new(OtherCpu::new())), Ordering::Release);
            }
            Err(error) => {
                log::error!("no stack for a CPU: {error}");
                apic_ids.truncate(ticket);
                break;
            }
        }
    }
    let no_execute =
        if cpu::features().no_execute { EferFlags::NO_EXECUTE_ENABLE } else { EferFlags::empty() };
    HUSK_AP_EFER.store((EferFlags::LONG_MODE_ENABLE | no_execute).bits() as u32, Ordering::Relaxed);
    HUSK_AP_ROOT.store(kernel_map::root(), Ordering::Relaxed);
    HUSK_AP_LIMIT.store(apic_ids.len() as u32, Ordering::SeqCst);
    // SAFETY: the page is RAM of the first megabyte, in the direct map; the allocator does not have it, nothing that the
    // monitor left for the kernel is there, and the code is shorter than a page.
    unsafe { copy_bytes(phys_to_virt(START_PAGE), start, len) };
    let starting = Starting { apic_ids };
    starting.apic_ids.iter().for_each(|id| apic::send_init(*id));
    starting.wake();
    starting
}

impl Starting {
    fn wake(&self) {
        self.apic_ids.iter().for_each(|id| apic::send_start(*id, START_PAGE));
    }

    /// Waits for the CPUs; from now on [`count`] is right.
    pub(super) fn finish(self) {
        let expected = self.apic_ids.len() + 1;
        let start = time::monotonic_ns();
        let mut again = start + AGAIN_NS;
        while UP.load(Ordering::Acquire) < expected && time::monotonic_ns() < start + PATIENCE_NS {
            cpu::relax();
            tsc::compare();
            if time::monotonic_ns() >= again {
                again += AGAIN_NS;
                self.wake();
            }
        }
        if expected > 1 {
            tsc::compare();
        }
        // Those that come later find no ticket.
        HUSK_AP_LIMIT.store(0, Ordering::SeqCst);
        let up = UP.load(Ordering::Acquire);
        if up < expected {
            log::error!(
                "{} of {expected} CPUs did not start within {} s",
                expected - up,
                PATIENCE_NS / 1_000_000_000
            );
        }
        COUNT.store(up, Ordering::Relaxed);
    }
}

/// A CPU's first function, on its own stack.
extern "C" fn entry(ticket: u32) -> ! {
    let number = ticket as usize + 1;
    let prepared = OTHER_CPUS[ticket as usize].swap(core::ptr::null_mut(), Ordering::Acquire);
    // SAFETY: `start` gave the box away before it let CPUs take tickets, and each ticket is taken once. (The box itself is not
    // freed: the heap cannot be used yet.)
    unsafe { prepared.read() }.init(number);
    RUNNING.fetch_or(1 << number, Ordering::SeqCst);
    idt::load();
    cpu::init();
    fpu::init();
    syscall::init();
    apic::init_other_cpu();
    tsc::compare();
    UP.fetch_add(1, Ordering::Release);
    sched::idle_loop()
}
