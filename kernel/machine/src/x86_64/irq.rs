//! Interrupt vectors and their handlers.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering, compiler_fence};

use x86_64::instructions::interrupts;

use super::{apic, sched, time, tlb};

/// A device's handler. It runs with interrupts off and must not sleep.
pub(crate) type Handler = Box<dyn Fn() + Send + Sync>;

/// Vectors that devices get.
const FIRST_DEVICE: u8 = 0x30;
const LAST_DEVICE: u8 = 0xef;
/// The local APIC's timer.
pub(crate) const TIMER: u8 = 0xf0;
/// Another CPU has queued a thread here, or has told this one's thread something.
pub(crate) const RESCHEDULE: u8 = 0xf1;
/// Another CPU has changed a page table.
pub(crate) const FLUSH: u8 = 0xf2;
/// The local APIC's own errors.
pub(crate) const APIC_ERROR: u8 = 0xfe;
/// What the local APIC delivers when an interrupt went away; it wants no end-of-interrupt.
pub(crate) const SPURIOUS: u8 = 0xff;

static HANDLERS: [AtomicPtr<Handler>; 256] = [const { AtomicPtr::new(core::ptr::null_mut()) }; 256];
static NEXT: AtomicU8 = AtomicU8::new(FIRST_DEVICE);
static TIMER_CALLBACK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Reserves a vector for a device's interrupt, for good. `None` if all are taken.
///
/// The handler is called with interrupts off; the end of the interrupt is signalled after it.
pub(crate) fn register(handler: Handler) -> Option<u8> {
    let vector = NEXT
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| (next <= LAST_DEVICE).then(|| next + 1));
    let vector = vector.ok()?;
    HANDLERS[usize::from(vector)].store(Box::into_raw(Box::new(handler)), Ordering::Release);
    Some(vector)
}

/// What runs at each timer interrupt, with interrupts off.
pub(crate) fn set_timer_callback(callback: fn()) {
    TIMER_CALLBACK.store(callback as *mut (), Ordering::Release);
}

/// Runs the handler of an interrupt that has happened.
pub(crate) fn dispatch(vector: u8) {
    match vector {
        TIMER => {
            time::refine();
            let callback = TIMER_CALLBACK.load(Ordering::Acquire);
            if !callback.is_null() {
                // SAFETY: only `set_timer_callback` stores there, and it stores a `fn()`.
                let callback: fn() = unsafe { core::mem::transmute(callback) };
                callback();
            }
        }
        RESCHEDULE => sched::reschedule_interrupt(),
        FLUSH => tlb::answer(),
        APIC_ERROR => log::warn!("local APIC error {:#x}", apic::take_error()),
        SPURIOUS => return,
        _ => {
            let handler = HANDLERS[usize::from(vector)].load(Ordering::Acquire);
            if handler.is_null() {
                log::warn!("interrupt {vector:#x} has no handler");
            } else {
                // SAFETY: `register` leaked the box, so it lives for ever and is never written again.
                unsafe { (*handler)() };
            }
        }
    }
    apic::end_of_interrupt();
}

/// Halts the CPU until an interrupt has been handled. Returns with interrupts off again.
pub(crate) fn wait_for_interrupt() {
    // The crate says that halting touches no memory, but handlers do.
    compiler_fence(Ordering::SeqCst);
    // STI takes effect after the next instruction, so an interrupt that came just before is not slept through.
    interrupts::enable_and_hlt();
    interrupts::disable();
}
