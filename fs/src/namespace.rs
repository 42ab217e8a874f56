//! Names: dentries, mounts, and the walk along a path.

mod dentry;
mod dentry_clock;
mod location;
mod mount;
mod tree;
mod walk;

pub use dentry::Dentry;
pub use location::Location;
pub use mount::{Mount, MountFlags};
pub use tree::Namespace;
pub use walk::{LastName, LookupFlags, Parent, WalkContext, lookup, lookup_parent};

pub(crate) use dentry::Child;
pub(crate) use walk::Walker;
