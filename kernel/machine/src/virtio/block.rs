//! The driver of virtio block devices (virtio 1.2, section 5.2).

use super::block_queue::{BlockQueue, Finished, ID_BYTES, Limits, get_id, split};
use super::transport::Transport;
use super::{Features, VirtioError};
use crate::block::{BlockDevice, BlockOp, BlockRequest};
use crate::frame::Frame;
use crate::sync::{Once, SpinLock, WaitQueue};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

// Feature bits (section 5.2.3).
const SIZE_MAX: Features = Features::from_bits_retain(1 << 1);
const SEG_MAX: Features = Features::from_bits_retain(1 << 2);
const RO: Features = Features::from_bits_retain(1 << 5);
const FLUSH: Features = Features::from_bits_retain(1 << 9);
const MQ: Features = Features::from_bits_retain(1 << 12);

const CONFIG_CAPACITY: usize = 0;
const CONFIG_SIZE_MAX: usize = 8;
const CONFIG_SEG_MAX: usize = 12;
const CONFIG_NUM_QUEUES: usize = 34;

const QUEUE_SIZE: u16 = 256;
/// A header, one segment of data and a status must fit.
const LEAST_QUEUE_SIZE: u16 = 4;

/// A disk behind virtio. Each CPU submits to its own queue, as far as the device has queues.
pub(crate) struct VirtioBlock {
    name: String,
    sectors: u64,
    read_only: bool,
    can_flush: bool,
    queues: Vec<SpinLock<BlockQueue>>,
    serial: Once<String>,
}

impl VirtioBlock {
    /// Sets the device up and starts it.
    pub(crate) fn start(mut transport: Transport, name: String) -> Result<Arc<Self>, VirtioError> {
        let features = transport.begin(Features::INDIRECT_DESC | SIZE_MAX | SEG_MAX | RO | FLUSH | MQ)?;
        let has = |feature| features.contains(feature);
        let sectors = transport.config_u64(CONFIG_CAPACITY);
        let limit = |bit, offset, default: usize| match has(bit) {
            // 0 would allow no data at all; such devices exist and mean "no limit known".
            true => Some(transport.config_u32(offset) as usize).filter(|n| *n > 0).unwrap_or(default),
            false => default,
        };
        let limits = Limits {
            sectors,
            segments: limit(SEG_MAX, CONFIG_SEG_MAX, 1),
            segment_bytes: limit(SIZE_MAX, CONFIG_SIZE_MAX, usize::MAX),
            indirect: has(Features::INDIRECT_DESC),
        };
        let offered = if has(MQ) { transport.config_u16(CONFIG_NUM_QUEUES).max(1) } else { 1 };
        let cpus = u16::try_from(crate::cpu::count()).unwrap_or(u16::MAX);
        let mut queues = Vec::new();
        let count = offered.min(cpus);
        // Each queue has an interrupt of its own, if there are enough.
        let shared = count > transport.lines();
        for index in 0..count {
            let queue = transport.queue(index, QUEUE_SIZE, if shared { 0 } else { index })?;
            if queue.size() < LEAST_QUEUE_SIZE {
                return Err(VirtioError::NoQueue(index));
            }
            queues.push(SpinLock::new(BlockQueue::new(queue, limits)?));
        }
        let device = Arc::new(Self {
            name,
            sectors,
            read_only: has(RO),
            can_flush: has(FLUSH),
            queues,
            serial: Once::new(),
        });
        for line in 0..if shared { 1 } else { count } {
            let device = device.clone();
            let queues = if shared { 0..count } else { line..line + 1 };
            let handler = move || queues.clone().for_each(|queue| device.interrupt(queue));
            transport.connect(line, Box::new(handler))?;
        }
        transport.finish();
        Ok(device)
    }

    fn interrupt(&self, queue: u16) {
        let queue = &self.queues[usize::from(queue)];
        let pop = || queue.lock().pop();
        let mut any = false;
        while let Some(finished) = pop() {
            any = true;
            // Called with the lock released: it may submit the next request.
            finished.map(Finished::tell).unwrap_or_default();
        }
        if any {
            queue.lock().start_waiting();
        }
    }

    fn queue(&self) -> &SpinLock<BlockQueue> {
        &self.queues[crate::cpu::current() % self.queues.len()]
    }

    fn read_serial(&self) -> String {
        let Ok(frame) = Frame::alloc_zeroed() else { return String::new() };
        let answer = Arc::new((SpinLock::new(None), WaitQueue::new()));
        let done = {
            let answer = answer.clone();
            Box::new(move |result| {
                *answer.0.lock() = Some(result);
                answer.1.wake_all();
            })
        };
        self.queue().lock().submit([get_id(frame.clone(), done)]);
        if answer.1.wait_until(|| *answer.0.lock()).is_err() {
            return String::new();
        }
        let mut bytes = [0; ID_BYTES];
        frame.read(0, &mut bytes);
        let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(ID_BYTES);
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    }
}

impl BlockDevice for VirtioBlock {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn serial(&self) -> String {
        if let Some(serial) = self.serial.get() {
            return serial.clone();
        }
        // Asked outside of `call_once`, where nobody may sleep. Two that ask at once get the same answer.
        let serial = self.read_serial();
        self.serial.call_once(|| serial).clone()
    }

    fn submit(&self, request: BlockRequest) {
        if let Err(error) = request.check(self.sectors, self.read_only) {
            return (request.done)(Err(error));
        }
        let nothing = match request.op {
            // Without VIRTIO_BLK_F_FLUSH the device writes through: all is on the medium already.
            BlockOp::Flush => !self.can_flush,
            BlockOp::Read | BlockOp::Write => request.frames.is_empty(),
        };
        if nothing {
            return (request.done)(Ok(()));
        }
        let queue = self.queue();
        let limits = queue.lock().limits();
        let pieces = split(request, &limits);
        queue.lock().submit(pieces);
    }
}
