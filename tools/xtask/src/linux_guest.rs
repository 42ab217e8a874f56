//! A plain Linux guest to measure against: Debian's cloud kernel with the smallest initramfs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{check_quietly, root, target_dir};

/// A kernel and an initramfs whose `/init` runs one program and resets the machine.
pub(crate) struct LinuxGuest {
    pub(crate) kernel: PathBuf,
    pub(crate) initramfs: PathBuf,
}

/// Fetches the kernel package once (it is unpacked, not installed) and packs the initramfs around `program`.
pub(crate) fn prepare(program: &Path) -> Result<LinuxGuest> {
    let folder = target_dir().join("linux-guest");
    std::fs::create_dir_all(&folder)?;
    let kernel = match find_kernel(&folder)? {
        Some(kernel) => kernel,
        None => {
            fetch(&folder)?;
            find_kernel(&folder)?.context("Debian's cloud kernel package has no /boot/vmlinuz-*")?
        }
    };
    Ok(LinuxGuest { kernel, initramfs: initramfs(&folder, program)? })
}

fn find_kernel(folder: &Path) -> Result<Option<PathBuf>> {
    let boot = folder.join("unpacked/boot");
    if !boot.is_dir() {
        return Ok(None);
    }
    for entry in std::fs::read_dir(&boot)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-")) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn fetch(folder: &Path) -> Result<()> {
    let depends = Command::new("apt-cache")
        .args(["depends", "linux-image-cloud-amd64"])
        .output()
        .context("cannot run apt-cache: the Linux guest comes from Debian's packages")?;
    let depends = String::from_utf8_lossy(&depends.stdout).into_owned();
    let Some(package) = depends.split_whitespace().find(|word| {
        word.starts_with("linux-image-")
            && word.contains("cloud-amd64")
            && word.contains(char::is_numeric)
            && *word != "linux-image-cloud-amd64"
    }) else {
        bail!("apt knows no linux-image-cloud-amd64: run apt-get update");
    };
    eprintln!("xtask: fetching {package} for the Linux guest");
    check_quietly(Command::new("apt-get").args(["download", "-q", package]).current_dir(folder))?;
    let mut packages = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let deb = packages
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get download left no package")?;
    check_quietly(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(folder.join("unpacked")))?;
    std::fs::remove_file(deb)?;
    Ok(())
}

fn initramfs(folder: &Path, program: &Path) -> Result<PathBuf> {
    let init = folder.join("init");
    let source = root().join("test-binaries/bench/init.c");
    check_quietly(Command::new("musl-gcc").args(["-static", "-O2", "-s", "-o"]).arg(&init).arg(source))?;
    let mut archive = Vec::new();
    cpio_entry(&mut archive, "init", 0o100_755, &std::fs::read(&init)?);
    cpio_entry(&mut archive, "program", 0o100_755, &std::fs::read(program)?);
    cpio_entry(&mut archive, "TRAILER!!!", 0, &[]);
    let name = program.file_name().context("the program has no name")?.to_string_lossy().into_owned();
    let path = folder.join(format!("{name}.cpio"));
    std::fs::write(&path, archive)?;
    Ok(path)
}

/// One entry of the "newc" format (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst).
fn cpio_entry(archive: &mut Vec<u8>, name: &str, mode: u32, bytes: &[u8]) {
    let fields = [1, mode, 0, 0, 1, 0, bytes.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, 0];
    archive.extend(b"070701");
    for field in fields {
        archive.extend(format!("{field:08x}").bytes());
    }
    archive.extend(name.bytes());
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend(bytes);
    archive.resize(archive.len().next_multiple_of(4), 0);
}
