//! Puts the kernel into the command: `HUSK_KERNEL` names its ELF file at build time. Without it the command needs `--kernel`.

use std::path::PathBuf;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(embedded_kernel)");
    println!("cargo::rerun-if-env-changed=HUSK_KERNEL");
    let Some(kernel) = std::env::var_os("HUSK_KERNEL").filter(|path| !path.is_empty()) else { return };
    let kernel = PathBuf::from(kernel);
    let kernel = match kernel.canonicalize() {
        Ok(kernel) => kernel,
        Err(error) => {
            println!("cargo::error=HUSK_KERNEL is {}: {error}", kernel.display());
            return;
        }
    };
    println!("cargo::rerun-if-changed={}", kernel.display());
    println!("cargo::rustc-cfg=embedded_kernel");
    println!("cargo::rustc-env=HUSK_KERNEL_FILE={}", kernel.display());
}
