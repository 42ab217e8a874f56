//! Output of one port.

use super::super::buffer::Buffer;
use super::super::buffer_queue::BufferQueue;
use super::ENTRIES;

/// A buffer being filled.
struct Staged {
    buffer: Buffer,
    len: usize,
}

/// The transmit queue and its buffers.
///
/// Bytes are copied into a buffer of a page, which goes to the device at once while there is room in the queue. When the host
/// is slow, small writes gather in the last buffer. The device interrupts only if somebody waits,
/// or something is left to be sent.
pub(super) struct Send {
    queue: BufferQueue<ENTRIES>,
    staged: Option<Staged>,
    /// The host has announced the port: before, it would throw away what it gets.
    open: bool,
    someone_waits: bool,
    /// Something was taken off the ring since somebody began to wait; maybe not by the interrupt handler.
    changed: bool,
    /// A buffer for the next output.
    spare: Option<Buffer>,
}

impl Send {
    pub(super) fn new(mut queue: BufferQueue<ENTRIES>) -> Self {
        queue.set_interrupts(false);
        Self { queue, staged: None, open: false, someone_waits: false, changed: false, spare: None }
    }

    /// The host takes output from here on.
    pub(super) fn open(&mut self) {
        self.open = true;
        self.push();
        self.queue.kick();
    }

    /// Gives the staged buffer to the device if there is room.
    fn push(&mut self) {
        if !self.open || self.queue.free() == 0 {
            return;
        }
        let Some(Staged { buffer, len }) = self.staged.take() else { return };
        self.staged = self.queue.add(buffer, len).err().map(|buffer| Staged { buffer, len });
    }

    /// Takes back the buffers that the host is done with, and sends what waited for room; true if there were any.
    fn reap(&mut self) -> bool {
        let mut any = false;
        while let Some((buffer, _)) = self.queue.pop() {
            self.spare = Some(buffer);
            any = true;
        }
        if any {
            self.changed = true;
            self.push();
            self.queue.kick();
        }
        any
    }

    fn fill(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            if self.staged.as_ref().is_some_and(|staged| staged.len == staged.buffer.len()) {
                self.push();
                if self.staged.is_some() {
                    break;
                }
            }
            if self.staged.is_none() {
                // Once there was a buffer there is always one, spare or on its way, however little memory is left.
                let Some(buffer) = self.spare.take().or_else(|| Buffer::page().ok()) else { break };
                self.staged = Some(Staged { buffer, len: 0 });
            }
            let Some(staged) = &mut self.staged else { break };
            let len = (bytes.len() - done).min(staged.buffer.len() - staged.len);
            staged.buffer.write(staged.len, &bytes[done..done + len]);
            staged.len += len;
            done += len;
        }
        self.push();
        self.queue.kick();
        done
    }

    /// Takes as much as there is room for.
    pub(super) fn write(&mut self, bytes: &[u8]) -> usize {
        self.reap();
        let mut done = self.fill(bytes);
        if done < bytes.len() {
            if self.wait() {
                done += self.fill(&bytes[done..]);
            }
        } else if self.staged.is_some() {
            // Nobody waits, but what is staged must go out when there is room.
            self.queue.set_interrupts(true);
            self.reap();
        }
        done
    }

    /// Asks for an interrupt at the next change, for somebody who waits; true if there was a change already.
    fn wait(&mut self) -> bool {
        self.someone_waits = true;
        self.changed = false;
        self.queue.set_interrupts(true);
        self.reap()
    }

    /// Looks at the ring after an interrupt; true if the port's listener should hear of it.
    pub(super) fn interrupt(&mut self) -> bool {
        self.reap();
        let tell = self.someone_waits && self.changed;
        if tell {
            self.someone_waits = false;
        }
        if !self.someone_waits && self.staged.is_none() {
            self.queue.set_interrupts(false);
        }
        tell
    }

    fn has_room(&self) -> bool {
        self.staged.as_ref().is_none_or(|staged| staged.len < staged.buffer.len())
            || (self.open && self.queue.free() > 0)
    }

    /// A write would take something.
    pub(super) fn can_write(&mut self) -> bool {
        self.has_room() || {
            self.reap();
            self.has_room() || (self.wait() && self.has_room())
        }
    }

    fn is_empty(&self) -> bool {
        self.staged.is_none() && self.queue.is_idle()
    }

    /// The host has taken everything.
    pub(super) fn is_flushed(&mut self) -> bool {
        self.reap();
        self.is_empty() || (self.wait() && self.is_empty())
    }
}
