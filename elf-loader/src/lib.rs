//! See the crate description in Cargo.toml.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
