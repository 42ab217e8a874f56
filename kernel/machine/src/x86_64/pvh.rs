//! The entry point: PVH boot (Xen's `docs/misc/pvh.pandoc`), as QEMU, Firecracker and Cloud Hypervisor offer it.
//!
//! The monitor finds the address of [`husk_pvh_entry`] in an ELF note, and jumps there in 32-bit protected mode
//! without paging, `ebx` pointing at `hvm_start_info`. The code here notes the time, builds a first set of page
//! tables (the low 4 GiB, at 0 and in the direct map; the first GiB at the kernel's base) in memory that
//! the loader has cleared, enters long mode and calls `rust_entry`.

use core::arch::global_asm;
use core::sync::atomic::AtomicU64;

use x86_64::registers::control::{Cr0Flags, Cr4Flags, EferFlags};

/// TSC at the first instruction: the zero of the monotonic clock.
#[unsafe(no_mangle)]
pub(crate) static HUSK_ENTRY_TSC: AtomicU64 = AtomicU64::new(0);

/// Bytes of the stack that boot runs on.
const BOOT_STACK_LEN: usize = 64 * 1024;

/// The control registers on the way into long mode, here and in `smp.rs`.
pub(super) const CR4: Cr4Flags = Cr4Flags::PHYSICAL_ADDRESS_EXTENSION.union(Cr4Flags::PAGE_GLOBAL);
pub(super) const CR0: Cr0Flags = Cr0Flags::PROTECTED_MODE_ENABLE
    .union(Cr0Flags::MONITOR_COPROCESSOR)
    .union(Cr0Flags::EXTENSION_TYPE)
    .union(Cr0Flags::NUMERIC_ERROR)
    .union(Cr0Flags::WRITE_PROTECT)
    .union(Cr0Flags::PAGING);

global_asm!(
    r#"
    .pushsection .note.Xen, "a", @note
    .p2align 2
    .long 4
    .long 8
    .long 18                        // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad husk_pvh_entry - {base}
    .popsection

    .pushsection .bss.husk_boot, "aw", @nobits
    .p2align 12
    .global husk_boot_pml4
husk_boot_pml4:     .skip 4096
husk_boot_pdpt_low: .skip 4096
husk_boot_pdpt_high:.skip 4096
husk_boot_pd:       .skip 4096 * 4
husk_boot_stack:    .skip {stack_len}
husk_boot_stack_top:
    .popsection

    .pushsection .rodata.husk_boot, "a"
    .p2align 3
husk_boot_gdt:
    .quad 0
    .quad 0
    .quad 0x00af9b000000ffff        // 0x10: 64-bit code, as in gdt.rs
    .quad 0x00cf93000000ffff        // 0x18: data
husk_boot_gdtr:
    .word 31
    .long husk_boot_gdt - {base}
    .popsection

    .pushsection .boot.text, "ax"
    .code32
    .global husk_pvh_entry
husk_pvh_entry:
    cli
    cld
    rdtsc
    movl %eax, HUSK_ENTRY_TSC - {base}
    movl %edx, HUSK_ENTRY_TSC - {base} + 4
    movl %ebx, %esi

    // 4 x 512 entries of 2 MiB: present, writable, large.
    movl $(husk_boot_pd - {base}), %edi
    movl $0x83, %eax
    movl $2048, %ecx
1:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 1b

    movl $(husk_boot_pd - {base} + 3), %eax
    movl $(husk_boot_pdpt_low - {base}), %edi
    movl %eax, (%edi)
    movl %eax, husk_boot_pdpt_high - {base} + 510 * 8
    addl $4096, %eax
    movl %eax, 8(%edi)
    addl $4096, %eax
    movl %eax, 16(%edi)
    addl $4096, %eax
    movl %eax, 24(%edi)

    movl $(husk_boot_pml4 - {base}), %edi
    movl $(husk_boot_pdpt_low - {base} + 3), (%edi)
    movl $(husk_boot_pdpt_low - {base} + 3), 256 * 8(%edi)
    movl $(husk_boot_pdpt_high - {base} + 3), 511 * 8(%edi)

    movl ${cr4}, %eax
    movl %eax, %cr4
    movl %edi, %cr3
    movl $0xc0000080, %ecx          // EFER
    rdmsr
    orl ${efer}, %eax
    wrmsr
    movl ${cr0}, %eax
    movl %eax, %cr0
    lgdt husk_boot_gdtr - {base}
    ljmpl $0x10, $(2f - {base})

    .code64
2:  movabsq $3f, %rax
    jmpq *%rax
3:  movw $0x18, %ax
    movw %ax, %ss
    xorl %eax, %eax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    leaq husk_boot_stack_top(%rip), %rsp
    xorl %ebp, %ebp
    movl %esi, %edi
    pushq %rbp                      // ends the chain of frames
    pushq %rbp
    call {rust_entry}
    ud2
    .popsection
    "#,
    cr4 = const CR4.bits(),
    efer = const EferFlags::LONG_MODE_ENABLE.bits(),
    cr0 = const CR0.bits(),
    base = const super::layout::KERNEL_BASE,
    stack_len = const BOOT_STACK_LEN,
    rust_entry = sym super::boot::rust_entry,
    options(att_syntax)
);
