//! Random operations on names, done here and on the host's filesystem: the same errors, the same trees.

mod support;

use husk_fs::{Errno, FileKind, OpenFlags, RenameFlags, ops};
use proptest::prelude::*;
use rustix::fs as host;
use std::os::fd::OwnedFd;
use support::World;

#[derive(Clone, Debug)]
enum Op {
    Mkdir(String),
    Create { path: String, exclusive: bool, no_follow: bool },
    Open { path: String, directory: bool, no_follow: bool },
    Symlink(String, String),
    Link(String, String),
    Unlink(String),
    Rmdir(String),
    Rename(String, String, u8),
    Stat(String),
    ReadLink(String),
}

fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => Just("a"), 4 => Just("b"), 3 => Just("c"), 2 => Just("l"), 1 => Just("."), 2 => Just(".."), 1 => Just("long")
    ];
    (prop::collection::vec(part, 1..4), prop::bool::weighted(0.15), prop::bool::weighted(0.1)).prop_map(
        |(parts, slash, double)| {
            let long = "n".repeat(256);
            let parts: Vec<&str> =
                parts.iter().map(|&part| if part == "long" { long.as_str() } else { part }).collect();
            let mut path = parts.join(if double { "//" } else { "/" });
            // Not above the top of the test.
            if parts.iter().filter(|&&part| part == "..").count() > 0 {
                path = format!("d/e/f/{path}");
            }
            if slash {
                path.push('/');
            }
            path
        },
    )
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a"),
        Just("b/c"),
        Just("../a"),
        Just("l"),
        Just("."),
        Just("nowhere"),
        Just("c/"),
        Just("")
    ]
    .prop_map(String::from)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => path().prop_map(Op::Mkdir),
        3 => (path(), any::<bool>(), any::<bool>()).prop_map(|(path, exclusive, no_follow)| Op::Create { path, exclusive, no_follow }),
        1 => (path(), any::<bool>(), any::<bool>()).prop_map(|(path, directory, no_follow)| Op::Open { path, directory, no_follow }),
        2 => (target(), path()).prop_map(|(target, path)| Op::Symlink(target, path)),
        2 => (path(), path()).prop_map(|(old, new)| Op::Link(old, new)),
        2 => path().prop_map(Op::Unlink),
        2 => path().prop_map(Op::Rmdir),
        4 => (path(), path(), 0..3_u8).prop_map(|(old, new, flags)| Op::Rename(old, new, flags)),
        1 => path().prop_map(Op::Stat),
        1 => path().prop_map(Op::ReadLink),
    ]
}

/// What an operation gives: an error number, or something to compare.
type Outcome = Result<String, i32>;

fn on_host(dir: &OwnedFd, op: &Op) -> Outcome {
    use host::{AtFlags, Mode, OFlags};
    let done = |result: rustix::io::Result<()>| result.map(|()| String::new());
    match op {
        Op::Mkdir(path) => done(host::mkdirat(dir, path, Mode::from(0o755))),
        Op::Create { path, exclusive, no_follow } => {
            let mut flags = OFlags::WRONLY | OFlags::CREATE;
            flags.set(OFlags::EXCL, *exclusive);
            flags.set(OFlags::NOFOLLOW, *no_follow);
            done(host::openat(dir, path, flags, Mode::from(0o644)).map(drop))
        }
        Op::Open { path, directory, no_follow } => {
            let mut flags = OFlags::RDONLY;
            flags.set(OFlags::DIRECTORY, *directory);
            flags.set(OFlags::NOFOLLOW, *no_follow);
            done(host::openat(dir, path, flags, Mode::empty()).map(drop))
        }
        Op::Symlink(target, path) => done(host::symlinkat(target, dir, path)),
        Op::Link(old, new) => done(host::linkat(dir, old, dir, new, AtFlags::empty())),
        Op::Unlink(path) => done(host::unlinkat(dir, path, AtFlags::empty())),
        Op::Rmdir(path) => done(host::unlinkat(dir, path, AtFlags::REMOVEDIR)),
        Op::Rename(old, new, flags) => {
            let flags =
                [host::RenameFlags::empty(), host::RenameFlags::NOREPLACE, host::RenameFlags::EXCHANGE]
                    [usize::from(*flags)];
            done(host::renameat_with(dir, old, dir, new, flags))
        }
        Op::Stat(path) => host::statat(dir, path, AtFlags::empty()).map(|stat| {
            let is_directory = stat.st_mode & 0o170_000 == 0o040_000;
            // Filesystems of the host may count a directory's links in other ways.
            format!("{:o} {}", stat.st_mode & 0o170_000, if is_directory { 0 } else { stat.st_nlink })
        }),
        Op::ReadLink(path) => {
            host::readlinkat(dir, path, Vec::new()).map(|target| target.to_string_lossy().into_owned())
        }
    }
    .map_err(rustix::io::Errno::raw_os_error)
}

fn here(world: &World, op: &Op) -> Outcome {
    let ctx = &world.ctx;
    let result: Result<String, Errno> = match op {
        Op::Mkdir(path) => world.mkdir(path).map(|_| String::new()),
        Op::Create { path, exclusive, no_follow } => {
            let mut flags = OpenFlags::WRONLY | OpenFlags::CREAT;
            flags.set(OpenFlags::EXCL, *exclusive);
            flags.set(OpenFlags::NOFOLLOW, *no_follow);
            world.open(path, flags).map(|_| String::new())
        }
        Op::Open { path, directory, no_follow } => {
            let mut flags = OpenFlags::empty();
            flags.set(OpenFlags::DIRECTORY, *directory);
            flags.set(OpenFlags::NOFOLLOW, *no_follow);
            world.open(path, flags).map(|_| String::new())
        }
        Op::Symlink(target, path) => world.symlink(target, path).map(|_| String::new()),
        Op::Link(old, new) => world
            .find_link(old)
            .and_then(|file| ops::link(ctx, &file, None, new.as_bytes()))
            .map(|()| String::new()),
        Op::Unlink(path) => ops::unlink(ctx, None, path.as_bytes()).map(|()| String::new()),
        Op::Rmdir(path) => ops::rmdir(ctx, None, path.as_bytes()).map(|()| String::new()),
        Op::Rename(old, new, flags) => {
            let flags =
                [RenameFlags::empty(), RenameFlags::NOREPLACE, RenameFlags::EXCHANGE][usize::from(*flags)];
            ops::rename(ctx, None, old.as_bytes(), None, new.as_bytes(), flags).map(|()| String::new())
        }
        Op::Stat(path) => world.find(path).map(|found| {
            let metadata = found.inode().metadata();
            let is_directory = metadata.kind() == FileKind::Directory;
            format!("{:o} {}", metadata.mode & 0o170_000, if is_directory { 0 } else { metadata.nlink })
        }),
        Op::ReadLink(path) => world
            .find_link(path)
            .and_then(|link| link.inode().read_link())
            .map(|target| String::from_utf8_lossy(&target).into_owned()),
    };
    result.map_err(|errno| i32::from(errno.code()))
}

/// All paths with their kinds.
fn tree_here(world: &World, path: &str, found: &mut Vec<String>) {
    for name in world.names(path).expect("a directory") {
        let below = format!("{path}/{name}");
        let location = world.find_link(&below).expect("an entry");
        assert_eq!(location.path(&world.ctx.cwd), &below.as_bytes()[1..], "the path of {below}");
        found.push(format!("{below} {:?}", location.inode().kind()));
        if location.inode().kind() == FileKind::Directory {
            tree_here(world, &below, found);
        }
    }
}

fn tree_on_host(top: &std::path::Path, path: &str, found: &mut Vec<String>) {
    let mut entries: Vec<_> = std::fs::read_dir(top.join(path)).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let below = format!("{path}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().unwrap();
        let shown = if kind.is_dir() {
            "Directory"
        } else if kind.is_symlink() {
            "Symlink"
        } else {
            "Regular"
        };
        found.push(format!("{below} {shown}"));
        if kind.is_dir() {
            tree_on_host(top, &below, found);
        }
    }
}

/// Does the operations in a directory `top` here and on the host, so that `..` leads to somewhere like it.
fn compare(ops: &[Op], mut world: World) {
    let top = world.mkdir("top").unwrap();
    world.ctx.cwd = top;
    let world = &world;
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("top");
    std::fs::create_dir(&dir).unwrap();
    let fd = host::open(&dir, host::OFlags::RDONLY | host::OFlags::DIRECTORY, host::Mode::empty()).unwrap();
    let start = ["d", "d/e", "d/e/f", "d/e/f/d", "d/e/f/d/e"];
    for path in start {
        let op = Op::Mkdir(path.into());
        assert_eq!(here(world, &op), on_host(&fd, &op));
    }
    for (number, op) in ops.iter().enumerate() {
        assert_eq!(
            here(world, op),
            on_host(&fd, op),
            "operation {number}: {op:?} after {:?}",
            &ops[..number]
        );
    }
    let (mut mine, mut theirs) = (Vec::new(), Vec::new());
    tree_here(world, ".", &mut mine);
    tree_on_host(&dir, ".", &mut theirs);
    assert_eq!(mine, theirs);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_errors_and_trees(ops in prop::collection::vec(op(), 1..60)) {
        compare(&ops, World::tmpfs());
    }
}

/// The same operations above an image whose directories are its own.
#[test]
fn the_same_above_an_image() {
    let Some(mke2fs) = support::mke2fs() else { return };
    let empty = tempfile::tempdir().unwrap();
    let image = support::make_image(&mke2fs, &["-t", "ext4"], empty.path(), "1M").unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&prop::collection::vec(op(), 1..60), |ops| {
            let world = World::image(image.clone());
            ops::rmdir(&world.ctx, None, b"lost+found").unwrap();
            compare(&ops, world);
            Ok(())
        })
        .unwrap();
}
