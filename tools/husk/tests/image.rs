//! Images judged by e2fsck and read back by debugfs. Where e2fsprogs is missing the tests say so and stop.

use husk::image::{HostFile, Kind, Layout, Meta, NodeId, Options, Source, Tree, write};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

fn tool(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|p| p.exists())
}

fn directory() -> Kind {
    Kind::Directory(BTreeMap::new())
}

fn bytes(bytes: impl Into<Vec<u8>>) -> Kind {
    Kind::File(Source::Bytes(bytes.into()))
}

fn host(path: &Path) -> Kind {
    let meta = path.metadata().unwrap();
    Kind::File(Source::Host(HostFile {
        path: path.to_owned(),
        size: meta.size(),
        sparse: meta.blocks() * 512 < meta.size(),
        identity: (meta.dev(), meta.ino()),
        changed_ns: 0,
    }))
}

struct Image {
    dir: tempfile::TempDir,
}

impl Image {
    fn new(tree: &Tree, options: &Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join("image")).unwrap();
        let layout = Layout::plan(tree, options).unwrap();
        write(tree, &layout, options, &file, &mut |_, _| {}).unwrap();
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// Nothing wrong, in the judgement of e2fsck.
    fn check(&self) {
        let Some(e2fsck) = tool("e2fsck") else {
            eprintln!("e2fsck is missing: not checked");
            return;
        };
        let out = Command::new(e2fsck).args(["-f", "-n"]).arg(self.path()).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "e2fsck: {text}{}", String::from_utf8_lossy(&out.stderr));
    }

    /// Copies a file out with debugfs.
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let out = self.dir.path().join("out");
        let command = format!("dump \"{path}\" {}", out.display());
        self.debugfs(&command)?;
        Some(std::fs::read(out).unwrap())
    }

    fn debugfs(&self, command: &str) -> Option<Vec<u8>> {
        let Some(debugfs) = tool("debugfs") else {
            eprintln!("debugfs is missing: not checked");
            return None;
        };
        let out = Command::new(debugfs).args(["-R", command]).arg(self.path()).output().unwrap();
        Some(out.stdout)
    }
}

#[test]
fn no_files_at_all() {
    Image::new(&Tree::new(), &Options::default()).check();
    Image::new(&Tree::new(), &Options { free_bytes: 0, free_inodes: 0, ..Options::default() }).check();
}

#[test]
fn names_modes_owners_times_and_links() {
    let mut tree = Tree::new();
    let mut dir = Tree::ROOT;
    for name in ["one", "two", "three", "four"] {
        dir = tree.insert(dir, name.as_bytes(), directory(), Meta::root(0o755)).unwrap();
    }
    let meta = Meta { mode: 0o4751, uid: 70_000, gid: 80_000, mtime: 5_000_000_000, mtime_nsec: 123_456_789 };
    let deep = tree.insert(dir, b"file", bytes("deep"), meta).unwrap();
    let empty = tree.insert(dir, b"empty", bytes(""), Meta::root(0o600)).unwrap();
    tree.link(Tree::ROOT, b"hard link", deep).unwrap();
    tree.link(Tree::ROOT, b"hard empty", empty).unwrap();
    for name in [&[b'n'; 255][..], "größe ☃".as_bytes(), b"\xff\xfe not text", b" spaces  in it "] {
        tree.insert(Tree::ROOT, name, bytes(name), Meta::root(0o644)).unwrap();
    }
    for length in [1, 59, 60, 61, 4095] {
        let target = vec![b't'; length];
        let name = format!("link{length}");
        tree.insert(Tree::ROOT, name.as_bytes(), Kind::Symlink(target), Meta::root(0o777)).unwrap();
    }
    let image = Image::new(&tree, &Options::default());
    image.check();
    let Some(read) = image.read("/one/two/three/four/file") else { return };
    assert_eq!(read, b"deep");
    assert_eq!(image.read("/hard link").unwrap(), b"deep");
    assert_eq!(image.read("/größe ☃").unwrap(), "größe ☃".as_bytes());
    assert_eq!(image.read(&"n".repeat(255)).unwrap(), vec![b'n'; 255]);
    let stat = String::from_utf8(image.debugfs("stat /one/two/three/four/file").unwrap()).unwrap();
    for part in
        ["Mode:  04751", "User: 70000", "Group: 80000", "Links: 2", "Size: 4", "mtime: 0x2a05f200:1d6f3455"]
    {
        assert!(stat.contains(part), "{part} is missing in {stat}");
    }
    let stat = String::from_utf8(image.debugfs("stat /link60").unwrap()).unwrap();
    assert!(stat.contains("Size: 60"), "{stat}");
    let stat = String::from_utf8(image.debugfs("stat /link59").unwrap()).unwrap();
    assert!(stat.contains(&format!("Fast link dest: \"{}\"", "t".repeat(59))), "{stat}");
    let list = image.debugfs("ls -p /").unwrap();
    assert!(list.windows(11).any(|window| window == b"\xff\xfe not text"));
}

#[test]
fn twenty_thousand_files() {
    let mut tree = Tree::new();
    let big = tree.insert(Tree::ROOT, b"big", directory(), Meta::root(0o755)).unwrap();
    for i in 0..20_000_u32 {
        let name = format!("a file with a rather long name, number {i}");
        tree.insert(big, name.as_bytes(), bytes(i.to_string()), Meta::root(0o644)).unwrap();
    }
    let dirs = tree.insert(Tree::ROOT, b"dirs", directory(), Meta::root(0o755)).unwrap();
    for i in 0..3000_u32 {
        tree.insert(dirs, i.to_string().as_bytes(), directory(), Meta::root(0o755)).unwrap();
    }
    let image = Image::new(&tree, &Options::default());
    image.check();
    if let Some(read) = image.read("/big/a file with a rather long name, number 19999") {
        assert_eq!(read, b"19999");
    }
}

#[test]
fn more_inodes_than_one_group_holds() {
    let options = Options { free_inodes: 100_000, free_bytes: 0, ..Options::default() };
    Image::new(&Tree::new(), &options).check();
}

#[test]
fn large_and_sparse_files() {
    let dir = tempfile::tempdir().unwrap();
    // 300 MB with data at both ends and in the middle.
    let sparse = dir.path().join("sparse");
    let file = File::create(&sparse).unwrap();
    file.set_len(300_000_001).unwrap();
    for at in [0, 150_000_000, 299_999_997] {
        file.write_all_at(b"mark", at).unwrap();
    }
    // Thousands of holes: an extent tree two levels deep.
    let holes = dir.path().join("holes");
    let file = File::create(&holes).unwrap();
    for i in 0..2000_u64 {
        file.write_all_at(b"x", i * 16_384 + 5).unwrap();
    }
    // Solid, over several block groups and above the size for copying in the host's kernel.
    let solid = dir.path().join("solid");
    let mut file = File::create(&solid).unwrap();
    for i in 0..140_000_u32 {
        file.write_all(&[i as u8; 1024]).unwrap();
    }
    file.write_all(b"the end").unwrap();
    // Sizes around the staging buffer's.
    let mut tree = Tree::new();
    for (name, path) in [("sparse", &sparse), ("holes", &holes), ("solid", &solid)] {
        tree.insert(Tree::ROOT, name.as_bytes(), host(path), Meta::root(0o644)).unwrap();
    }
    for size in [4095, 4096, 4097, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (2 << 20) + 4095] {
        let content: Vec<u8> = (0..size).map(|i: u32| (i % 251) as u8).collect();
        let path = dir.path().join(size.to_string());
        std::fs::write(&path, &content).unwrap();
        tree.insert(Tree::ROOT, format!("b{size}").as_bytes(), bytes(content), Meta::root(0o644)).unwrap();
        tree.insert(Tree::ROOT, format!("h{size}").as_bytes(), host(&path), Meta::root(0o644)).unwrap();
    }
    let image = Image::new(&tree, &Options::default());
    image.check();
    let used = image.path().metadata().unwrap().blocks() * 512;
    assert!(used < 200 << 20, "holes were filled: {used} bytes");
    for (name, path) in [("sparse", &sparse), ("holes", &holes), ("solid", &solid)] {
        let Some(read) = image.read(name) else { return };
        assert!(read == std::fs::read(path).unwrap(), "{name} differs");
    }
    for size in [4095, 4096, 4097, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (2 << 20) + 4095] {
        let wanted = std::fs::read(dir.path().join(size.to_string())).unwrap();
        assert!(image.read(&format!("b{size}")).unwrap() == wanted, "b{size} differs");
        assert!(image.read(&format!("h{size}")).unwrap() == wanted, "h{size} differs");
    }
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    let mut tree = Tree::new();
    let dir: NodeId = tree.insert(Tree::ROOT, b"d", directory(), Meta::root(0o755)).unwrap();
    tree.insert(dir, b"f", bytes("content"), Meta::root(0o644)).unwrap();
    let options = Options { uuid: [7; 16], ..Options::default() };
    let first = std::fs::read(Image::new(&tree, &options).path()).unwrap();
    let second = std::fs::read(Image::new(&tree, &options).path()).unwrap();
    assert!(first == second);
}

#[test]
fn a_file_that_shrinks_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(std::ffi::OsStr::from_bytes(b"shrinks \xff"));
    std::fs::write(&path, [1; 10_000]).unwrap();
    let mut tree = Tree::new();
    tree.insert(Tree::ROOT, b"f", host(&path), Meta::root(0o644)).unwrap();
    std::fs::write(&path, [1; 100]).unwrap();
    let options = Options::default();
    let layout = Layout::plan(&tree, &options).unwrap();
    let out = tempfile::tempfile().unwrap();
    let error = write(&tree, &layout, &options, &out, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, husk::image::ImageError::Changed { .. }), "{error}");
}
