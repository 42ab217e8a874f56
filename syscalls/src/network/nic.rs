//! A network device as a card of the stack.

use alloc::sync::Arc;
use husk_machine::net::{Checksum, Full, Incoming, Large, LargeKind, NetDevice, Outgoing, Partial, Receiver};
use husk_machine::time::monotonic_ns;
use husk_net::{Frame, InterfaceIndex, Link, Offloads, RxChecksum, Stack};

/// The largest IP packet: what its length field can say.
const LARGEST_PACKET: usize = 65_535;

/// Adds a device to the stack and lets it receive. The answer is its index.
///
/// # Errors
/// If there is no memory for its threads or buffers.
pub(super) fn add(
    stack: &Arc<Stack>,
    device: Arc<dyn NetDevice>,
) -> Result<InterfaceIndex, husk_machine::frame::OutOfMemory> {
    let index = stack.add_interface(Arc::new(Card(device.clone())));
    let receiver = Arc::new(Inlet { stack: stack.clone(), index });
    device.start(receiver)?;
    stack.link_changed(index);
    Ok(index)
}

/// What the stack sends by.
struct Card(Arc<dyn NetDevice>);

impl Link for Card {
    fn mtu(&self) -> usize {
        self.0.mtu().into()
    }

    fn mac(&self) -> [u8; 6] {
        self.0.mac()
    }

    fn offloads(&self) -> Offloads {
        let offloads = self.0.offloads();
        let largest = |is_there: bool| if offloads.checksum && is_there { LARGEST_PACKET } else { 0 };
        Offloads {
            tx_checksum: offloads.checksum,
            tso_v4: largest(offloads.tcp4),
            tso_v6: largest(offloads.tcp6),
        }
    }

    fn transmit(&self, frame: Frame) -> Result<(), Frame> {
        let offload = frame.offload();
        let large = offload.segmentation.map(|segmentation| Large {
            kind: if segmentation.v6 { LargeKind::Tcp6 } else { LargeKind::Tcp4 },
            segment: segmentation.mss,
        });
        let outgoing = Outgoing {
            pieces: &[frame.bytes()],
            checksum: offload.checksum.map(|at| Partial { start: at.start, offset: at.offset }),
            large,
            header_len: offload.segmentation.map_or(0, |segmentation| segmentation.header_len),
        };
        let sent = self.0.transmit(&outgoing);
        self.0.flush();
        match sent {
            Ok(()) => Ok(()),
            Err(Full) => Err(frame),
        }
    }

    fn is_up(&self) -> bool {
        self.0.link_up()
    }
}

/// Where what a device receives goes.
struct Inlet {
    stack: Arc<Stack>,
    index: InterfaceIndex,
}

impl Receiver for Inlet {
    fn frame(&self, bytes: &[u8], incoming: Incoming) {
        let checksum = match incoming.checksum {
            Checksum::Unknown => RxChecksum::Unknown,
            Checksum::Right | Checksum::Partial(_) => RxChecksum::Good,
        };
        self.stack.receive(self.index, bytes, checksum, monotonic_ns());
    }

    fn room(&self) {
        self.stack.transmit_ready(self.index);
    }

    fn link_changed(&self, _up: bool) {
        self.stack.link_changed(self.index);
    }
}
