//! A bounded reader of the few ACPI tables that a virtual machine needs (ACPI 6.5, section 5.2).
//!
//! Works on anything that can read physical memory, trusts nothing it reads, and never loops or allocates without a bound.

mod aml;
mod tables;

pub(crate) use tables::{Madt, Override, Platform, find_rsdp, read, s5_sleep_type};

/// Reads physical memory; false if there is none at these addresses.
pub(crate) type ReadMemory<'a> = dyn Fn(u64, &mut [u8]) -> bool + 'a;

#[cfg(test)]
mod tests;
