//! The bootable kernel.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
husk_machine::entry!(main);

#[cfg(target_os = "none")]
fn main() -> ! {
    let info = husk_machine::boot::init();
    log::info!("husk: {} MiB", info.memory_bytes >> 20);
    husk_machine::power::power_off(0)
}

/// On any other target there is nothing to boot: the image is built for `x86_64-unknown-none` only.
#[cfg(not(target_os = "none"))]
fn main() {}
