//! Directories whose entries do not change.

use super::{PseudoDir, PseudoFile, PseudoNode};
use crate::{FileKind, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A directory with entries fixed when it was built.
#[derive(Default)]
pub struct StaticDir {
    entries: Vec<(Vec<u8>, PseudoNode)>,
}

impl StaticDir {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// With one more entry.
    #[must_use]
    pub fn with(mut self, name: &str, node: PseudoNode) -> Self {
        self.entries.push((name.as_bytes().to_vec(), node));
        self
    }

    /// With a file whose contents `read` makes.
    #[must_use]
    pub fn with_file(self, name: &str, read: impl Fn() -> Result<Vec<u8>> + Send + Sync + 'static) -> Self {
        self.with(name, PseudoNode::File(Arc::new(ReadOnlyFile(read))))
    }

    /// With a directory.
    #[must_use]
    pub fn with_dir(self, name: &str, dir: impl PseudoDir + 'static) -> Self {
        self.with(name, PseudoNode::Dir(Arc::new(dir)))
    }
}

impl PseudoDir for StaticDir {
    fn lookup(&self, name: &[u8]) -> Option<PseudoNode> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, node)| node.clone())
    }

    fn list(&self) -> Vec<(Vec<u8>, FileKind)> {
        self.entries.iter().map(|(name, node)| (name.clone(), node.kind())).collect()
    }
}

/// A file whose contents a function makes.
pub struct ReadOnlyFile<F>(pub F);

impl<F: Fn() -> Result<Vec<u8>> + Send + Sync> PseudoFile for ReadOnlyFile<F> {
    fn read(&self) -> Result<Vec<u8>> {
        self.0()
    }
}
