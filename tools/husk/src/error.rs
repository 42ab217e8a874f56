//! Failures that the user can do something about.

/// What went wrong, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// A [`Failure`] as a general error.
pub fn failure(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Failure { message: message.into(), hint: hint.into() }.into()
}

/// The first hint among an error and its causes.
#[must_use]
pub fn hint(error: &anyhow::Error) -> Option<&str> {
    error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).map(|failure| failure.hint.as_str())
}
