//! Floating-point and vector state.
//!
//! The kernel itself is built without such instructions, so the registers of the thread that ran last stay in the CPU.
//! They are written to memory when the scheduler leaves the thread ([`save_before_switch`]), and loaded when
//! a thread enters user mode whose state they do not hold. The format in memory is always the standard one.

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use core::arch::asm;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use x86_64::registers::xcontrol::{XCr0, XCr0Flags};

use super::cpu;
use super::percpu::{self, PerCpu};
use crate::frame::OutOfMemory;
use crate::user::BadFpState;

const X87: u64 = XCr0Flags::X87.bits();
const SSE: u64 = XCr0Flags::SSE.bits();
const AVX: u64 = XCr0Flags::AVX.bits();
const AVX512: u64 = XCr0Flags::OPMASK.union(XCr0Flags::ZMM_HI256).union(XCr0Flags::HI16_ZMM).bits();
const PKRU: u64 = XCr0Flags::MPK.bits();

/// Bytes of the x87 and SSE part.
const LEGACY_LEN: usize = 512;
/// Bytes of the header behind it.
const HEADER_LEN: usize = 64;
const FCW_OFFSET: usize = 0;
const MXCSR_OFFSET: usize = 24;
const MXCSR_MASK_OFFSET: usize = 28;
const REGISTERS_OFFSET: usize = 32;
const XMM_OFFSET: usize = 160;
const XMM_END: usize = 416;
/// Bytes from here to the end of the legacy part belong to software.
const SOFTWARE_OFFSET: usize = 464;
const FCW_INITIAL: u16 = 0x37f;
const MXCSR_INITIAL: u32 = 0x1f80;
/// MXCSR bits when the CPU gives no mask (Intel SDM volume 1, 11.6.6).
const MXCSR_DEFAULT_MASK: u32 = 0xffbf;
/// As Linux starts programs: protection keys 1 to 15 deny access.
const PKRU_INITIAL: u32 = 0x5555_5554;

static ENABLED: AtomicU64 = AtomicU64::new(X87 | SSE);
static AREA_LEN: AtomicUsize = AtomicUsize::new(LEGACY_LEN);
/// Where each component beyond x87 and SSE is in the area, in the upper half, and its length. (CPUID, asked each time, is an exit to the
/// monitor.)
static COMPONENTS: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];
static MXCSR_MASK: AtomicU64 = AtomicU64::new(MXCSR_DEFAULT_MASK as u64);
/// Next identity of a state; 0 is none.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The enabled components.
pub(crate) fn enabled() -> u64 {
    ENABLED.load(Ordering::Relaxed)
}

/// Bytes of a state.
pub(crate) fn area_len() -> usize {
    AREA_LEN.load(Ordering::Relaxed)
}

/// Enables the components that the CPU has and the kernel knows.
pub(crate) fn init() {
    let features = cpu::features();
    if features.xsave {
        let leaf = cpu::cpuid(13, 0);
        let offered = u64::from(leaf.edx) << 32 | u64::from(leaf.eax);
        let mut mask = offered & (X87 | SSE | AVX);
        if mask & AVX != 0 && offered & AVX512 == AVX512 {
            mask |= AVX512;
        }
        if features.pku {
            mask |= offered & PKRU;
        }
        // SAFETY: CR4.OSXSAVE is on, the CPU offers these components, and AVX-512 comes with AVX, AVX with SSE.
        unsafe { XCr0::write(XCr0Flags::from_bits_truncate(mask)) };
        ENABLED.store(mask, Ordering::Relaxed);
        AREA_LEN.store(cpu::cpuid(13, 0).ebx as usize, Ordering::Relaxed);
        for (number, place) in (0..).zip(&COMPONENTS).skip(2).filter(|(number, _)| mask >> number & 1 != 0) {
            let leaf = cpu::cpuid(13, number);
            place.store(u64::from(leaf.ebx) << 32 | u64::from(leaf.eax), Ordering::Relaxed);
        }
    }
    let mut probe = LegacyArea([0; LEGACY_LEN]);
    // SAFETY: 512 bytes, aligned to 16; FXSAVE writes nothing else.
    unsafe { asm!("fninit", "fxsave64 [{}]", in(reg) &raw mut probe, options(nostack)) };
    let mask = u32::from_le_bytes([probe.0[28], probe.0[29], probe.0[30], probe.0[31]]);
    if mask != 0 {
        MXCSR_MASK.store(u64::from(mask), Ordering::Relaxed);
    }
}

#[repr(C, align(64))]
struct LegacyArea([u8; LEGACY_LEN]);

/// The scheduler calls this before it leaves a thread: afterwards the state in memory is good on any CPU.
pub(crate) fn save_before_switch(block: &PerCpu) {
    save_live(block);
}

/// Writes the registers to the area that they are newer than, if there is one.
fn save_live(block: &PerCpu) {
    let area = block.fp_live.swap(core::ptr::null_mut(), Ordering::Relaxed);
    if !area.is_null() {
        // SAFETY: fp_live points at the area of a state that was loaded on this CPU and still exists: dropping a state
        // clears the pointer, and a thread does not move to another CPU before `save_before_switch`.
        unsafe { save_registers(area) };
    }
}

/// # Safety
/// `area` is a save area of [`area_len`] bytes, aligned to 64.
unsafe fn save_registers(area: *mut u8) {
    let (low, high) = (enabled() as u32, (enabled() >> 32) as u32);
    let features = cpu::features();
    // SAFETY: the instruction exists on this CPU, and the area is large enough for the enabled components.
    unsafe {
        if features.xsaveopt {
            asm!("xsaveopt64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack, preserves_flags));
        } else if features.xsave {
            asm!("xsave64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack, preserves_flags));
        } else {
            asm!("fxsave64 [{}]", in(reg) area, options(nostack, preserves_flags));
        }
    }
}

/// # Safety
/// `area` is a save area of [`area_len`] bytes, aligned to 64, whose contents the CPU accepts.
unsafe fn load_registers(area: *const u8) {
    let (low, high) = (enabled() as u32, (enabled() >> 32) as u32);
    // SAFETY: the instruction exists on this CPU; the contents are valid, so it does not fault.
    unsafe {
        if cpu::features().xsave {
            asm!("xrstor64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack, preserves_flags));
        } else {
            asm!("fxrstor64 [{}]", in(reg) area, options(nostack, preserves_flags));
        }
    }
}

/// The state of one thread.
pub(crate) struct FpState {
    area: NonNull<u8>,
    /// Changes whenever the memory is written by anything but the CPU, so that registers loaded before are not taken for it.
    id: u64,
    /// The CPU whose registers were loaded from here last.
    last_cpu: usize,
}

// SAFETY: the area belongs to the state alone; the CPU's pointer to it is used only on the CPU where its thread runs.
unsafe impl Send for FpState {}
// SAFETY: through a shared reference nothing is read or written.
unsafe impl Sync for FpState {}

impl FpState {
    /// The state at the start of a program.
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        // SAFETY: the layout's size is not zero.
        let area = NonNull::new(unsafe { alloc_zeroed(Self::layout()) }).ok_or(OutOfMemory)?;
        let mut state = Self { area, id: 0, last_cpu: usize::MAX };
        state.reset();
        Ok(state)
    }

    /// A copy.
    pub(crate) fn try_clone(&mut self) -> Result<Self, OutOfMemory> {
        let mut copy = Self::new()?;
        let bytes = self.bytes();
        copy.change(|area| area.copy_from_slice(bytes));
        Ok(copy)
    }

    fn layout() -> Layout {
        Layout::from_size_align(area_len(), 64).expect("the size of the XSAVE area is small")
    }

    /// The bytes in memory, made current first.
    fn bytes(&mut self) -> &[u8] {
        let block = percpu::current();
        if block.fp_live.load(Ordering::Relaxed) == self.area.as_ptr() {
            // SAFETY: the area is ours, and of the right size. It stays live: the registers are not lost.
            unsafe { save_registers(self.area.as_ptr()) };
        }
        // SAFETY: the area has that many initialised bytes, and is borrowed with `self`; the CPU writes it only on
        // behalf of this thread, which is here.
        unsafe { core::slice::from_raw_parts(self.area.as_ptr(), area_len()) }
    }

    /// Writes the memory; the registers do not count any more.
    fn change(&mut self, write: impl FnOnce(&mut [u8])) {
        self.forget_registers();
        self.id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as in `bytes`, and `self` is borrowed mutably.
        write(unsafe { core::slice::from_raw_parts_mut(self.area.as_ptr(), area_len()) });
    }

    fn forget_registers(&mut self) {
        let live = &percpu::current().fp_live;
        if live.load(Ordering::Relaxed) == self.area.as_ptr() {
            live.store(core::ptr::null_mut(), Ordering::Relaxed);
        }
    }

    /// Makes the CPU's registers hold this state.
    pub(crate) fn load(&mut self, block: &PerCpu) {
        if block.fp_live.load(Ordering::Relaxed) == self.area.as_ptr() {
            return;
        }
        save_live(block);
        let cpu_index = block.index.load(Ordering::Relaxed);
        if block.fp_loaded.load(Ordering::Relaxed) != self.id || self.last_cpu != cpu_index {
            // SAFETY: the area was written by the CPU or checked by `restore_from`.
            unsafe { load_registers(self.area.as_ptr()) };
            block.fp_loaded.store(self.id, Ordering::Relaxed);
            self.last_cpu = cpu_index;
        }
        block.fp_live.store(self.area.as_ptr(), Ordering::Relaxed);
    }

    /// See [`UserContext::fp_reset`](super::user::UserContext::fp_reset).
    pub(crate) fn reset(&mut self) {
        self.change(|area| {
            area.fill(0);
            area[FCW_OFFSET..][..2].copy_from_slice(&FCW_INITIAL.to_le_bytes());
            area[MXCSR_OFFSET..][..4].copy_from_slice(&MXCSR_INITIAL.to_le_bytes());
            if enabled() & PKRU != 0 {
                area[component(PKRU.trailing_zeros())][..4].copy_from_slice(&PKRU_INITIAL.to_le_bytes());
                area[LEGACY_LEN..][..8].copy_from_slice(&PKRU.to_le_bytes());
            }
        });
    }

    /// See [`UserContext::fp_save`](super::user::UserContext::fp_save).
    pub(crate) fn save_to(&mut self, out: &mut [u8]) {
        out.copy_from_slice(self.bytes());
        let mask = MXCSR_MASK.load(Ordering::Relaxed) as u32;
        out[MXCSR_MASK_OFFSET..][..4].copy_from_slice(&mask.to_le_bytes());
        if out.len() < LEGACY_LEN + HEADER_LEN {
            return;
        }
        // Components in their initial state are not written by the CPU: say what they hold.
        let present = read_u64(out, LEGACY_LEN);
        if present & X87 == 0 {
            out[..MXCSR_OFFSET].fill(0);
            out[FCW_OFFSET..][..2].copy_from_slice(&FCW_INITIAL.to_le_bytes());
            out[REGISTERS_OFFSET..XMM_OFFSET].fill(0);
        }
        if present & SSE == 0 {
            out[XMM_OFFSET..XMM_END].fill(0);
        }
        let mut absent = enabled() & !present & !(X87 | SSE);
        while absent != 0 {
            out[component(absent.trailing_zeros())].fill(0);
            absent &= absent - 1;
        }
        out[LEGACY_LEN..][..8].copy_from_slice(&(present | X87 | SSE).to_le_bytes());
    }

    /// See [`UserContext::fp_restore`](super::user::UserContext::fp_restore).
    pub(crate) fn restore_from(&mut self, bytes: &[u8]) -> Result<(), BadFpState> {
        if bytes.len() != LEGACY_LEN && bytes.len() != area_len() {
            return Err(BadFpState);
        }
        let mxcsr = u32::from_le_bytes(bytes[MXCSR_OFFSET..][..4].try_into().map_err(|_| BadFpState)?);
        if mxcsr & !(MXCSR_MASK.load(Ordering::Relaxed) as u32) != 0 {
            return Err(BadFpState);
        }
        if let Some(header) = bytes.get(LEGACY_LEN..LEGACY_LEN + HEADER_LEN) {
            let unknown = read_u64(bytes, LEGACY_LEN) & !enabled();
            if unknown != 0 || header[8..].iter().any(|byte| *byte != 0) {
                return Err(BadFpState);
            }
        }
        if bytes.len() < area_len() {
            self.reset();
        }
        self.change(|area| {
            area[..bytes.len()].copy_from_slice(bytes);
            area[SOFTWARE_OFFSET..LEGACY_LEN].fill(0);
            if bytes.len() == LEGACY_LEN && area.len() > LEGACY_LEN {
                let present = read_u64(area, LEGACY_LEN) | X87 | SSE;
                area[LEGACY_LEN..][..8].copy_from_slice(&present.to_le_bytes());
            }
        });
        Ok(())
    }
}

impl Drop for FpState {
    fn drop(&mut self) {
        self.forget_registers();
        // SAFETY: allocated in `new` with the same layout; the CPU's pointer to it is gone.
        unsafe { dealloc(self.area.as_ptr(), Self::layout()) };
    }
}

/// Where a component beyond x87 and SSE is in the area, if it is enabled.
fn component(number: u32) -> core::ops::Range<usize> {
    let place = COMPONENTS[number as usize].load(Ordering::Relaxed);
    let (start, len) = ((place >> 32) as usize, place as u32 as usize);
    start..start + len
}

fn read_u64(bytes: &[u8], offset: usize) -> u64 {
    bytes[offset..].first_chunk::<8>().map_or(0, |word| u64::from_le_bytes(*word))
}
