//! The bootable kernel: starts the machine, and the Linux personality on top of it.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
husk_machine::entry!(main);

#[cfg(target_os = "none")]
fn main() -> ! {
    let info = husk_machine::init();
    husk_machine::thread::start(move || husk_syscalls::boot::run(&info))
}

/// On any other target there is nothing to boot: the image is built for `x86_64-unknown-none` only.
#[cfg(not(target_os = "none"))]
fn main() {}
