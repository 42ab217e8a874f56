//! What a program wrote, kept for the report.

/// Output since the last program ended, with the place in the whole output where it begins.
#[derive(Default)]
pub(super) struct Captured {
    pub(super) stdout: Vec<u8>,
    stdout_start: u64,
    pub(super) stderr: Vec<u8>,
    stderr_start: u64,
    pub(super) messages: Vec<String>,
}

impl Captured {
    /// Takes what belongs to a program that ended here; what comes after is the next one's.
    pub(super) fn up_to(&mut self, stdout_end: u64, stderr_end: u64) -> Self {
        let take = |bytes: &mut Vec<u8>, start: &mut u64, end: u64| {
            let own = usize::try_from(end.saturating_sub(*start)).unwrap_or(usize::MAX).min(bytes.len());
            *start += own as u64;
            let rest = bytes.split_off(own);
            std::mem::replace(bytes, rest)
        };
        Self {
            stdout: take(&mut self.stdout, &mut self.stdout_start, stdout_end),
            stderr: take(&mut self.stderr, &mut self.stderr_start, stderr_end),
            messages: std::mem::take(&mut self.messages),
            ..Self::default()
        }
    }
}
