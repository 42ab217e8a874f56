//! The host side of Husk: what the `husk` command is made of, for use by it and by the project's own tools.
#![forbid(unsafe_code)]

pub mod bundle;
pub mod cache;
pub mod closure;
pub mod error;
pub mod image;
pub mod manifest;
pub mod monitor;
pub mod network;
pub mod prepare;
pub mod rules;
pub mod session;
