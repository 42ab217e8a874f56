//! Many threads at once: no deadlock, and a tree that fits together afterwards.

mod support;

use husk_fs::{FileKind, Location, OpenFlags, RenameFlags, ops};
use std::sync::mpsc::channel;
use std::time::Duration;
use support::{World, pattern, read_at, write_at};

const THREADS: u64 = 4;
const STEPS: usize = 3000;

fn one_thread(world: &World, seed: u64) {
    let random = pattern(seed, STEPS * 8);
    let dirs = ["/a", "/b", "/a/c", "/b/d", "/a/c/e", "/x"];
    let names = ["1", "2", "c", "d", "e"];
    for bytes in random.chunks_exact(8) {
        let pick = |at: usize| {
            format!("{}/{}", dirs[usize::from(bytes[at]) % 6], names[usize::from(bytes[at + 1]) % 5])
        };
        let (one, two) = (pick(0), pick(2));
        // Each may fail, as the others are at work too.
        match bytes[4] % 9 {
            0 | 1 => drop(world.mkdir(&one)),
            2 => drop(ops::rmdir(&world.ctx, None, one.as_bytes())),
            3 => drop(ops::unlink(&world.ctx, None, one.as_bytes())),
            4 | 5 => {
                let flags = if bytes[5] % 3 == 0 { RenameFlags::EXCHANGE } else { RenameFlags::empty() };
                let _ = ops::rename(&world.ctx, None, one.as_bytes(), None, two.as_bytes(), flags);
            }
            6 => {
                if let Ok(opened) = world.open(&one, OpenFlags::CREAT | OpenFlags::RDWR) {
                    write_at(&opened.location, u64::from(bytes[5]) * 100, &bytes[..7]);
                    let _ = read_at(&opened.location, 0, 5000).expect("reading");
                }
            }
            7 => drop(world.names(&one)),
            _ => drop(world.find(&one).map(|found| found.path(&world.ctx.root))),
        }
    }
}

/// Every name leads to what its listing says, links are as many as there are names, and paths lead back.
fn check(world: &World, dir: &Location, path: &str) -> usize {
    let mut subdirectories = 0;
    for name in world.list(dir).unwrap() {
        let below = format!("{path}/{name}");
        let found = world.find_link(&below).unwrap_or_else(|error| panic!("{below}: {error}"));
        assert_eq!(found.path(&world.ctx.root), below.as_bytes());
        if found.inode().kind() == FileKind::Directory {
            subdirectories += 1;
            let inside = check(world, &found, &below);
            assert_eq!(found.inode().metadata().nlink as usize, 2 + inside, "{below}");
        } else {
            assert_eq!(found.inode().metadata().nlink, 1, "{below}");
        }
    }
    subdirectories
}

#[test]
fn operations_on_names_run_side_by_side() {
    let (done, finished) = channel();
    let work = std::thread::spawn(move || {
        let world = World::tmpfs();
        for path in ["/a", "/b", "/a/c", "/b/d", "/a/c/e", "/x"] {
            world.mkdir(path).unwrap();
        }
        std::thread::scope(|scope| {
            for seed in 1..=THREADS {
                let world = &world;
                scope.spawn(move || one_thread(world, seed));
            }
        });
        check(&world, &world.ctx.root, "");
        done.send(()).unwrap();
    });
    // The channel closes if the thread panics.
    if let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = finished.recv_timeout(Duration::from_secs(120)) {
        panic!("the threads wait for each other");
    }
    work.join().unwrap();
}
