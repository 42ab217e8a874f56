//! The control queue (virtio 1.2, section 5.1.6.5), of which one command is used: how many pairs of queues are.

use super::super::VirtioError;
use super::super::dma::DmaMemory;
use super::super::queue::{Segment, VirtQueue};
use crate::sync::{SpinLock, WaitQueue};
use crate::time::monotonic_ns;

const CLASS_MQ: u8 = 4;
const MQ_VQ_PAIRS_SET: u8 = 0;
const ACK_OK: u8 = 0;
/// Not a value the device writes.
const ACK_PENDING: u8 = 0xff;

// Where the parts of the command are.
const COMMAND: usize = 0;
const ACK: usize = 4;
const BYTES: usize = 5;

/// How long to wait for the answer.
const PATIENCE_NS: u64 = 1_000_000_000;

/// The queue. It has one command at a time.
pub(super) struct ControlQueue {
    queue: SpinLock<VirtQueue>,
    memory: DmaMemory,
    waiters: WaitQueue,
}

impl ControlQueue {
    pub(super) fn new(queue: VirtQueue) -> Result<Self, VirtioError> {
        let memory = DmaMemory::alloc(BYTES)?;
        Ok(Self { queue: SpinLock::new(queue), memory, waiters: WaitQueue::new() })
    }

    /// Has the device use the first so many pairs of queues; sleeps until it has answered, and says whether it does. Called once.
    pub(super) fn use_pairs(&self, pairs: u16) -> bool {
        self.memory.write_u8(COMMAND, CLASS_MQ);
        self.memory.write_u8(COMMAND + 1, MQ_VQ_PAIRS_SET);
        self.memory.write_u16(COMMAND + 2, pairs);
        self.memory.write_u8(ACK, ACK_PENDING);
        let command = Segment { address: self.memory.physical(COMMAND), len: 4, device_writes: false };
        let ack = Segment { address: self.memory.physical(ACK), len: 1, device_writes: true };
        {
            let mut queue = self.queue.lock();
            if queue.add(&[command, ack]).is_none() {
                return false;
            }
            queue.kick();
        }
        // If it does not answer, command and memory stay with it: the queue is not used again.
        let answered =
            self.waiters.wait_until_deadline(|| self.queue.lock().pop(), monotonic_ns() + PATIENCE_NS);
        answered.is_some() && self.memory.read_u8(ACK) == ACK_OK
    }

    /// An interrupt came that may be for this queue.
    pub(super) fn interrupt(&self) {
        self.waiters.wake_all();
    }
}
