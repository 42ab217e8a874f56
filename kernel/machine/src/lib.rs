//! Everything that touches hardware.
#![cfg_attr(target_os = "none", no_std)]
