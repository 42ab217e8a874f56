//! A queue of single buffers, on the crate's `VirtQueue`: for everything but disks.
//!
//! The queue owns the buffers that the device has, so nobody can touch them meanwhile. The crate is told not to use
//! EVENT_IDX (its test is wrong when the index wraps), and looks at the device's flag only after a full fence.

use super::buffer::Buffer;
use super::hal::KernelHal;
use super::notifier::Notifier;
use core::sync::atomic::{Ordering, fence};
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The device writes the buffers.
    FromDevice,
    /// The device reads them.
    ToDevice,
}

/// A buffer that the device has.
struct Held {
    buffer: Buffer,
    /// How much of it.
    len: usize,
}

/// A split virtqueue of `SIZE` buffers.
pub(crate) struct BufferQueue<const SIZE: usize> {
    queue: VirtQueue<KernelHal, SIZE>,
    notifier: Notifier,
    direction: Direction,
    /// By the crate's token, which is the number of the descriptor.
    held: [Option<Held>; SIZE],
    /// Buffers were added since the last kick.
    added: bool,
    /// The device gave back what it does not have: nothing that it says can be trusted any more.
    broken: bool,
}

impl<const SIZE: usize> BufferQueue<SIZE> {
    /// Sets queue `index` of a device up.
    pub(crate) fn new(
        device: &mut impl Transport,
        index: u16,
        direction: Direction,
        notifier: Notifier,
    ) -> virtio_drivers::Result<Self> {
        let queue = VirtQueue::new(device, index, false, false)?;
        let held = [const { None }; SIZE];
        Ok(Self { queue, notifier, direction, held, added: false, broken: false })
    }

    /// How many more buffers there is room for.
    pub(crate) fn free(&self) -> usize {
        if self.broken { 0 } else { self.queue.available_desc() }
    }

    /// The device has no buffer.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.available_desc() == SIZE
    }

    /// Gives the first `len` bytes of a buffer to the device, or the buffer back if there is no room. The device may not
    /// see it before [`kick`](Self::kick).
    pub(crate) fn add(&mut self, buffer: Buffer, len: usize) -> Result<(), Buffer> {
        if self.free() == 0 {
            return Err(buffer);
        }
        let mut bytes = buffer.first(len);
        // SAFETY: the buffer is ours alone, and it stays in `held`, untouched, until `pop_used` has given it back.
        let added = unsafe {
            match self.direction {
                Direction::FromDevice => self.queue.add(&[], &mut [bytes.as_mut()]),
                Direction::ToDevice => self.queue.add(&[bytes.as_ref()], &mut []),
            }
        };
        let Ok(token) = added else { return Err(buffer) };
        self.held[usize::from(token)] = Some(Held { buffer, len });
        self.added = true;
        Ok(())
    }

    /// Tells the device about buffers added since the last kick, unless it asked not to be told.
    pub(crate) fn kick(&mut self) {
        if !core::mem::take(&mut self.added) {
            return;
        }
        // The device sets its flag and then looks at the index; the crate has stored the index and now looks at the
        // flag. Without a full fence between its store and its load, both could miss the other.
        fence(Ordering::SeqCst);
        if self.queue.should_notify() {
            self.notifier.notify();
        }
    }

    /// Says whether the device should interrupt when it has used a buffer. After switching interrupts on
    /// the caller must look at the ring once more: a buffer used before brings no interrupt.
    pub(crate) fn set_interrupts(&mut self, on: bool) {
        self.queue.set_dev_notify(on);
        if on {
            fence(Ordering::SeqCst);
        }
    }

    /// The next buffer that the device has finished with, and how many bytes it says that it wrote: at most what it was given.
    pub(crate) fn pop(&mut self) -> Option<(Buffer, usize)> {
        if self.broken {
            return None;
        }
        let token = self.queue.peek_used()?;
        let Some(held) = self.held.get_mut(usize::from(token)).and_then(Option::take) else {
            return self.stop(token);
        };
        let mut bytes = held.buffer.first(held.len);
        // SAFETY: these are the bytes that were given to the queue for this token, and nobody else has them.
        let popped = unsafe {
            match self.direction {
                Direction::FromDevice => self.queue.pop_used(token, &[], &mut [bytes.as_mut()]),
                Direction::ToDevice => self.queue.pop_used(token, &[bytes.as_ref()], &mut []),
            }
        };
        match popped {
            Ok(written) => Some((held.buffer, held.len.min(written as usize))),
            Err(_) => {
                // It changed its mind between the two looks at the ring. The buffer is still in the queue.
                self.held[usize::from(token)] = Some(held);
                self.stop(token)
            }
        }
    }

    fn stop(&mut self, token: u16) -> Option<(Buffer, usize)> {
        log::error!("virtio: the device returned buffer {token}, which it does not have; queue stopped");
        self.broken = true;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake_device::{FakeDevice, write_physical};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buffers_reach_the_device_and_come_back() {
        let (mut queue, mut device) = FakeDevice::buffer_queue::<2>(Direction::ToDevice);
        assert!(queue.is_idle());
        let mut buffers = Buffer::several(3, 16).unwrap();
        buffers[0].write(0, b"hello");
        let (third, second, first) = (buffers.pop().unwrap(), buffers.pop().unwrap(), buffers.pop().unwrap());
        queue.add(first, 5).unwrap();
        queue.add(second, 16).unwrap();
        assert_eq!(queue.free(), 0);
        assert!(queue.add(third, 1).is_err());
        assert_eq!(device.kicks(), 0);
        queue.kick();
        queue.kick();
        assert_eq!(device.kicks(), 1);
        let (head, segments) = device.next().unwrap();
        assert_eq!((segments.len(), segments[0].len, segments[0].device_writes), (1, 5, false));
        assert_eq!(device.read(segments[0]), b"hello");
        device.finish(head, 0);
        let (buffer, written) = queue.pop().unwrap();
        assert_eq!((buffer.len(), written), (16, 0));
        assert!(queue.pop().is_none() && !queue.is_idle());
    }

    #[test]
    fn the_device_cannot_say_that_it_wrote_more() {
        let (mut queue, mut device) = FakeDevice::buffer_queue::<1>(Direction::FromDevice);
        queue.add(Buffer::page().unwrap(), 8).unwrap();
        let (head, segments) = device.next().unwrap();
        assert!(segments[0].device_writes);
        write_physical(segments[0].address, b"12345678");
        device.finish(head, 5000);
        let (buffer, written) = queue.pop().unwrap();
        let mut bytes = [0; 8];
        buffer.read(0, &mut bytes);
        assert_eq!((written, &bytes), (8, b"12345678"));
    }

    #[test]
    fn both_sides_can_ask_for_silence() {
        let (mut queue, device) = FakeDevice::buffer_queue::<4>(Direction::ToDevice);
        assert!(device.wants_interrupts());
        queue.set_interrupts(false);
        assert!(!device.wants_interrupts());
        queue.set_interrupts(true);
        assert!(device.wants_interrupts());
        device.suppress_kicks(true);
        queue.add(Buffer::page().unwrap(), 1).unwrap();
        queue.kick();
        assert_eq!(device.kicks(), 0);
        device.suppress_kicks(false);
        queue.add(Buffer::page().unwrap(), 1).unwrap();
        queue.kick();
        assert_eq!(device.kicks(), 1);
    }

    #[test]
    fn a_lying_device_stops_the_queue_but_not_the_kernel() {
        for wrong in [1, 7, u32::MAX] {
            let (mut queue, mut device) = FakeDevice::buffer_queue::<4>(Direction::FromDevice);
            queue.add(Buffer::page().unwrap(), 1).unwrap();
            device.finish_raw(wrong, 0);
            assert!(queue.pop().is_none());
            assert!(queue.add(Buffer::page().unwrap(), 1).is_err());
        }
    }

    proptest! {
        // Any order of adding and finishing (the device may finish out of order) loses and doubles nothing.
        #[test]
        fn nothing_is_lost(steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 1..400)) {
            let (mut queue, mut device) = FakeDevice::buffer_queue::<8>(Direction::ToDevice);
            let mut free = Buffer::several(9, 8).unwrap();
            for (number, buffer) in (0u64..).zip(&mut free) {
                buffer.write(0, &number.to_le_bytes());
            }
            let number = |buffer: &Buffer| {
                let mut bytes = [0; 8];
                buffer.read(0, &mut bytes);
                bytes
            };
            let mut held: Vec<(u16, [u8; 8])> = Vec::new();
            for (add, pick) in steps {
                if add {
                    let buffer = free.pop().unwrap();
                    let expected = number(&buffer);
                    match queue.add(buffer, 8) {
                        Ok(()) => {
                            let (head, segments) = device.next().unwrap();
                            prop_assert_eq!(device.read(segments[0]), expected.to_vec());
                            held.push((head, expected));
                        }
                        Err(buffer) => {
                            prop_assert_eq!(held.len(), 8);
                            free.push(buffer);
                        }
                    }
                } else if !held.is_empty() {
                    let (head, expected) = held.swap_remove(pick.index(held.len()));
                    device.finish(head, 0);
                    let (buffer, _) = queue.pop().unwrap();
                    prop_assert_eq!(number(&buffer), expected);
                    free.push(buffer);
                }
                prop_assert_eq!(queue.free(), 8 - held.len());
            }
        }
    }
}
