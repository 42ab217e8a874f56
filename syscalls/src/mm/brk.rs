//! The heap of brk(2).

use super::vma::{Backing, VmFlags, Vma};
use super::{AddressSpace, INFINITY, PAGE, Prot, USER_END, overcommits, page_up};
use core::sync::atomic::Ordering;

/// Where the heap is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heap {
    /// Where it starts.
    pub(crate) start: u64,
    /// Where it ends; the program's idea of it, not rounded to pages.
    pub(crate) end: u64,
}

impl AddressSpace {
    /// Sets where the heap starts; it is empty.
    pub(crate) fn set_heap_start(&self, start: u64) {
        self.maps.lock().heap = Heap { start, end: start };
    }

    /// Moves the end of the heap, if that can be done, and returns where it is then.
    pub(crate) fn brk(&self, wanted: u64) -> u64 {
        let mut state = self.maps.lock();
        let heap = state.heap;
        if wanted < heap.start || wanted >= USER_END {
            return heap.end;
        }
        let data_limit = self.limits.data.load(Ordering::Relaxed);
        let layout_data = {
            let layout = self.layout.lock();
            layout.data.end - layout.data.start
        };
        if data_limit != INFINITY && (wanted - heap.start).saturating_add(layout_data) > data_limit {
            return heap.end;
        }
        let (Some(old), Some(new)) = (page_up(heap.end), page_up(wanted)) else { return heap.end };
        if new < old {
            let removed = state.maps.remove(new..old);
            self.page_table.unmap(new, old);
            state.heap.end = wanted;
            drop(state);
            drop(removed);
            return wanted;
        }
        if new > old {
            let more = (new - old) / PAGE;
            if !state.maps.is_free_with_gap(old..new + PAGE)
                || !self.may_expand(&state.maps, more, true)
                || overcommits(more)
            {
                return heap.end;
            }
            let flags = state.lock_future;
            state.maps.insert(Vma {
                start: old,
                end: new,
                prot: Prot::READ | Prot::WRITE,
                max: Prot::all(),
                flags,
                backing: Backing::Anonymous,
            });
        }
        state.heap.end = wanted;
        let populate = state.lock_future.contains(VmFlags::LOCKED);
        drop(state);
        if populate {
            self.populate(old..new);
        }
        wanted
    }
}
