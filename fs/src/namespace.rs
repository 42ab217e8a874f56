//! Names: dentries, mounts, and the walk along a path.

mod dentry;
mod location;
mod mount;
mod walk;

pub use dentry::Dentry;
pub use location::Location;
pub use mount::{Mount, MountFlags, Namespace};
pub use walk::{LastName, LookupFlags, Parent, WalkContext, lookup, lookup_parent};
