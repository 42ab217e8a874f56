//! Reading from a disk that takes its time: how much is read in one go, what is read once, errors, little memory.

mod support;

use husk_fs::{DeviceNumber, Errno, Ext4, MemFs, reclaim};
use husk_machine::block::{BlockDevice, BlockRequest, IoError, MemoryDisk};
use husk_machine::sync::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use support::{LIMITS, World, clock, make_image, mke2fs, pattern, read_all, read_at};

static ALONE: Mutex<()> = Mutex::new(());

#[derive(Default)]
struct Counters {
    requests: AtomicUsize,
    pages: AtomicUsize,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    broken: AtomicBool,
}

/// A disk that answers from a thread of its own, a while later.
struct SlowDisk {
    disk: Arc<MemoryDisk>,
    counters: Arc<Counters>,
    queue: Sender<BlockRequest>,
}

impl SlowDisk {
    fn new(bytes: Vec<u8>) -> (Arc<Self>, Arc<Counters>) {
        let (queue, requests) = channel::<BlockRequest>();
        let disk = Arc::new(MemoryDisk::new(bytes, true));
        let counters = Arc::new(Counters::default());
        let (inner, shared) = (disk.clone(), counters.clone());
        std::thread::spawn(move || {
            for request in requests {
                std::thread::sleep(std::time::Duration::from_micros(300));
                shared.in_flight.fetch_sub(1, Ordering::SeqCst);
                if shared.broken.load(Ordering::SeqCst) {
                    (request.done)(Err(IoError::Device));
                } else {
                    inner.submit(request);
                }
            }
        });
        (Arc::new(Self { disk, counters: counters.clone(), queue }), counters)
    }
}

impl BlockDevice for SlowDisk {
    fn sectors(&self) -> u64 {
        self.disk.sectors()
    }

    fn read_only(&self) -> bool {
        true
    }

    fn name(&self) -> &str {
        "slow"
    }

    fn serial(&self) -> String {
        String::new()
    }

    fn submit(&self, request: BlockRequest) {
        self.counters.requests.fetch_add(1, Ordering::SeqCst);
        self.counters.pages.fetch_add(request.frames.len(), Ordering::SeqCst);
        let now = self.counters.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.counters.most_in_flight.fetch_max(now, Ordering::SeqCst);
        self.queue.send(request).expect("the disk's thread");
    }
}

const SIZE: usize = 24 << 20;

fn slow_world() -> Option<(World, Arc<Counters>)> {
    let mke2fs = mke2fs()?;
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("file"), pattern(3, SIZE)).unwrap();
    let image = make_image(&mke2fs, &["-t", "ext4", "-b", "4096"], tree.path(), "40M")?;
    let (disk, counters) = SlowDisk::new(image);
    let root = MemFs::over(Ext4::open(disk).unwrap(), DeviceNumber::new(254, 0), clock(), LIMITS).unwrap();
    Some((World::new(root), counters))
}

#[test]
fn a_sequential_reader_gets_large_requests_ahead_of_time() {
    let _alone = ALONE.lock();
    let Some((world, counters)) = slow_world() else { return };
    let file = world.find("/file").unwrap();
    let (requests, pages) = (counters.requests.load(Ordering::SeqCst), counters.pages.load(Ordering::SeqCst));
    let expected = pattern(3, SIZE);
    for offset in (0..SIZE).step_by(64 << 10) {
        assert!(read_at(&file, offset as u64, 64 << 10).unwrap() == expected[offset..offset + (64 << 10)]);
    }
    let requests = counters.requests.load(Ordering::SeqCst) - requests;
    let pages = counters.pages.load(Ordering::SeqCst) - pages;
    assert!(pages <= SIZE / 4096 + 32, "{pages} pages: nothing is read twice or beyond the end");
    assert!(requests <= SIZE / (200 << 10), "{requests} requests");
    assert!(counters.most_in_flight.load(Ordering::SeqCst) >= 4);
}

#[test]
fn readers_of_one_file_share_its_pages() {
    let _alone = ALONE.lock();
    let Some((world, counters)) = slow_world() else { return };
    let before = counters.pages.load(Ordering::SeqCst);
    let expected = pattern(3, SIZE);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let file = world.find("/file").unwrap();
                assert!(read_all(&file).unwrap() == expected);
            });
        }
        scope.spawn(|| {
            let file = world.find("/file").unwrap();
            for index in (0..SIZE / 4096).rev().step_by(37) {
                let mut page = vec![0; 4096];
                file.inode().page(index as u64).unwrap().read(0, &mut page);
                assert!(page == expected[index * 4096..(index + 1) * 4096]);
            }
        });
    });
    let pages = counters.pages.load(Ordering::SeqCst) - before;
    assert!(pages <= SIZE / 4096 + 64, "{pages} pages were read for a file of {}", SIZE / 4096);
}

#[test]
fn an_error_is_reported_and_forgotten() {
    let _alone = ALONE.lock();
    let Some((world, counters)) = slow_world() else { return };
    let file = world.find("/file").unwrap();
    assert_eq!(read_at(&file, 0, 10).unwrap(), pattern(3, 10));
    counters.broken.store(true, Ordering::SeqCst);
    assert_eq!(read_at(&file, 10 << 20, 10), Err(Errno::EIO));
    assert_eq!(file.inode().page(5000).unwrap_err(), Errno::EIO);
    assert_eq!(file.inode().page_for_write(5000).unwrap_err(), Errno::EIO);
    // A program may ask again, as a disk may come back.
    counters.broken.store(false, Ordering::SeqCst);
    assert!(read_at(&file, 10 << 20, 5000).unwrap() == pattern(3, SIZE)[10 << 20..(10 << 20) + 5000]);
    assert!(file.inode().page(5000).is_ok());
}

#[test]
fn a_file_larger_than_memory_is_read() {
    let _alone = ALONE.lock();
    let Some((world, _)) = slow_world() else { return };
    let file = world.find("/file").unwrap();
    husk_machine::frame::reclaim_hook(reclaim);
    while reclaim(1000) > 0 {}
    // The limit is this thread's own.
    let _limit = husk_machine::hosted::limit_frames(700);
    let expected = pattern(3, SIZE);
    for offset in (0..SIZE).step_by(100_000) {
        let end = SIZE.min(offset + 100_000);
        assert!(read_at(&file, offset as u64, end - offset).unwrap() == expected[offset..end]);
    }
    let (_, clean) = husk_fs::cached_pages();
    assert!((300..=700).contains(&clean), "{clean} pages are kept");
}
