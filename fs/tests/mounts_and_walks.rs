//! Mounts, paths, permissions, the flags of openat2(2).

mod support;

use husk_fs::{
    Capabilities, Credentials, DeviceNumber, Errno, LookupFlags, MemFs, MountFlags, NewKind, OpenFlags,
    PseudoFs, PseudoNode, StaticDir, lookup, ops,
};
use std::sync::Arc;
use support::{LIMITS, World, clock, write_at};

fn tmpfs(minor: u32) -> Arc<MemFs> {
    MemFs::tmpfs(DeviceNumber::new(0, minor), clock(), LIMITS)
}

#[test]
fn mounts_are_crossed_both_ways() {
    let mut world = World::tmpfs();
    world.mkdir("/mnt").unwrap();
    world.write("/mnt/hidden", b"");
    let second = tmpfs(31);
    let at = world.find("/mnt").unwrap();
    let mount = world.namespace.mount(second.clone(), b"src", MountFlags::NODEV, &at).unwrap();
    assert_eq!(world.find("/mnt/hidden").err(), Some(Errno::ENOENT));
    world.mkdir("/mnt/dir").unwrap();
    let dir = world.find("/mnt/dir").unwrap();
    assert_eq!(dir.path(&world.ctx.root), b"/mnt/dir");
    assert_eq!(dir.inode().metadata().dev, DeviceNumber::new(0, 31));
    assert!(world.find("/mnt/dir/../..").unwrap().is_same(&world.ctx.root));
    assert!(world.find("/..//../mnt/.").unwrap().is_same(&mount.root()));
    assert_eq!(world.namespace.mounts().len(), 2);
    assert_eq!(world.namespace.mount(second, b"src", MountFlags::empty(), &at).err(), Some(Errno::EBUSY));

    // `..` in a listing is the directory the mount is on.
    let mut dots = Vec::new();
    mount
        .root()
        .read_dir(&world.ctx.root, 0, &mut |entry| {
            dots.push((entry.name.to_vec(), entry.ino));
            true
        })
        .unwrap();
    assert_eq!(dots[1], (b"..".to_vec(), world.ctx.root.inode().ino()));

    // Devices cannot be opened, names do not move out.
    let device = NewKind::CharDevice(DeviceNumber::new(1, 3));
    ops::make(&world.ctx, None, b"/mnt/null", device, 0o666).unwrap();
    assert_eq!(world.open("/mnt/null", OpenFlags::RDWR).err(), Some(Errno::EACCES));
    let rename =
        |old: &[u8], new: &[u8]| ops::rename(&world.ctx, None, old, None, new, husk_fs::RenameFlags::empty());
    assert_eq!(rename(b"/mnt/dir", b"/dir"), Err(Errno::EXDEV));
    assert_eq!(rename(b"/mnt", b"/other"), Err(Errno::EBUSY));
    assert_eq!(ops::rmdir(&world.ctx, None, b"/mnt"), Err(Errno::EBUSY));

    // Read-only.
    mount.set_flags(MountFlags::RDONLY);
    assert_eq!(world.mkdir("/mnt/new").err(), Some(Errno::EROFS));
    assert_eq!(world.mkdir("/mnt/dir").err(), Some(Errno::EEXIST));
    assert_eq!(ops::unlink(&world.ctx, None, b"/mnt/none"), Err(Errno::EROFS));
    assert_eq!(ops::chmod(&world.ctx, &dir, 0), Err(Errno::EROFS));

    // Below another root.
    world.ctx.root = world.find("/mnt").unwrap();
    assert!(world.find("/../..").unwrap().is_same(&mount.root()));
    assert_eq!(world.ctx.cwd.path(&world.ctx.root), b"(unreachable)/");
    let world = World::in_namespace(world.namespace.clone());

    assert_eq!(world.namespace.unmount(&world.ctx.root), Err(Errno::EINVAL));
    world.namespace.unmount(&mount.root()).unwrap();
    assert!(world.find("/mnt/hidden").is_ok());
    assert_eq!(dir.path(&world.ctx.root), b"(unreachable)/dir");
}

#[test]
fn confined_walks() {
    let world = World::tmpfs();
    for path in ["/top", "/top/a", "/top/a/b", "/out"] {
        world.mkdir(path).unwrap();
    }
    world.symlink("/out", "/top/absolute").unwrap();
    world.symlink("../../out", "/top/a/escape").unwrap();
    world.symlink("b", "/top/a/inside").unwrap();
    let top = world.find("/top").unwrap();
    let at = top.clone();
    world.namespace.mount(tmpfs(31), b"x", MountFlags::empty(), &world.find("/top/a/b").unwrap()).unwrap();
    let walk = |path: &str, flags| {
        lookup(&world.ctx, Some(&at), path.as_bytes(), LookupFlags::FOLLOW | flags)
            .map(|found| String::from_utf8(found.path(&world.ctx.root)).unwrap())
    };
    let ok = |path: &str| Ok::<_, Errno>(String::from(path));
    assert_eq!(walk("absolute", LookupFlags::empty()), ok("/out"));
    assert_eq!(walk("absolute", LookupFlags::BENEATH), Err(Errno::EXDEV));
    assert_eq!(walk("absolute", LookupFlags::IN_ROOT), Err(Errno::ENOENT));
    assert_eq!(walk("a/escape", LookupFlags::BENEATH), Err(Errno::EXDEV));
    assert_eq!(walk("a/escape", LookupFlags::empty()), ok("/out"));
    assert_eq!(walk("a/../a", LookupFlags::BENEATH), ok("/top/a"));
    assert_eq!(walk("a/../..", LookupFlags::BENEATH), Err(Errno::EXDEV));
    assert_eq!(walk("../../a", LookupFlags::IN_ROOT), ok("/top/a"));
    assert_eq!(walk("/a", LookupFlags::IN_ROOT), ok("/top/a"));
    assert_eq!(walk("/a", LookupFlags::BENEATH), Err(Errno::EXDEV));
    assert_eq!(walk("a/inside", LookupFlags::NO_SYMLINKS), Err(Errno::ELOOP));
    assert_eq!(walk("a/b", LookupFlags::NO_XDEV), Err(Errno::EXDEV));
    assert_eq!(walk("a", LookupFlags::NO_XDEV), ok("/top/a"));
    assert_eq!(walk("", LookupFlags::EMPTY_PATH), ok("/top"));
    assert_eq!(walk("", LookupFlags::empty()), Err(Errno::ENOENT));
    assert_eq!(walk(&"x/".repeat(2048), LookupFlags::empty()), Err(Errno::ENAMETOOLONG));
}

#[test]
fn forty_links_and_no_more() {
    let world = World::tmpfs();
    world.write("/link0", b"end");
    for number in 1..=41 {
        world.symlink(&format!("link{}", number - 1), &format!("/link{number}")).unwrap();
    }
    assert_eq!(world.read("/link40").unwrap(), b"end");
    assert_eq!(world.find("/link41").err(), Some(Errno::ELOOP));
    assert_eq!(world.open("/link41", OpenFlags::CREAT | OpenFlags::WRONLY).err(), Some(Errno::ELOOP));
    // Making a file through a link that leads nowhere.
    world.mkdir("/dir").unwrap();
    world.symlink("dir/new", "/dangling").unwrap();
    assert!(world.open("/dangling", OpenFlags::CREAT | OpenFlags::WRONLY).unwrap().created);
    assert!(world.find("/dir/new").is_ok());
}

#[test]
fn permissions_are_those_of_linux() {
    let mut world = World::tmpfs();
    let root = world.ctx.clone();
    world.mkdir("/private").unwrap();
    world.write("/private/file", b"");
    world.write("/file", b"text");
    world.mkdir("/shared").unwrap();
    ops::chmod(&root, &world.find("/private").unwrap(), 0o700).unwrap();
    ops::chmod(&root, &world.find("/shared").unwrap(), 0o1777).unwrap();
    world.write("/shared/roots", b"");
    let user =
        |uid| Arc::new(Credentials { uid, gid: uid, groups: vec![50], capabilities: Capabilities::empty() });
    world.ctx.credentials = user(1000);
    let open = |path, flags| world.open(path, flags).map(|_| ());
    assert_eq!(open("/private/file", OpenFlags::empty()), Err(Errno::EACCES));
    assert_eq!(open("/file", OpenFlags::empty()), Ok(()));
    assert_eq!(open("/file", OpenFlags::WRONLY), Err(Errno::EACCES));
    assert_eq!(open("/file", OpenFlags::TRUNC), Err(Errno::EACCES));
    assert_eq!(open("/file", OpenFlags::NOATIME), Err(Errno::EPERM));
    // tmpfs's top is open to all, but sticky.
    world.write("/mine", b"");
    assert_eq!(ops::unlink(&world.ctx, None, b"/shared/roots"), Err(Errno::EPERM));
    assert_eq!(ops::unlink(&world.ctx, None, b"/file"), Err(Errno::EPERM));
    let mine = world.find("/mine").unwrap();
    assert_eq!(ops::chown(&world.ctx, &mine, Some(0), None), Err(Errno::EPERM));
    assert_eq!(ops::chown(&world.ctx, &mine, None, Some(50)), Ok(()));
    assert_eq!(ops::chown(&world.ctx, &mine, None, Some(51)), Err(Errno::EPERM));
    ops::chmod(&world.ctx, &mine, 0o6775).unwrap();
    assert_eq!(mine.inode().metadata().mode, 0o106_775);
    // Another user's write takes the set-id bits; so does a change of owner.
    let other = Credentials { groups: Vec::new(), ..(*user(2000)).clone() };
    ops::remove_privileges(&other, &mine).unwrap();
    assert_eq!(mine.inode().metadata().mode, 0o100_775);
    assert_eq!(ops::chmod(&root, &mine, 0o4711), Ok(()));
    assert_eq!(ops::chown(&root, &mine, Some(3), None), Ok(()));
    assert_eq!(mine.inode().metadata().mode, 0o100_711);
    // Root may not run what nobody may.
    ops::chmod(&root, &mine, 0o600).unwrap();
    let access = |wanted| ops::check_access(&root.credentials, &mine, wanted);
    assert_eq!(access(husk_fs::Access::EXEC), Err(Errno::EACCES));
    assert_eq!(access(husk_fs::Access::READ | husk_fs::Access::WRITE), Ok(()));
    let now = ops::SetTime::Now(husk_abi::Timespec::default());
    let file = world.find("/file").unwrap();
    assert_eq!(ops::set_times(&world.ctx, &file, now, now), Err(Errno::EACCES));
    assert_eq!(ops::set_times(&world.ctx, &file, now, ops::SetTime::Keep), Err(Errno::EPERM));
}

#[test]
fn a_running_program_is_not_written() {
    let world = World::tmpfs();
    let program = world.write("/program", b"text");
    let access = &program.inode().slot().write_access;
    access.deny().unwrap();
    assert_eq!(access.get(), Err(Errno::ETXTBSY));
    assert_eq!(ops::truncate(&world.ctx, &program, 0), Err(Errno::ETXTBSY));
    assert_eq!(world.open("/program", OpenFlags::WRONLY | OpenFlags::TRUNC).err(), Some(Errno::ETXTBSY));
    access.allow();
    access.get().unwrap();
    assert_eq!(access.deny(), Err(Errno::ETXTBSY));
}

#[test]
fn times_change_as_they_should() {
    let world = World::tmpfs();
    let times = |path: &str| {
        let metadata = world.find(path).unwrap().inode().metadata();
        (metadata.atime, metadata.mtime, metadata.ctime)
    };
    world.mkdir("/dir").unwrap();
    let file = world.write("/dir/file", b"a");
    let (_, before, _) = times("/dir");
    let (_, mtime, ctime) = times("/dir/file");
    write_at(&file, 1, b"b");
    let (atime, mtime_after, ctime_after) = times("/dir/file");
    assert!(mtime_after > mtime && ctime_after > ctime);
    assert_eq!(times("/dir").1, before, "a write is nothing to the directory");
    file.accessed();
    let renewed = times("/dir/file").0;
    assert!(renewed > atime && renewed > mtime_after);
    file.accessed();
    assert_eq!(times("/dir/file").0, renewed, "relatime: not again");
    ops::chmod(&world.ctx, &file, 0o600).unwrap();
    assert_eq!(times("/dir/file").1, mtime_after);
    assert!(times("/dir/file").2 > ctime_after);
    ops::unlink(&world.ctx, None, b"/dir/file").unwrap();
    assert!(times("/dir").1 > before);
}

#[test]
fn a_directory_may_change_while_it_is_listed() {
    let world = World::tmpfs();
    for number in 0..50 {
        world.write(&format!("/file{number}"), b"");
    }
    // Remove each file as it is seen, like rm -r.
    let mut offset = 0;
    let mut seen = 0;
    loop {
        let mut names = Vec::new();
        world
            .ctx
            .root
            .read_dir(&world.ctx.root, offset, &mut |entry| {
                if names.len() == 3 {
                    return false;
                }
                offset = entry.next_offset;
                names.push(entry.name.to_vec());
                true
            })
            .unwrap();
        if names.is_empty() {
            break;
        }
        for name in names.into_iter().filter(|name| name.starts_with(b"file")) {
            ops::unlink(&world.ctx, None, &name).unwrap();
            seen += 1;
        }
    }
    assert_eq!(seen, 50);
    assert_eq!(world.names("/").unwrap(), Vec::<String>::new());
}

#[test]
fn a_very_deep_tree_needs_no_deep_stack() {
    let work = || {
        let mut world = World::tmpfs();
        let inner = tmpfs(31);
        world.mkdir("/mnt").unwrap();
        let at = world.find("/mnt").unwrap();
        let mount = world.namespace.mount(inner, b"x", MountFlags::empty(), &at).unwrap();
        world.ctx.cwd = mount.root();
        for _ in 0..20_000 {
            world.mkdir("d").unwrap();
            world.ctx.cwd = world.find("d").unwrap();
        }
        world.ctx.cwd = world.ctx.root.clone();
        world.namespace.unmount(&mount.root()).unwrap();
    };
    std::thread::Builder::new().stack_size(128 * 1024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn pseudo_files_are_made_when_asked_for() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let count = Arc::new(AtomicU32::new(0));
    let counter = count.clone();
    let dir = StaticDir::new()
        .with_file("count", move || Ok(format!("{}\n", counter.fetch_add(1, Ordering::Relaxed)).into_bytes()))
        .with_dir("sub", StaticDir::new().with("link", PseudoNode::Link(b"../count".to_vec())));
    let proc = PseudoFs::new("proc", 0x9fa0, DeviceNumber::new(0, 20), clock(), Arc::new(dir));
    let world = World::new(proc);
    assert_eq!(world.names("/").unwrap(), ["count", "sub"]);
    let inode = world.find("/sub/link").unwrap();
    assert_eq!(inode.inode().ino(), world.find("/count").unwrap().inode().ino());
    let open = inode.inode().open(OpenFlags::empty()).unwrap().unwrap();
    let read = |offset, len| {
        let mut sink = husk_fs::io::VecSink::new(len);
        open.read_at(offset, &mut sink).unwrap();
        sink.into_bytes()
    };
    assert_eq!(read(0, 1), b"0");
    assert_eq!(read(1, 100), b"\n", "the same contents as at offset 0");
    assert_eq!(read(0, 100), b"1\n");
    // As on Linux: procfs says ENOENT whatever is tried with a name that is not there.
    assert_eq!(world.mkdir("/x").err(), Some(Errno::ENOENT));
    assert_eq!(world.open("/x", OpenFlags::CREAT | OpenFlags::WRONLY).err(), Some(Errno::ENOENT));
    assert_eq!(ops::unlink(&world.ctx, None, b"/count"), Err(Errno::EPERM));
    let sys = World::new(PseudoFs::new(
        "sysfs",
        0x6265_6572,
        DeviceNumber::new(0, 21),
        clock(),
        Arc::new(StaticDir::new()),
    ));
    assert_eq!(sys.mkdir("/x").err(), Some(Errno::EPERM));
    assert_eq!(sys.open("/x", OpenFlags::CREAT | OpenFlags::WRONLY).err(), Some(Errno::EACCES));
    assert_eq!(count.load(Ordering::Relaxed), 2);
}
