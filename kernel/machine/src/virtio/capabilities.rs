//! The capability list of a virtio PCI function (virtio 1.2, section 4.1.4; PCI Local Bus 3.0, section 6.7 and 6.8.2).

use super::pci::{CAP_COMMON_CFG, CAP_DEVICE_CFG, CAP_NOTIFY_CFG};

const CAP_POINTER: u8 = 0x34;
const CAP_ID_VENDOR: u8 = 0x09;
const CAP_ID_MSIX: u8 = 0x11;
/// More capabilities do not fit into the 192 bytes there are: a longer list is a ring.
const MOST: usize = 48;

/// A structure inside a BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Number of the BAR, 0 to 5.
    pub(crate) bar: u8,
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

/// The MSI-X table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MsixPlace {
    /// Offset in configuration space of the word with the control bits in its upper half.
    pub(crate) control: u8,
    /// The whole table.
    pub(crate) table: Place,
    /// Number of entries of 16 bytes.
    pub(crate) entries: u16,
}

/// What the driver needs of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    pub(crate) common: Option<Place>,
    pub(crate) notify: Option<Place>,
    pub(crate) notify_multiplier: u32,
    pub(crate) device: Option<Place>,
    pub(crate) msix: Option<MsixPlace>,
}

fn place(bar: u8, offset: u32, len: u32) -> Option<Place> {
    (bar <= 5 && len > 0 && offset.checked_add(len).is_some()).then_some(Place { bar, offset, len })
}

/// Reads the list; `read` gives the 32-bit word of configuration space at a multiple of 4.
pub(crate) fn read(read: &dyn Fn(u8) -> u32) -> Capabilities {
    let mut found = Capabilities::default();
    let mut at = read(CAP_POINTER).to_le_bytes()[0] & !3;
    for _ in 0..MOST {
        // The longest structure we read has 20 bytes.
        if !(0x40..=0xec).contains(&at) {
            break;
        }
        let [id, next, length, kind] = read(at).to_le_bytes();
        if id == CAP_ID_MSIX {
            let word = read(at + 4);
            let [bar, ..] = word.to_le_bytes();
            let entries = (u16::from_le_bytes([length, kind]) & 0x7ff) + 1;
            found.msix = place(bar & 7, word & !7, u32::from(entries) * 16).map(|table| MsixPlace {
                control: at,
                table,
                entries,
            });
        }
        if id == CAP_ID_VENDOR && length >= 16 {
            let [bar, ..] = read(at + 4).to_le_bytes();
            let place = || place(bar, read(at + 8), read(at + 12));
            // The device may offer a structure more than once; the first one that can be used is preferred.
            match kind {
                CAP_COMMON_CFG if found.common.is_none() => found.common = place(),
                CAP_DEVICE_CFG if found.device.is_none() => found.device = place(),
                CAP_NOTIFY_CFG if found.notify.is_none() && length >= 20 => {
                    found.notify = place();
                    found.notify_multiplier = read(at + 16);
                }
                _ => {}
            }
        }
        at = next & !3;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn word(config: &[u8], at: u8) -> u32 {
        u32::from_le_bytes(config[usize::from(at)..usize::from(at) + 4].try_into().unwrap())
    }

    /// As QEMU lays it out: BAR 4 with the structures, BAR 1 with the MSI-X table.
    fn config() -> [u8; 256] {
        let mut config = [0; 256];
        config[0x34] = 0x98;
        let mut put = |at: usize, bytes: &[u8]| config[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x98, &[0x11, 0x84, 2, 0, 1, 0, 0, 0, 1, 8, 0, 0]);
        put(0x84, &[9, 0x70, 20, 5, 0, 0, 0, 0]);
        put(0x70, &[9, 0x60, 20, 2, 4, 0, 0, 0, 0, 0x30, 0, 0, 0, 0x10, 0, 0, 4, 0, 0, 0]);
        put(0x60, &[9, 0x50, 16, 4, 4, 0, 0, 0, 0, 0x20, 0, 0, 0, 0x10, 0, 0]);
        put(0x50, &[9, 0x40, 16, 3, 4, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0, 0]);
        put(0x40, &[9, 0, 16, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0]);
        config
    }

    #[test]
    fn qemus_list() {
        let config = config();
        let place = |bar, offset, len| Place { bar, offset, len };
        let expected = Capabilities {
            common: Some(place(4, 0, 0x1000)),
            notify: Some(place(4, 0x3000, 0x1000)),
            notify_multiplier: 4,
            device: Some(place(4, 0x2000, 0x1000)),
            msix: Some(MsixPlace { control: 0x98, table: place(1, 0, 48), entries: 3 }),
        };
        assert_eq!(read(&|at| word(&config, at)), expected);
    }

    #[test]
    fn a_ring_ends() {
        let mut config = config();
        config[0x41] = 0x98;
        assert!(read(&|at| word(&config, at)).common.is_some());
    }

    proptest! {
        #[test]
        fn never_panics(damage in prop::collection::vec((0usize..256, any::<u8>()), 0..40)) {
            let mut config = config();
            for (at, byte) in damage {
                config[at] = byte;
            }
            let found = read(&|at| word(&config, at));
            let places: Vec<Place> = [found.common, found.notify, found.device].into_iter().flatten().collect();
            prop_assert!(places.iter().all(|place| place.bar <= 5 && place.offset.checked_add(place.len).is_some()));
        }
    }
}
