//! Messages of the control queues (virtio 1.2, section 5.3.6.2).

/// Bytes of `struct virtio_console_control`.
pub(super) const MESSAGE_BYTES: usize = 8;

const DEVICE_READY: u16 = 0;
const DEVICE_ADD: u16 = 1;
const DEVICE_REMOVE: u16 = 2;
const PORT_READY: u16 = 3;
const PORT_OPEN: u16 = 6;

/// What the host says about a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostEvent {
    /// The port exists.
    Add,
    /// The port is gone.
    Remove,
    /// The host opened its end, or closed it.
    Open(bool),
    /// Something of no consequence here: it is a console, its size, its name.
    Other,
}

/// What we say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GuestEvent {
    /// The driver is ready to hear of ports.
    DeviceReady,
    /// The driver can use the port.
    PortReady(u32),
    /// Our end of the port is open: the host may send.
    PortOpen(u32),
}

/// Reads a message: the port's number and the event; `None` if it is too short. A name that follows is ignored.
pub(super) fn decode(bytes: &[u8]) -> Option<(u32, HostEvent)> {
    let (header, _name) = bytes.split_first_chunk::<MESSAGE_BYTES>()?;
    let [i0, i1, i2, i3, e0, e1, v0, v1] = *header;
    let event = match u16::from_le_bytes([e0, e1]) {
        DEVICE_ADD => HostEvent::Add,
        DEVICE_REMOVE => HostEvent::Remove,
        PORT_OPEN => HostEvent::Open(u16::from_le_bytes([v0, v1]) != 0),
        _ => HostEvent::Other,
    };
    Some((u32::from_le_bytes([i0, i1, i2, i3]), event))
}

/// The bytes of a message; its value is 1 in all that we send.
pub(super) fn encode(event: GuestEvent) -> [u8; MESSAGE_BYTES] {
    let (port, event) = match event {
        GuestEvent::DeviceReady => (0, DEVICE_READY),
        GuestEvent::PortReady(port) => (port, PORT_READY),
        GuestEvent::PortOpen(port) => (port, PORT_OPEN),
    };
    let [i0, i1, i2, i3] = port.to_le_bytes();
    let [e0, e1] = event.to_le_bytes();
    [i0, i1, i2, i3, e0, e1, 1, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_layout_of_the_standard() {
        assert_eq!(encode(GuestEvent::DeviceReady), [0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(encode(GuestEvent::PortReady(2)), [2, 0, 0, 0, 3, 0, 1, 0]);
        assert_eq!(encode(GuestEvent::PortOpen(0x102)), [2, 1, 0, 0, 6, 0, 1, 0]);
        assert_eq!(decode(&[3, 0, 0, 0, 1, 0, 1, 0]), Some((3, HostEvent::Add)));
        assert_eq!(decode(&[3, 0, 0, 0, 2, 0, 0, 0]), Some((3, HostEvent::Remove)));
        assert_eq!(decode(&[1, 0, 0, 0, 6, 0, 0, 0]), Some((1, HostEvent::Open(false))));
        assert_eq!(decode(&[1, 0, 0, 0, 6, 0, 1, 0]), Some((1, HostEvent::Open(true))));
        assert_eq!(decode(b"\x01\0\0\0\x07\0\x01\0husk.stdio"), Some((1, HostEvent::Other)));
        assert_eq!(decode(&[1, 0, 0, 0, 6, 0, 1]), None);
    }
}
