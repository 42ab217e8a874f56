//! The tree of files that an image will hold.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Longest name of a directory entry, in bytes.
const NAME_MAX: usize = 255;
/// Longest target of a symbolic link: it has to fit a block with its terminating NUL on Linux.
const LINK_MAX: usize = 4095;
/// Most hard links ext4 allows one inode.
const LINKS_MAX: u32 = 65_000;

/// Index of a node in its [`Tree`]; in the order of insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) usize);

impl NodeId {
    /// The inode number this node gets: the root is 2, `lost+found` 11, the others follow.
    #[must_use]
    pub const fn inode(self) -> u32 {
        if self.0 == 0 { 2 } else { self.0 as u32 + 10 }
    }
}

/// Owner, permissions and time of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits, with set-user-ID, set-group-ID and sticky.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, seconds since 1970.
    pub mtime: i64,
    /// Nanoseconds of the modification time.
    pub mtime_nsec: u32,
}

impl Meta {
    /// Owned by root, dated 1970, with these permissions.
    #[must_use]
    pub const fn root(mode: u16) -> Self {
        Self { mode, uid: 0, gid: 0, mtime: 0, mtime_nsec: 0 }
    }
}

/// A regular file's contents on the host, with what identifies this state of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFile {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes in it.
    pub size: u64,
    /// Fewer blocks are allocated than the size needs, so it may have holes worth keeping.
    pub sparse: bool,
    /// Device and inode on the host.
    pub identity: (u64, u64),
    /// Time of the last change to data or attributes, in nanoseconds since 1970.
    pub changed_ns: i128,
}

/// Where a regular file's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file on the host, copied when the image is written.
    Host(HostFile),
    /// These bytes.
    Bytes(Vec<u8>),
}

impl Source {
    /// Length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Host(file) => file.size,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Names and what they stand for.
    Directory(BTreeMap<Vec<u8>, NodeId>),
    /// A regular file.
    File(Source),
    /// A symbolic link with its target.
    Symlink(Vec<u8>),
}

/// One inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is, and its contents.
    pub kind: Kind,
    /// Owner, permissions, time.
    pub meta: Meta,
    /// Names that stand for it.
    pub links: u32,
    /// The directory it was first entered in; the root is its own.
    pub parent: NodeId,
}

/// Why an entry could not be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Empty, `.`, `..`, with a slash or a NUL, or longer than 255 bytes.
    #[error("`{}` cannot be the name of a file", String::from_utf8_lossy(.0))]
    BadName(Vec<u8>),
    /// The name is taken.
    #[error("`{}` is there already", String::from_utf8_lossy(.0))]
    Exists(Vec<u8>),
    /// The parent is not a directory.
    #[error("the parent of `{}` is not a directory", String::from_utf8_lossy(.0))]
    NotADirectory(Vec<u8>),
    /// The target is empty or longer than 4095 bytes.
    #[error("the symbolic link `{}` has a target that is empty or too long", String::from_utf8_lossy(.0))]
    BadTarget(Vec<u8>),
    /// More hard links or subdirectories than ext4 allows.
    #[error("`{}`: more than 65000 links or subdirectories", String::from_utf8_lossy(.0))]
    TooManyLinks(Vec<u8>),
}

/// A tree of files, to be written as an image.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// The root directory.
    pub const ROOT: NodeId = NodeId(0);

    /// A tree with only the root and `lost+found`, which e2fsck insists on.
    #[must_use]
    pub fn new() -> Self {
        let root = Node {
            kind: Kind::Directory(BTreeMap::new()),
            meta: Meta::root(0o755),
            links: 2,
            parent: Self::ROOT,
        };
        let mut tree = Self { nodes: vec![root] };
        tree.insert(Self::ROOT, b"lost+found", Kind::Directory(BTreeMap::new()), Meta::root(0o700))
            .expect("the root is an empty directory");
        tree
    }

    /// One node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// All nodes with their ids, in the order of their inodes.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeId(index), node))
    }

    /// Inodes in use: the ten reserved ones, of which the root is one, and those given out from 11 on.
    pub(super) fn used_inodes(&self) -> u64 {
        self.nodes.len() as u64 + 9
    }

    /// What a name in a directory stands for.
    #[must_use]
    pub fn child(&self, dir: NodeId, name: &[u8]) -> Option<NodeId> {
        match &self.node(dir).kind {
            Kind::Directory(entries) => entries.get(name).copied(),
            Kind::File(_) | Kind::Symlink(_) => None,
        }
    }

    /// Adds a new file, directory or symbolic link.
    ///
    /// # Errors
    /// [`TreeError`]; the tree is unchanged then.
    pub fn insert(&mut self, dir: NodeId, name: &[u8], kind: Kind, meta: Meta) -> Result<NodeId, TreeError> {
        if let Kind::Symlink(target) = &kind
            && (target.is_empty() || target.len() > LINK_MAX)
        {
            return Err(TreeError::BadTarget(name.to_vec()));
        }
        let id = NodeId(self.nodes.len());
        let is_dir = matches!(kind, Kind::Directory(_));
        if is_dir && self.node(dir).links >= LINKS_MAX {
            return Err(TreeError::TooManyLinks(name.to_vec()));
        }
        self.enter(dir, name, id)?;
        self.nodes.push(Node { kind, meta, links: if is_dir { 2 } else { 1 }, parent: dir });
        if is_dir {
            self.nodes[dir.0].links += 1;
        }
        Ok(id)
    }

    /// Gives a file or symbolic link another name.
    ///
    /// # Errors
    /// [`TreeError`]; also when the target is a directory.
    pub fn link(&mut self, dir: NodeId, name: &[u8], target: NodeId) -> Result<(), TreeError> {
        if matches!(self.node(target).kind, Kind::Directory(_)) || self.node(target).links >= LINKS_MAX {
            return Err(TreeError::TooManyLinks(name.to_vec()));
        }
        self.enter(dir, name, target)?;
        self.nodes[target.0].links += 1;
        Ok(())
    }

    /// Changes owner, permissions and time.
    pub fn set_meta(&mut self, id: NodeId, meta: Meta) {
        self.nodes[id.0].meta = meta;
    }

    fn enter(&mut self, dir: NodeId, name: &[u8], id: NodeId) -> Result<(), TreeError> {
        let bad = name.is_empty()
            || name.len() > NAME_MAX
            || name == b"."
            || name == b".."
            || name.iter().any(|&byte| byte == b'/' || byte == 0);
        if bad {
            return Err(TreeError::BadName(name.to_vec()));
        }
        match &mut self.nodes[dir.0].kind {
            Kind::Directory(entries) if entries.contains_key(name) => Err(TreeError::Exists(name.to_vec())),
            Kind::Directory(entries) => {
                entries.insert(name.to_vec(), id);
                Ok(())
            }
            Kind::File(_) | Kind::Symlink(_) => Err(TreeError::NotADirectory(name.to_vec())),
        }
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_links_counted() {
        let mut tree = Tree::new();
        for bad in [&b""[..], b".", b"..", b"a/b", b"a\0", &[b'x'; 256]] {
            let kind = Kind::File(Source::Bytes(Vec::new()));
            assert_eq!(
                tree.insert(Tree::ROOT, bad, kind, Meta::root(0o644)),
                Err(TreeError::BadName(bad.to_vec()))
            );
        }
        let file = Kind::File(Source::Bytes(Vec::new()));
        let id = tree.insert(Tree::ROOT, b"a", file.clone(), Meta::root(0o644)).unwrap();
        assert_eq!(
            tree.insert(Tree::ROOT, b"a", file.clone(), Meta::root(0)),
            Err(TreeError::Exists(b"a".to_vec()))
        );
        assert_eq!(tree.insert(id, b"a", file, Meta::root(0)), Err(TreeError::NotADirectory(b"a".to_vec())));
        tree.link(Tree::ROOT, b"b", id).unwrap();
        assert_eq!(tree.node(id).links, 2);
        assert_eq!(tree.node(Tree::ROOT).links, 3);
        assert_eq!(id.inode(), 12);
    }
}
