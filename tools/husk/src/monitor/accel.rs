//! KVM or emulation: KVM only where a machine has been seen to run on it.
//!
//! A /dev/kvm that opens proves little: nested virtualisation may be off, or be there and hang, or fail at the first
//! instruction that it has to emulate. So the kernel itself is booted on it with a program of a few bytes, which has to
//! exit with a number within two seconds. The verdict is kept for a day, for this boot of the host, this QEMU,
//! this kernel and this kind of machine.

use super::arguments::arguments;
use super::files::memory_file;
use super::{Accel, Hardware, Vm, spawn};
use crate::bundle::Bundle;
use crate::cache::write_image;
use anyhow::{Context, Result};
use husk_abi::boot::{BootConfig, Program, Stdio, StdioKind};
use husk_abi::control::{Decoder, Event, ExitStatus};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sha2::{Digest, Sha256};
use std::fs::{File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const PROBE_LIMIT: Duration = Duration::from_secs(2);
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// What the probe's program exits with.
const STATUS: u8 = 42;

/// What runs the guest's instructions, and a line for the user if that was found out just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Never [`Accel::Auto`].
    pub accel: Accel,
    /// Why emulation, if it was not asked for; only when the verdict is new.
    pub remark: Option<String>,
}

/// What a probe needs.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// QEMU.
    pub qemu: &'a Path,
    /// See [`spawn`](super::spawn).
    pub trampoline: Option<&'a Path>,
    /// The kernel.
    pub kernel: &'a File,
    /// A directory for the verdict.
    pub cache: Option<&'a Path>,
}

/// Decides between KVM and emulation for a machine.
///
/// # Errors
/// When a probe is needed and cannot be run at all.
pub fn decide(hardware: &Hardware, trial: &Trial<'_>) -> Result<Decision> {
    if hardware.accel != Accel::Auto {
        return Ok(Decision { accel: hardware.accel, remark: None });
    }
    let verdict = trial.cache.map(|dir| verdict_file(dir, trial, hardware)).transpose()?;
    if let Some(file) = &verdict
        && let Some(accel) = kept(file)
    {
        return Ok(Decision { accel, remark: None });
    }
    let why_not = match File::options().read(true).write(true).open("/dev/kvm") {
        Err(error) => Some(format!("/dev/kvm: {error}")),
        Ok(_) => boot(trial, hardware, Accel::Kvm, PROBE_LIMIT)?,
    };
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

fn verdict_file(cache: &Path, trial: &Trial<'_>, hardware: &Hardware) -> Result<PathBuf> {
    let qemu = trial.qemu.metadata().with_context(|| format!("cannot read {}", trial.qemu.display()))?;
    // A kernel inside the command changes when the command does.
    let own = std::env::current_exe().and_then(std::fs::metadata).context("cannot find this command")?;
    let kernel = trial.kernel.metadata().context("cannot read the kernel")?;
    let mut hash = Sha256::new();
    hash.update(std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default());
    hash.update(trial.qemu.as_os_str().as_bytes());
    let identity = |meta: &Metadata| [meta.size() as i64, meta.mtime(), meta.ino() as i64];
    // A file in memory is a new one each time.
    let kernel = if kernel.nlink() == 0 { [kernel.size() as i64, 0, 0] } else { identity(&kernel) };
    let user = i64::from(rustix::process::geteuid().as_raw());
    let numbers = [identity(&qemu), identity(&own), kernel, [user, hardware.machine as i64, 0]];
    for number in numbers.as_flattened() {
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

/// Boots the kernel with the probe's program; gives why that failed, or nothing if it worked.
fn boot(trial: &Trial<'_>, hardware: &Hardware, accel: Accel, limit: Duration) -> Result<Option<String>> {
    let mut bundle = Bundle::default();
    bundle.add_bytes(Path::new("/probe"), program(), 0o755, "probe")?;
    let image = memory_file("husk-probe", &[])?;
    write_image(&bundle, &bundle.fingerprint(), &image, &mut |_, _| {})?;
    let null = StdioKind::Null;
    let config = BootConfig {
        programs: vec![Program {
            path: b"/probe".to_vec(),
            argv: vec![b"probe".to_vec()],
            cwd: b"/".to_vec(),
            ..Program::default()
        }],
        stdio: Stdio { stdin: null, stdout: null, stderr: null, rows: 0, cols: 0 },
        ..BootConfig::default()
    };
    let module = memory_file("husk-boot", &config.encode())?;
    let hardware =
        Hardware { accel, memory: 64 << 20, cpus: 1, machine: hardware.machine, ..Hardware::default() };
    let vm = spawn(trial.qemu, trial.trampoline, trial.kernel, &module, &image, |files| {
        arguments(&hardware, accel, files, 0)
    })?;
    watch(&vm, Instant::now() + limit)
}

/// Waits for the program's end on the control port.
fn watch(vm: &Vm, end: Instant) -> Result<Option<String>> {
    let mut decoder = Decoder::default();
    let mut buffer = [0; 4096];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Some("a trial machine did not end in time".to_owned()));
        }
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        let mut fds = [PollFd::new(&vm.ports.control, PollFlags::IN), PollFd::new(&vm.ended, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait for the trial machine"),
        }
        let ended = !fds[1].revents().is_empty();
        if let Ok(count @ 1..) = rustix::io::read(&vm.ports.control, &mut buffer) {
            decoder.push(&buffer[..count]);
        }
        while let Ok(Some(event)) = decoder.next_message::<Event>() {
            if let Event::ProgramEnded { status, .. } = event {
                let right = status == ExitStatus::Exited(STATUS);
                return Ok((!right).then(|| format!("a trial program ended with {status:?}")));
            }
        }
        if ended {
            return Ok(Some("a trial machine could not be started or crashed".to_owned()));
        }
    }
}

/// A static program that exits with the number, and before that uses a vector register.
fn program() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    // xorps xmm0, xmm0; mov edi, STATUS; mov eax, 231 (exit_group); syscall
    const CODE: [u8; 15] = [0x0f, 0x57, 0xc0, 0xbf, STATUS, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 0x05];
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // ET_EXEC, EM_X86_64, version 1
    elf.extend_from_slice(&[2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [BASE + HEADERS, 64, 0] {
        elf.extend_from_slice(&u64::to_le_bytes(word));
    }
    // Flags; sizes and numbers of headers: one program header, no section headers.
    elf.extend_from_slice(&[0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    // PT_LOAD, readable and executable
    elf.extend_from_slice(&[1, 0, 0, 0, 5, 0, 0, 0]);
    let size = HEADERS + CODE.len() as u64;
    for word in [0, BASE, BASE, size, size, 4096] {
        elf.extend_from_slice(&u64::to_le_bytes(word));
    }
    elf.extend_from_slice(&CODE);
    elf
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The probe's program is one for this host too.
    #[test]
    fn the_program_exits_with_the_number() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("probe");
        std::fs::write(&path, program()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        // Another test's thread may just be forking with the file still open for writing.
        let status = (0..100).find_map(|_| {
            std::thread::sleep(Duration::from_millis(5));
            std::process::Command::new(&path).status().ok()
        });
        assert_eq!(status.unwrap().code(), Some(i32::from(STATUS)));
    }

    #[test]
    fn a_verdict_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let qemu = std::env::current_exe().unwrap();
        let kernel = File::open(&qemu).unwrap();
        let trial = Trial { qemu: &qemu, trampoline: None, kernel: &kernel, cache: Some(dir.path()) };
        let file = verdict_file(dir.path(), &trial, &Hardware::default()).unwrap();
        for (word, accel) in [("kvm", Accel::Kvm), ("tcg", Accel::Tcg)] {
            std::fs::write(&file, word).unwrap();
            let decision = decide(&Hardware::default(), &trial).unwrap();
            assert_eq!(decision, Decision { accel, remark: None });
        }
        let old = SystemTime::now() - 2 * KEPT_FOR;
        File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
        assert_eq!(kept(&file), None);
    }
}
