//! Where the kernel comes from.

use super::files::memory_file;
use crate::error::failure;
use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// The kernel that was put into the command when it was built.
#[cfg(embedded_kernel)]
const EMBEDDED: Option<&[u8]> = Some(include_bytes!(env!("HUSK_KERNEL_FILE")));
#[cfg(not(embedded_kernel))]
const EMBEDDED: Option<&[u8]> = None;

/// The kernel's ELF file.
#[derive(Clone, Debug)]
pub enum KernelSource {
    /// A file.
    File(PathBuf),
    /// The one inside the command.
    Embedded(&'static [u8]),
}

impl KernelSource {
    /// The kernel to boot: `--kernel`, else the variable `HUSK_KERNEL`, else the one inside the command.
    ///
    /// # Errors
    /// When there is none of these.
    pub fn find(given: Option<PathBuf>) -> Result<Self> {
        let given = given.or_else(|| {
            std::env::var_os("HUSK_KERNEL").filter(|path| path != OsStr::new("")).map(PathBuf::from)
        });
        match (given, EMBEDDED) {
            (Some(path), _) => Ok(Self::File(path)),
            (None, Some(bytes)) => Ok(Self::Embedded(bytes)),
            (None, None) => Err(failure(
                "this husk was built without a kernel inside",
                "build it with `cargo xtask build`, or name a kernel with --kernel PATH",
            )),
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// When the file cannot be read or is no ELF file.
    pub fn open(&self) -> Result<File> {
        match self {
            Self::Embedded(bytes) => Ok(memory_file("husk-kernel", bytes)?),
            Self::File(path) => {
                let mut file =
                    File::open(path).with_context(|| format!("cannot read the kernel {}", path.display()))?;
                let mut magic = [0; 4];
                if file.read_exact(&mut magic).is_err() || magic != *b"\x7fELF" {
                    return Err(failure(
                        format!("{} is not a kernel: it is no ELF file", path.display()),
                        "give the file that `cargo xtask build` prints",
                    ));
                }
                Ok(file)
            }
        }
    }
}
