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

/// All of them, in order. What cannot be understood is left out with a warning.
pub(crate) fn mmio_devices(command_line: &str) -> impl Iterator<Item = MmioDevice> + '_ {
    command_line.split_ascii_whitespace().filter_map(|word| {
        let value = word.strip_prefix("virtio_mmio.device=")?;
        let device = parse(value);
        if device.is_none() {
            log::warn!("virtio: cannot understand {word} on the command line");
        }
        device
    })
}

fn parse(value: &str) -> Option<MmioDevice> {
    let (len, rest) = value.split_once('@')?;
    let (base, rest) = rest.split_once(':')?;
    let irq = rest.split(':').next()?;
    let device = MmioDevice { len: size(len)?, base: number(base)?, irq: u32::try_from(number(irq)?).ok()? };
    // The registers and at least a word of configuration, as Linux asks for; at most a page's worth of sense.
    ((0x100..=0x10000).contains(&device.len)
        && device.base.is_multiple_of(4)
        && device.base.checked_add(device.len)? <= 1 << 52)
        .then_some(device)
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A number with an optional K, M or G.
fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 10),
        b'M' | b'm' => (&text[..text.len() - 1], 20),
        b'G' | b'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    number(digits)?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn qemu_and_firecracker() {
        let line = "log=2 virtio_mmio.device=512@0xfeb00000:5 x virtio_mmio.device=4K@0xd0001000:6:1 \
                    virtio_mmio.device=1@0xd0002000:7 virtio_mmio.device=nonsense";
        let found: Vec<_> = mmio_devices(line).collect();
        let expected = [
            MmioDevice { len: 512, base: 0xfeb0_0000, irq: 5 },
            MmioDevice { len: 4096, base: 0xd000_1000, irq: 6 },
        ];
        assert_eq!(found, expected);
    }

    proptest! {
        #[test]
        fn never_panics(value in "[0-9a-fxKMG@:]{0,24}|\\PC{0,12}") {
            let _ = parse(&value);
        }
    }
}
