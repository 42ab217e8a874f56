//! The address space in CR3, and the one that the current thread wants there.

use super::sched::{here, with_current};
use super::{cpu, kernel_map};
use crate::paging::PageTable;
use alloc::sync::Arc;
use core::cell::Cell;

/// A CPU's own record of it.
pub(super) struct Spaces {
    /// In CR3; `None` is the kernel's own. It may stay there while threads of the kernel run.
    loaded: Cell<Option<Arc<PageTable>>>,
    /// The current thread's.
    wanted: Cell<*const PageTable>,
}

impl Spaces {
    pub(super) const fn new() -> Self {
        Self { loaded: Cell::new(None), wanted: Cell::new(core::ptr::null()) }
    }

    /// Before a switch: loads what the next thread wants.
    pub(super) fn switch_to(&self, space: Option<&Arc<PageTable>>) {
        self.wanted.set(space.map_or(core::ptr::null(), Arc::as_ptr));
        if let Some(space) = space {
            self.load(space);
        }
    }

    fn load(&self, space: &Arc<PageTable>) {
        let old = self.loaded.take();
        if old.as_ref().is_some_and(|old| Arc::ptr_eq(old, space)) {
            self.loaded.set(old);
            return;
        }
        space.active().enter();
        // SAFETY: every address space shares the kernel's half; `loaded` keeps this one as long as it is in use.
        unsafe { cpu::load_page_table(space.root_address()) };
        self.loaded.set(Some(space.clone()));
        if let Some(old) = old {
            old.active().leave();
        }
    }
}

/// The current thread has no address space any more, and the CPU lets go of the one it uses.
pub(super) fn leave() {
    let spaces = &here().local.spaces;
    // SAFETY: this is the thread itself.
    let space = with_current(|me| unsafe { (*me.own()).space.take() });
    spaces.wanted.set(core::ptr::null());
    if let Some(loaded) = spaces.loaded.take() {
        // SAFETY: the kernel's own table has the kernel's half.
        unsafe { cpu::load_page_table(kernel_map::root()) };
        loaded.active().leave();
    }
    drop(space);
}

impl PageTable {
    /// Makes this the current thread's address space, from now on and whenever it runs.
    pub(crate) fn activate(self: &Arc<Self>) {
        let spaces = &here().local.spaces;
        if core::ptr::eq(spaces.wanted.get(), Arc::as_ptr(self)) {
            return;
        }
        spaces.load(self);
        spaces.wanted.set(Arc::as_ptr(self));
        // SAFETY: this is the thread itself.
        let old = with_current(|me| unsafe { (*me.own()).space.replace(self.clone()) });
        drop(old);
    }
}
