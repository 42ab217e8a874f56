//! A directory of a pseudo filesystem that is built when it is first looked into: most programs never do, and at boot
//! every microsecond counts.

use alloc::vec::Vec;
use husk_fs::{FileKind, PseudoDir, PseudoNode, StaticDir};
use husk_machine::sync::Once;

/// See above.
pub(crate) struct LazyDir {
    build: fn() -> StaticDir,
    built: Once<StaticDir>,
}

impl LazyDir {
    /// One that `build` makes.
    pub(crate) fn new(build: fn() -> StaticDir) -> Self {
        Self { build, built: Once::new() }
    }

    fn dir(&self) -> &StaticDir {
        self.built.call_once(self.build)
    }
}

impl PseudoDir for LazyDir {
    fn lookup(&self, name: &[u8]) -> Option<PseudoNode> {
        self.dir().lookup(name)
    }

    fn list(&self) -> Vec<(Vec<u8>, FileKind)> {
        self.dir().list()
    }
}
