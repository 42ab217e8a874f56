//! The driver of virtio entropy devices (virtio 1.2, section 5.4).

use super::VirtioError;
use super::dma::DmaMemory;
use super::queue::{Segment, VirtQueue};
use super::transport::Transport;
use crate::sync::SpinLock;
use alloc::boxed::Box;
use alloc::sync::Arc;

/// Bytes asked for at a time.
const BYTES: usize = 64;

struct State {
    queue: VirtQueue,
    buffer: DmaMemory,
    asked: bool,
}

/// A source of randomness on the host. Nobody waits for it: what it gives is mixed in when it comes.
pub(crate) struct VirtioEntropy {
    state: SpinLock<State>,
}

impl VirtioEntropy {
    /// Sets the device up and asks for the first bytes.
    pub(crate) fn start(mut transport: Transport) -> Result<Arc<Self>, VirtioError> {
        transport.begin(0)?;
        let queue = transport.queue(0, 1, 0)?;
        let buffer = DmaMemory::alloc(BYTES)?;
        let device = Arc::new(Self { state: SpinLock::new(State { queue, buffer, asked: false }) });
        let handler = device.clone();
        transport.connect(0, Box::new(move || handler.interrupt()))?;
        transport.finish();
        device.ask();
        Ok(device)
    }

    /// Asks for more bytes.
    pub(crate) fn ask(&self) {
        let mut state = self.state.lock();
        if state.asked {
            return;
        }
        let address = state.buffer.physical(0);
        if state.queue.add(&[Segment { address, len: BYTES as u32, device_writes: true }]).is_some() {
            state.asked = true;
            state.queue.kick();
        }
    }

    fn interrupt(&self) {
        let mut bytes = [0; BYTES];
        let len = {
            let mut state = self.state.lock();
            let Some(used) = state.queue.pop() else { return };
            state.asked = false;
            let len = BYTES.min(used.written as usize);
            state.buffer.read_bytes(0, &mut bytes[..len]);
            len
        };
        crate::random::add_entropy(&bytes[..len]);
    }
}
