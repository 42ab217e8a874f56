//! docs/syscalls.md is generated; the test that compares it with the table also rewrites it when asked to.

use anyhow::Result;

use crate::command::{cargo, check};

/// Rewrites docs/syscalls.md from the table of system calls.
pub(crate) fn update() -> Result<()> {
    check(
        cargo()
            .args(["test", "--quiet", "-p", "husk-syscalls", "coverage_page"])
            .env("HUSK_UPDATE_DOCS", "1"),
    )
}
