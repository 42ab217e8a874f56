//! KVM or emulation: KVM only where a machine has been seen to run on it.
//!
//! A /dev/kvm that opens proves little: nested virtualisation may be off, or be there and hang. So a program of a few
//! bytes is booted and has to say a number, within two seconds. The verdict is kept for a day, for this boot
//! of the host and this QEMU.

use super::files::{memory_file, passed_path};
use super::{Accel, Machine};
use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::FdFlags;
use rustix::process::PidfdFlags;
use sha2::{Digest, Sha256};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

const PROBE_LIMIT: Duration = Duration::from_secs(2);
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// What the probe says, and the status that isa-debug-exit makes of it.
const WORD: u8 = 0x2a;
const STATUS: i32 = (WORD as i32) << 1 | 1;

/// What runs the guest's instructions, and a line for the user if that was found out just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Never [`Accel::Auto`].
    pub accel: Accel,
    /// Why emulation, if it was not asked for; only when the verdict is new.
    pub remark: Option<String>,
}

/// Decides between KVM and emulation; `cache` is a directory for the verdict.
///
/// # Errors
/// When the probe cannot be run at all.
pub fn decide(wanted: Accel, qemu: &Path, cache: Option<&Path>) -> Result<Decision> {
    if wanted != Accel::Auto {
        return Ok(Decision { accel: wanted, remark: None });
    }
    let verdict = cache.map(|dir| verdict_file(dir, qemu)).transpose()?;
    if let Some(file) = &verdict
        && let Some(accel) = kept(file)
    {
        return Ok(Decision { accel, remark: None });
    }
    let why_not = probe(qemu)?;
    let (accel, word) = if why_not.is_none() { (Accel::Kvm, "kvm") } else { (Accel::Tcg, "tcg") };
    if let Some(file) = verdict {
        // Without it the next run probes again.
        let _ = std::fs::write(file, word);
    }
    let remark = why_not.map(|why| {
        format!("KVM cannot be used here ({why}); running in emulation, which is slower (--accel tcg)")
    });
    Ok(Decision { accel, remark })
}

fn verdict_file(cache: &Path, qemu: &Path) -> Result<PathBuf> {
    let meta = qemu.metadata().with_context(|| format!("cannot read {}", qemu.display()))?;
    let boot = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(&boot);
    hash.update(qemu.as_os_str().as_bytes());
    for number in [meta.size() as i64, meta.mtime(), i64::from(rustix::process::geteuid().as_raw())] {
        hash.update(number.to_le_bytes());
    }
    let name: String = hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(cache.join(format!("accel-{name}")))
}

fn kept(file: &Path) -> Option<Accel> {
    let written = file.metadata().ok()?.modified().ok()?;
    if SystemTime::now().duration_since(written).ok()? > KEPT_FOR {
        return None;
    }
    match std::fs::read(file).ok()?.as_slice() {
        b"kvm" => Some(Accel::Kvm),
        b"tcg" => Some(Accel::Tcg),
        _ => None,
    }
}

/// Boots the probe; gives why it failed, or nothing if KVM works.
fn probe(qemu: &Path) -> Result<Option<String>> {
    if let Err(error) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        return Ok(Some(format!("/dev/kvm: {error}")));
    }
    let status = boot_probe(qemu, Accel::Kvm, Machine::Microvm, PROBE_LIMIT)?;
    Ok(match status {
        Some(STATUS) => None,
        Some(code) => Some(format!("a trial machine ended with status {code}")),
        None => Some(format!("a trial machine did not end within {} s", PROBE_LIMIT.as_secs())),
    })
}

/// Boots the probe on a machine; gives the monitor's exit status, or nothing if the time was up.
fn boot_probe(qemu: &Path, accel: Accel, machine: Machine, limit: Duration) -> Result<Option<i32>> {
    let kernel = memory_file("husk-probe", &probe_kernel())?;
    let (accel, cpu) = if accel == Accel::Kvm { ("kvm", "host") } else { ("tcg", "max") };
    let machine = if machine == Machine::Microvm { "microvm,acpi=off" } else { "q35" };
    let mut command = Command::new(qemu);
    command
        .args(["-M", machine, "-accel", accel, "-cpu", cpu, "-m", "16M"])
        .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"])
        .args(["-kernel", &passed_path(&kernel)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    rustix::io::fcntl_setfd(&kernel, FdFlags::empty())?;
    let mut child = command.spawn().with_context(|| format!("cannot start {}", qemu.display()))?;
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.context("the monitor has no process id")?;
    let ended = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    let timeout = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
    let ready = poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&timeout)).unwrap_or(0);
    if ready == 0 {
        child.kill()?;
        child.wait()?;
        return Ok(None);
    }
    Ok(Some(child.wait()?.code().unwrap_or(-1)))
}

/// A bootable ELF file (PVH: a note names the 32-bit entry point) that writes a byte to isa-debug-exit's port.
fn probe_kernel() -> Vec<u8> {
    const BASE: u64 = 0x10_0000;
    // mov dx, 0xf4; mov al, WORD; out dx, al; hlt; jmp back to the hlt
    const CODE: [u8; 10] = [0x66, 0xba, 0xf4, 0x00, 0xb0, WORD, 0xee, 0xf4, 0xeb, 0xfd];
    const CODE_AT: u64 = 64 + 2 * 56;
    const NOTE_AT: u64 = CODE_AT + 16;
    const END: u64 = NOTE_AT + 24;
    let mut elf = Vec::new();
    elf.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    elf.extend_from_slice(&[2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [BASE + CODE_AT, 64, 0] {
        elf.extend_from_slice(&u64::to_le_bytes(word));
    }
    elf.extend_from_slice(&[0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 64, 0, 0, 0, 0, 0]);
    // PT_LOAD (1) of the whole file, PT_NOTE (4).
    for (kind, flags, at, size, align) in [(1_u32, 7_u32, 0, END, 4096), (4, 4, NOTE_AT, END - NOTE_AT, 4)] {
        elf.extend_from_slice(&kind.to_le_bytes());
        elf.extend_from_slice(&flags.to_le_bytes());
        for word in [at, BASE + at, BASE + at, size, size, align] {
            elf.extend_from_slice(&u64::to_le_bytes(word));
        }
    }
    elf.extend_from_slice(&CODE);
    elf.resize(NOTE_AT as usize, 0);
    // XEN_ELFNOTE_PHYS32_ENTRY
    for word in [4_u32, 8, 18] {
        elf.extend_from_slice(&word.to_le_bytes());
    }
    elf.extend_from_slice(b"Xen\0");
    elf.extend_from_slice(&(BASE + CODE_AT).to_le_bytes());
    elf
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In emulation the probe has to work wherever QEMU is installed.
    #[test]
    fn the_probe_boots_in_emulation() {
        let Ok(qemu) = crate::monitor::find_qemu(None) else {
            eprintln!("QEMU is missing: not checked");
            return;
        };
        for machine in [Machine::Microvm, Machine::Q35] {
            let status = boot_probe(&qemu, Accel::Tcg, machine, Duration::from_secs(30)).unwrap();
            assert_eq!(status, Some(STATUS), "{machine:?}");
        }
    }

    #[test]
    fn a_verdict_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let qemu = std::env::current_exe().unwrap();
        let file = verdict_file(dir.path(), &qemu).unwrap();
        for (word, accel) in [("kvm", Accel::Kvm), ("tcg", Accel::Tcg)] {
            std::fs::write(&file, word).unwrap();
            let decision = decide(Accel::Auto, &qemu, Some(dir.path())).unwrap();
            assert_eq!(decision, Decision { accel, remark: None });
        }
        let old = SystemTime::now() - 2 * KEPT_FOR;
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
        assert_eq!(kept(&file), None);
    }
}
