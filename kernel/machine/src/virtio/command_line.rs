//! Devices named on the kernel's command line, as Linux's `virtio_mmio.device=` (QEMU's microvm and Firecracker write it).

/// One `virtio_mmio.device=SIZE@BASE:IRQ[:ID]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MmioDevice {
    /// Bytes of registers.
    pub(crate) len: u64,
    /// Physical address of the registers.
    pub(crate) base: u64,
    /// Interrupt input.
    pub(crate) irq: u32,
}

/// Calls `found` for each of them, in order. What cannot be understood is left out with a warning.
///
/// Works on bytes: this runs at each boot, and in emulation every instruction that runs for the first time costs a microsecond.
pub(crate) fn mmio_devices(command_line: &str, mut found: impl FnMut(MmioDevice)) {
    for word in command_line.as_bytes().split(|byte| *byte == b' ') {
        if let Some(value) = word.strip_prefix(b"virtio_mmio.device=") {
            match parse(value) {
                Some(device) => found(device),
                None => log::warn!("virtio: cannot understand a device on the command line"),
            }
        }
    }
}

fn parse(value: &[u8]) -> Option<MmioDevice> {
    let (len, rest) = number(value)?;
    let (len, rest) = match rest {
        [b'K' | b'k', rest @ ..] => (len.checked_mul(1 << 10)?, rest),
        _ => (len, rest),
    };
    let (base, rest) = number(rest.strip_prefix(b"@")?)?;
    let (irq, rest) = number(rest.strip_prefix(b":")?)?;
    // A number for the platform device may follow.
    if !matches!(rest, [] | [b':', ..]) {
        return None;
    }
    let device = MmioDevice { len, base, irq: u32::try_from(irq).ok()? };
    // At least the registers, as Linux asks for; far from the end of all addresses.
    ((0x100..=0x10000).contains(&len) && base.is_multiple_of(4) && base < 1 << 52).then_some(device)
}

/// A decimal number, or a hexadecimal one after `0x`, and what follows it.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let (digits, radix) = match text {
        [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
        _ => (text, 10),
    };
    let mut value = 0u64;
    let mut count = 0;
    for byte in digits {
        let Some(digit) = char::from(*byte).to_digit(radix) else { break };
        value = value.checked_mul(radix.into())?.checked_add(digit.into())?;
        count += 1;
    }
    (count > 0).then_some((value, &digits[count..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn qemu_and_firecracker() {
        let line = "log=2 virtio_mmio.device=512@0xfeb00000:5 x virtio_mmio.device=4K@0xd0001000:6:1 \
                    virtio_mmio.device=1@0xd0002000:7 virtio_mmio.device=nonsense \
                    virtio_mmio.device=512@0xfeb00000:5x virtio_mmio.device=512@0xffffffffffffffff0:5";
        let mut found = Vec::new();
        mmio_devices(line, |device| found.push(device));
        let expected = [
            MmioDevice { len: 512, base: 0xfeb0_0000, irq: 5 },
            MmioDevice { len: 4096, base: 0xd000_1000, irq: 6 },
        ];
        assert_eq!(found, expected);
    }

    proptest! {
        #[test]
        fn never_panics(value in "[0-9a-fxKMG@:]{0,24}|\\PC{0,12}") {
            let _ = parse(value.as_bytes());
        }
    }
}
