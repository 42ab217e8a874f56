//! Feature bits of network devices (virtio 1.2, section 5.1.3), and which of them are wanted.

use super::super::Features;
use crate::net::{LargeKind, Offloads};

pub(super) const CSUM: Features = Features::from_bits_retain(1 << 0);
pub(super) const GUEST_CSUM: Features = Features::from_bits_retain(1 << 1);
pub(super) const MTU: Features = Features::from_bits_retain(1 << 3);
pub(super) const MAC: Features = Features::from_bits_retain(1 << 5);
pub(super) const GUEST_TSO4: Features = Features::from_bits_retain(1 << 7);
pub(super) const GUEST_TSO6: Features = Features::from_bits_retain(1 << 8);
pub(super) const HOST_TSO4: Features = Features::from_bits_retain(1 << 11);
pub(super) const HOST_TSO6: Features = Features::from_bits_retain(1 << 12);
pub(super) const MRG_RXBUF: Features = Features::from_bits_retain(1 << 15);
pub(super) const STATUS: Features = Features::from_bits_retain(1 << 16);
pub(super) const CTRL_VQ: Features = Features::from_bits_retain(1 << 17);
pub(super) const MQ: Features = Features::from_bits_retain(1 << 22);

/// What to agree on, of what the device offers, for a machine with so many CPUs.
pub(super) fn choose(offered: Features, cpus: usize) -> Features {
    let mut wanted = Features::EVENT_IDX | CSUM | GUEST_CSUM | MTU | MAC | MRG_RXBUF | STATUS;
    // Each needs another (section 5.1.3.1), which a device may fail to offer.
    if offered.contains(CSUM) {
        wanted |= HOST_TSO4 | HOST_TSO6;
    }
    // A large frame needs many buffers of a page.
    if offered.contains(GUEST_CSUM | MRG_RXBUF) {
        wanted |= GUEST_TSO4 | GUEST_TSO6;
    }
    if offered.contains(CTRL_VQ | MQ) && cpus > 1 {
        wanted |= CTRL_VQ | MQ;
    }
    offered & wanted
}

/// What the device does for the stack.
pub(super) fn offloads(agreed: Features) -> Offloads {
    Offloads {
        checksum: agreed.contains(CSUM),
        receive_checksum: agreed.contains(GUEST_CSUM),
        tcp4: agreed.contains(HOST_TSO4),
        tcp6: agreed.contains(HOST_TSO6),
        receive_tcp4: agreed.contains(GUEST_TSO4),
        receive_tcp6: agreed.contains(GUEST_TSO6),
    }
}

/// Whether it sends large frames of a kind.
pub(super) fn sends(offloads: Offloads, kind: LargeKind) -> bool {
    match kind {
        LargeKind::Tcp4 => offloads.tcp4,
        LargeKind::Tcp6 => offloads.tcp6,
    }
}

/// Whether it gives large frames of a kind.
pub(super) fn receives(offloads: Offloads, kind: LargeKind) -> bool {
    match kind {
        LargeKind::Tcp4 => offloads.receive_tcp4,
        LargeKind::Tcp6 => offloads.receive_tcp6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_understood_and_nothing_else() {
        let agreed = choose(Features::all(), 2);
        let all = CSUM | GUEST_CSUM | MTU | MAC | GUEST_TSO4 | GUEST_TSO6 | HOST_TSO4 | HOST_TSO6;
        assert_eq!(agreed, all | MRG_RXBUF | STATUS | CTRL_VQ | MQ | Features::EVENT_IDX);
        assert_eq!(choose(Features::empty(), 2), Features::empty());
        assert_eq!(choose(MAC, 1), MAC);
    }

    #[test]
    fn what_needs_another_is_not_taken_alone() {
        assert_eq!(choose(HOST_TSO4 | HOST_TSO6 | GUEST_CSUM, 1), GUEST_CSUM);
        assert_eq!(choose(GUEST_TSO4 | GUEST_TSO6 | GUEST_CSUM, 1), GUEST_CSUM);
        assert_eq!(choose(GUEST_TSO4 | MRG_RXBUF, 1), MRG_RXBUF);
        assert_eq!(choose(MQ, 4), Features::empty());
        assert_eq!(choose(MQ | CTRL_VQ, 1), Features::empty());
        assert_eq!(choose(MQ | CTRL_VQ, 4), MQ | CTRL_VQ);
    }
}
