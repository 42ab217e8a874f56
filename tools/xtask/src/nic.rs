//! `cargo xtask nic`: the driver of network devices against QEMU's, without a stack on top.
//!
//! A kernel of its own (kernel/image/src/bin/nic_probe) sends frames: to QEMU's user network, whose gateway answers them, and to
//! a peer here, which sends each one back. In between the link goes down and up.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::{cargo, check, target_dir};
use crate::programs::Tally;
use crate::setup;

/// Machine type, virtual CPUs, whether VIRTIO_F_EVENT_IDX and VIRTIO_NET_F_MRG_RXBUF are offered, what Ethernet carries.
const CASES: [(&str, u32, bool, bool, u32); 4] = [
    ("microvm", 1, true, true, 9000),
    ("microvm", 2, false, false, 1500),
    ("q35", 2, true, true, 9000),
    ("q35", 1, false, true, 1500),
];
/// How long a machine may take.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn run() -> Result<ExitCode> {
    setup::for_tests()?;
    let tally = run_all()?;
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs each machine, and prints a line for it.
pub(crate) fn run_all() -> Result<Tally> {
    let kernel = build()?;
    let mut tally = Tally::default();
    for (machine, cpus, event_idx, merged, mtu) in CASES {
        let place =
            format!("nic {machine} with {cpus} CPUs, event_idx={event_idx}, mrg_rxbuf={merged}, MTU {mtu}");
        let start = Instant::now();
        let features = format!("event_idx={event_idx},mrg_rxbuf={merged},host_mtu={mtu}");
        match Run::new().and_then(|run| run.watch(&kernel, machine, cpus, &features)) {
            Ok(()) => {
                println!("pass {place}: {:.1} s", start.elapsed().as_secs_f64());
                tally.passed += 1;
            }
            Err(error) => {
                println!("FAIL {place}: {error:#}");
                tally.failed += 1;
            }
        }
    }
    Ok(tally)
}

fn build() -> Result<PathBuf> {
    let parts = ["build", "--quiet", "--profile", "kernel", "-p", "husk-kernel", "--target", setup::TARGET];
    check(cargo().args(parts).args(["--bin", "nic-probe", "--features", "nic-probe"]))?;
    Ok(target_dir().join(setup::TARGET).join("kernel/nic-probe"))
}

/// Sockets of one machine.
struct Run {
    folder: tempfile::TempDir,
}

impl Run {
    fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, kernel: &Path, machine: &str, cpus: u32, features: &str) -> Command {
        let (machine, suffix) = match machine {
            "microvm" => ("microvm,acpi=off,rtc=on,pit=on,pic=on,isa-serial=on", "device"),
            _ => ("q35,usb=off,vmport=off,smbus=off,sata=off", "pci,disable-legacy=on,romfile="),
        };
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-M", machine, "-accel", "tcg", "-cpu", "max", "-m", "256M", "-smp", &cpus.to_string()]);
        qemu.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"]);
        if machine.starts_with("microvm") {
            qemu.args(["-global", "virtio-mmio.force-legacy=false"]);
        }
        qemu.arg("-kernel").arg(kernel).args(["-append", "log=2"]);
        qemu.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
        qemu.args(["-netdev", "user,id=user", "-device"]);
        qemu.arg(format!("virtio-net-{suffix},netdev=user,mac=02:00:00:00:00:01,mrg_rxbuf=off"));
        let place =
            |side: &str, name: &str| format!("{side}.type=unix,{side}.path={}", self.path(name).display());
        let ends = format!("{},{}", place("local", "machine"), place("remote", "peer"));
        qemu.args(["-netdev", &format!("dgram,id=peer,{ends}"), "-device"]);
        qemu.arg(format!("virtio-net-{suffix},netdev=peer,mac=06:00:00:00:00:01,{features}"));
        qemu.args(["-qmp", &format!("unix:{},server=on,wait=off", self.path("qmp").display())]);
        qemu.stdin(Stdio::null()).stdout(Stdio::piped());
        qemu
    }

    /// Runs a machine until it says that all is well.
    fn watch(self, kernel: &Path, machine: &str, cpus: u32, features: &str) -> Result<()> {
        let peer = UnixDatagram::bind(self.path("peer"))?;
        peer.set_read_timeout(Some(PATIENCE))?;
        let mut command = self.command(kernel, machine, cpus, features);
        let mut qemu = command.spawn().context("cannot run qemu-system-x86_64")?;
        let outcome = self.follow(&mut qemu, peer);
        // It may have ended by itself.
        qemu.kill()
            .or_else(|error| if matches!(qemu.try_wait(), Ok(Some(_))) { Ok(()) } else { Err(error) })?;
        qemu.wait()?;
        outcome
    }

    fn follow(&self, qemu: &mut Child, peer: UnixDatagram) -> Result<()> {
        let lines = lines(qemu.stdout.take().context("no stdout pipe")?);
        let machine = self.path("machine");
        std::thread::spawn(move || reflect(&peer, &machine));
        let deadline = Instant::now() + PATIENCE;
        let mut heard = String::new();
        let mut device = "user";
        loop {
            let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
                bail!("it ended, or took too long:\n{heard}");
            };
            heard.push_str(&line);
            heard.push('\n');
            if line.ends_with("nic-probe: passed") {
                return Ok(());
            } else if line.contains("[02, ") {
                device = "user";
            } else if line.contains("[06, ") {
                device = "peer";
            } else if line.ends_with("waits for its link to change") {
                self.set_link(device, false)?;
            } else if line.ends_with("link down") {
                self.set_link(device, true)?;
            }
        }
    }

    /// Has the monitor change a link (QEMU Machine Protocol).
    fn set_link(&self, device: &str, up: bool) -> Result<()> {
        let mut monitor = UnixStream::connect(self.path("qmp")).context("the monitor's socket")?;
        monitor.set_read_timeout(Some(PATIENCE))?;
        let mut answers = BufReader::new(monitor.try_clone()?);
        let mut answer = String::new();
        answers.read_line(&mut answer)?;
        let link = format!(r#"{{"execute":"set_link","arguments":{{"name":"{device}","up":{up}}}}}"#);
        for command in [r#"{"execute":"qmp_capabilities"}"#, &link] {
            writeln!(monitor, "{command}")?;
            answer.clear();
            answers.read_line(&mut answer)?;
            if !answer.contains("return") {
                bail!("the monitor says {answer} to {command}");
            }
        }
        Ok(())
    }
}

/// Lines of the serial port; the channel ends with it.
fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(std::io::Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// Sends every frame back, until the machine is gone or has been silent for long.
fn reflect(peer: &UnixDatagram, machine: &Path) {
    let mut frame = vec![0; 1 << 17];
    while let Ok(len) = peer.recv(&mut frame) {
        if peer.send_to(&frame[..len], machine).is_err() {
            break;
        }
    }
}
