//! Finding the devices of a PC-like virtual machine and starting their drivers.
//!
//! Every access to a device's registers is an exit to the monitor, so only what is needed is looked at: if the command line
//! names virtio devices (microvm, Firecracker) that is all there is; else bus 0 of PCI is walked (q35).

mod io_apic;
mod lines;
mod pci;
pub(crate) mod rtc;
mod uart;

use super::{boot, kernel_map, layout, time};
use crate::acpi::{self, Platform};
use crate::devices::{add_block, add_net, add_port};
use crate::mp_table;
use crate::port::Port;
use crate::random;
use crate::sync::{Once, SpinLock};
use crate::virtio::block::VirtioBlock;
use crate::virtio::command_line::mmio_devices;
use crate::virtio::console::{ConsolePort, VirtioConsole};
use crate::virtio::entropy::VirtioEntropy;
use crate::virtio::mmio;
use crate::virtio::net::VirtioNet;
use crate::virtio::registers::Registers;
use crate::virtio::transport::Transport;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};
use virtio_drivers::transport::DeviceType;

/// The command line names devices.
static NAMED: AtomicBool = AtomicBool::new(false);

/// How long to wait for the console device to say which ports it has. QEMU answers within the exit that asks, or (on PCI)
/// from another thread some microseconds later; on a busy host that thread may not run for a long time. Booting without
/// the ports would fail.
const CONSOLE_PATIENCE_NS: u64 = 10_000_000_000;

/// Finds the devices and starts them. Interrupts are off and stay off.
pub(crate) fn init() {
    let mut found = Vec::new();
    mmio_devices(boot::command_line(), |device| {
        NAMED.store(true, Ordering::Relaxed);
        // The parser allows 64 KiB at most.
        let registers = map_registers(device.base, device.len as usize);
        found.extend(mmio::open(registers, || Box::new(lines::Pin::new(device.irq))));
    });
    if found.is_empty() {
        found = pci::find();
    }
    if found.is_empty() {
        log::warn!(
            "no virtio device found, neither on the command line (QEMU's microvm: acpi=off) nor on PCI"
        );
    }
    let mut letters = b'a'..=b'z';
    let mut interfaces = 0..;
    let mut console = None;
    for (kind, transport) in found {
        let started = transport.and_then(|transport| match kind {
            DeviceType::Block => {
                let mut name = String::from("vd");
                name.extend(letters.next().map(char::from));
                VirtioBlock::start(transport, name).map(|disk| add_block(disk))
            }
            DeviceType::Network => {
                let number: u32 = interfaces.next().unwrap_or_default();
                VirtioNet::start(transport, format!("eth{number}")).map(|device| add_net(device))
            }
            DeviceType::Console if console.is_none() => {
                VirtioConsole::start(transport, port_found).map(|device| console = Some(device))
            }
            DeviceType::EntropySource => {
                random::set_source(entropy_source(transport));
                Ok(())
            }
            _ => {
                log::info!("virtio: no driver for a device of type {kind:?}");
                Ok(())
            }
        });
        if let Err(error) = started {
            log::error!("virtio: device of type {kind:?}: {error}");
        }
    }
    if let Some(console) = console {
        let deadline = time::monotonic_ns() + CONSOLE_PATIENCE_NS;
        while !console.settled() && time::monotonic_ns() < deadline {
            core::hint::spin_loop();
        }
        console.interrupt();
    }
}

/// What to call for more randomness. The device is not started before the first call: with RDSEED that is after boot.
fn entropy_source(transport: Transport) -> Box<dyn Fn() + Send + Sync> {
    let unstarted = SpinLock::new(Some(transport));
    let device = Once::new();
    Box::new(move || {
        let transport = unstarted.lock().take();
        if let Some(transport) = transport {
            match VirtioEntropy::start(transport) {
                Ok(started) => {
                    device.call_once(|| started);
                }
                Err(error) => log::error!("virtio: entropy device: {error}"),
            }
        } else if let Some(device) = device.get() {
            device.ask();
        }
    })
}

fn port_found(port: Arc<ConsolePort>) {
    add_port(port.number(), port);
}

/// The first serial line.
pub(crate) fn serial_port() -> Option<Arc<dyn Port>> {
    uart::open()
}

/// What the ACPI tables say; `None` if the machine has none. Read when first asked for.
pub(crate) fn platform() -> Option<&'static Platform> {
    static PLATFORM: Once<Option<Platform>> = Once::new();
    let read = || {
        let rsdp = boot::rsdp().or_else(|| acpi::find_rsdp(&read_physical))?;
        acpi::read(rsdp, &read_physical)
    };
    PLATFORM.call_once(read).as_ref()
}

/// The port of the PM1a control register and the value that switches the machine off (ACPI 6.5, section 4.8.3.2.1).
pub(crate) fn soft_off() -> Option<(u16, u16)> {
    const SLEEP_ENABLE: u16 = 1 << 13;
    let fadt = platform()?.fadt.as_ref()?;
    let sleep_type = acpi::s5_sleep_type(fadt, &read_physical)?;
    (fadt.pm1a_control != 0).then_some((fadt.pm1a_control, u16::from(sleep_type & 7) << 10 | SLEEP_ENABLE))
}

/// The local APICs of the machine's CPUs, as ACPI's tables or the older ones of the MultiProcessor Specification list them. Empty if
/// there are neither.
pub(super) fn apic_ids() -> Vec<u32> {
    let listed = platform().and_then(|platform| platform.madt.as_ref()).map(|madt| madt.cpus.clone());
    listed.filter(|ids| !ids.is_empty()).or_else(|| mp_table::apic_ids(&read_physical)).unwrap_or_default()
}

/// Whether it is worth looking for ACPI tables: not where the monitor named the devices and gave no root pointer.
fn has_tables() -> bool {
    boot::rsdp().is_some() || !NAMED.load(Ordering::Relaxed)
}

/// Reads memory below 4 GiB, where firmware keeps its tables.
fn read_physical(address: u64, buffer: &mut [u8]) -> bool {
    if address.checked_add(buffer.len() as u64).is_none_or(|end| end > 4 << 30) {
        return false;
    }
    let start = layout::phys_to_virt(address);
    for (i, byte) in buffer.iter_mut().enumerate() {
        // SAFETY: all addresses below 4 GiB are in the direct map; bytes that firmware wrote are plain memory, and
        // whatever else is there can be read as bytes without harm in a virtual machine.
        *byte = unsafe { start.add(i).read_volatile() };
    }
    true
}

/// Maps registers of a device, for ever.
pub(crate) fn map(physical: u64, len: usize) -> NonNull<u8> {
    let start = kernel_map::map_mmio(physical, len);
    NonNull::new(start).unwrap_or_else(|| unreachable!("device registers mapped at address 0"))
}

fn map_registers(physical: u64, len: usize) -> Registers {
    // SAFETY: the whole range was mapped, for ever, as device registers; physical addresses of registers are
    // aligned to far more than 8 bytes.
    unsafe { Registers::new(map(physical, len), len) }
}
