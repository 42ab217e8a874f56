//! The driver of virtio entropy devices (virtio 1.2, section 5.4).

use super::buffer::Buffer;
use super::buffer_queue::{BufferQueue, Direction};
use super::transport::Transport;
use super::{Features, VirtioError};
use crate::sync::SpinLock;
use alloc::boxed::Box;
use alloc::sync::Arc;

/// Bytes asked for at a time.
const BYTES: usize = 64;

struct State {
    queue: BufferQueue<1>,
    /// The buffer, while the device does not have it.
    idle: Option<Buffer>,
}

/// A source of randomness on the host. Nobody waits for it: what it gives is mixed in when it comes.
pub(crate) struct VirtioEntropy {
    state: SpinLock<State>,
}

impl VirtioEntropy {
    /// Sets the device up and asks for the first bytes.
    pub(crate) fn start(mut transport: Transport) -> Result<Arc<Self>, VirtioError> {
        transport.begin(Features::empty())?;
        let queue = transport.buffer_queue(0, Direction::FromDevice, 0)?;
        let idle = Buffer::several(1, BYTES)?.pop();
        let device = Arc::new(Self { state: SpinLock::new(State { queue, idle }) });
        let handler = device.clone();
        transport.connect(0, Box::new(move || handler.interrupt()))?;
        transport.finish();
        device.ask();
        Ok(device)
    }

    /// Asks for more bytes, unless that has been done.
    pub(crate) fn ask(&self) {
        let mut state = self.state.lock();
        let Some(buffer) = state.idle.take() else { return };
        state.idle = state.queue.add(buffer, BYTES).err();
        state.queue.kick();
    }

    fn interrupt(&self) {
        let mut bytes = [0; BYTES];
        let len = {
            let mut state = self.state.lock();
            let Some((buffer, len)) = state.queue.pop() else { return };
            buffer.read(0, &mut bytes[..len]);
            state.idle = Some(buffer);
            len
        };
        crate::random::add_entropy(&bytes[..len]);
    }
}
