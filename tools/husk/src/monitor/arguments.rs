//! QEMU's command line.

use super::{Accel, Hardware, Machine};
use husk_abi::control::{PORT_CONTROL, PORT_STDERR, PORT_STDIO};
use std::ffi::OsString;

/// How QEMU reaches the files and sockets of a session.
#[derive(Clone, Debug)]
pub struct Files {
    /// Path of the kernel.
    pub kernel: String,
    /// Path of the boot module.
    pub boot_module: String,
    /// Path of the root image, which is only read.
    pub image: String,
    /// Descriptors of the sockets behind the ports and the serial line.
    pub stdio: i32,
    /// Standard error.
    pub stderr: i32,
    /// Control messages.
    pub control: i32,
    /// The kernel's log.
    pub serial: i32,
}

/// The arguments for a machine; `accel` is what [`super::decide`] came to.
#[must_use]
pub fn arguments(hardware: &Hardware, accel: Accel, files: &Files, log_level: u8) -> Vec<OsString> {
    let mut args: Vec<String> = Vec::new();
    let mut add = |parts: &[&str]| args.extend(parts.iter().map(|part| (*part).to_owned()));
    // Devices by their transport: the suffix is all that differs, and PCI functions are modern only.
    let (machine, suffix) = match hardware.machine {
        Machine::Microvm => {
            // The kernel reads the places of the virtio devices from its command line.
            let options = "acpi=off,rtc=on,pit=on,pic=on,isa-serial=on,auto-kernel-cmdline=on";
            (format!("microvm,{options}"), "device")
        }
        Machine::Q35 => ("q35,usb=off,vmport=off,smbus=off,sata=off".to_owned(), "pci,disable-legacy=on"),
    };
    add(&["-M", &machine]);
    match accel {
        Accel::Kvm => add(&["-accel", "kvm", "-cpu", "host,migratable=off"]),
        Accel::Tcg | Accel::Auto => add(&["-accel", "tcg", "-cpu", "max"]),
    }
    add(&["-m", &format!("{}k", hardware.memory >> 10), "-smp", &hardware.cpus.to_string()]);
    add(&["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
    if hardware.machine == Machine::Microvm {
        add(&["-global", "virtio-mmio.force-legacy=false"]);
    }
    add(&["-kernel", &files.kernel, "-initrd", &files.boot_module]);
    add(&["-append", &format!("log={log_level}")]);

    add(&["-chardev", &format!("socket,id=serial,fd={}", files.serial), "-serial", "chardev:serial"]);
    add(&["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
    // Several VMs may read one image; the file is never written, so nothing needs to be flushed.
    let drive = format!(
        "if=none,id=root,format=raw,readonly=on,file={},file.locking=off,cache=unsafe,aio=threads",
        files.image
    );
    add(&["-drive", &drive, "-device", &format!("virtio-blk-{suffix},drive=root,queue-size=256")]);
    add(&["-device", &format!("virtio-serial-{suffix},id=ports,max_ports=4")]);
    for (number, name, fd) in [
        (PORT_STDIO, "stdio", files.stdio),
        (PORT_STDERR, "stderr", files.stderr),
        (PORT_CONTROL, "control", files.control),
    ] {
        add(&["-chardev", &format!("socket,id={name},fd={fd}")]);
        let port = format!("virtserialport,bus=ports.0,nr={number},chardev={name},name=husk.{name}");
        add(&["-device", &port]);
    }
    add(&["-device", &format!("virtio-rng-{suffix}")]);
    args.extend(hardware.network.arguments(suffix));
    args.into_iter().map(OsString::from).collect()
}
