//! Address spaces against a simple model, page by page.

use super::vma::VmFlags;
use super::*;
use crate::limits::{Limit, Limits};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;
use husk_abi::{Errno, Timespec};
use husk_fs::io::{SliceSource, Source};
use husk_fs::{Clock, DeviceNumber, InodeRef, MemFs, NewInode, NewKind, WriteAt};
use proptest::prelude::*;

const BASE: u64 = 0x10_0000;
const PAGES: u64 = 48;
const FILE_PAGES: u64 = 16;

struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Timespec {
        Timespec::default()
    }
}

/// A file in memory whose page `n` is filled with `n + 1`.
pub(crate) fn file() -> InodeRef {
    let limits = husk_fs::Limits { pages: 1 << 20, inodes: 1 << 20 };
    let fs = MemFs::tmpfs(DeviceNumber::new(0, 99), Arc::new(NoClock), limits);
    let inode = fs.unnamed_file(&NewInode { kind: NewKind::Regular, mode: 0o600, uid: 0, gid: 0 }).unwrap();
    for page in 0..FILE_PAGES {
        let bytes = [page as u8 + 1; PAGE_SIZE];
        let mut source = SliceSource::new(&bytes);
        inode.write_at(WriteAt::Offset(page * PAGE), &mut source).unwrap();
        assert_eq!(source.remaining(), 0);
    }
    inode
}

pub(crate) fn space() -> AddressSpace {
    let mut limits = Limits::initial(1 << 20);
    limits.set(Resource::MEMLOCK, Limit { soft: INFINITY, hard: INFINITY });
    AddressSpace::new(&limits, Layout { mmap_top: 0x7000_0000_0000, ..Layout::default() }).unwrap()
}

pub(crate) fn request(placement: Placement, pages: u64) -> MapRequest {
    MapRequest {
        placement,
        len: pages * PAGE,
        prot: Prot::READ | Prot::WRITE,
        max: Prot::all(),
        flags: VmFlags::empty(),
        backing: Backing::Anonymous,
        populate: false,
        privileged: true,
    }
}

/// What kind of memory a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Anonymous,
    PrivateFile(u64),
    SharedFile(u64),
}

/// A page of the model: its kind, protection, and what a private copy of it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Page {
    kind: Kind,
    prot: Prot,
    own: Option<u8>,
}

#[derive(Clone, Debug)]
enum Op {
    Map { at: u64, pages: u64, prot: Prot, file: Option<(u64, bool)> },
    Unmap { at: u64, pages: u64 },
    Protect { at: u64, pages: u64, prot: Prot },
    Write { at: u64, value: u8 },
    Drop { at: u64, pages: u64 },
    Move { at: u64, pages: u64, to: u64 },
}

fn prot() -> impl Strategy<Value = Prot> {
    prop::sample::select(vec![Prot::empty(), Prot::READ, Prot::READ | Prot::WRITE, Prot::READ | Prot::EXEC])
}

fn op() -> impl Strategy<Value = Op> {
    let range = || (0..PAGES - 8, 1..9_u64);
    let file = prop::option::of((0..FILE_PAGES - 8, any::<bool>()));
    prop_oneof![
        (range(), prot(), file).prop_map(|((at, pages), prot, file)| Op::Map { at, pages, prot, file }),
        range().prop_map(|(at, pages)| Op::Unmap { at, pages }),
        (range(), prot()).prop_map(|((at, pages), prot)| Op::Protect { at, pages, prot }),
        (0..PAGES, any::<u8>()).prop_map(|(at, value)| Op::Write { at, value }),
        range().prop_map(|(at, pages)| Op::Drop { at, pages }),
        (range(), 0..PAGES - 8).prop_map(|((at, pages), to)| Op::Move { at, pages, to }),
    ]
}

struct Model {
    pages: BTreeMap<u64, Page>,
    file: [u8; FILE_PAGES as usize],
}

impl Model {
    fn value(&self, page: &Page) -> u8 {
        match page {
            Page { own: Some(value), .. } => *value,
            Page { kind: Kind::Anonymous, .. } => 0,
            Page { kind: Kind::PrivateFile(index) | Kind::SharedFile(index), .. } => {
                self.file[*index as usize]
            }
        }
    }

    /// Whether all pages are mapped, of one kind and one after another, so that one mapping holds them.
    fn one_mapping(&self, at: u64, pages: u64) -> bool {
        let Some(first) = self.pages.get(&at) else { return false };
        (0..pages).all(|index| {
            self.pages.get(&(at + index)).is_some_and(|page| {
                let kind = match first.kind {
                    Kind::Anonymous => Kind::Anonymous,
                    Kind::PrivateFile(start) => Kind::PrivateFile(start + index),
                    Kind::SharedFile(start) => Kind::SharedFile(start + index),
                };
                page.prot == first.prot && page.kind == kind
            })
        })
    }
}

fn apply(space: &AddressSpace, inode: &InodeRef, model: &mut Model, op: &Op) {
    let addr = |page: u64| BASE + page * PAGE;
    match *op {
        Op::Map { at, pages, prot, file } => {
            let mut wanted = request(Placement::Fixed(addr(at)), pages);
            wanted.prot = prot;
            if let Some((first, shared)) = file {
                wanted.backing = Backing::file(inode.clone(), None, first * PAGE);
                wanted.flags.set(VmFlags::SHARED, shared);
            }
            assert_eq!(space.map(wanted), Ok(addr(at)));
            for index in 0..pages {
                let kind = match file {
                    None => Kind::Anonymous,
                    Some((first, false)) => Kind::PrivateFile(first + index),
                    Some((first, true)) => Kind::SharedFile(first + index),
                };
                model.pages.insert(at + index, Page { kind, prot, own: None });
            }
        }
        Op::Unmap { at, pages } => {
            space.unmap(addr(at), pages * PAGE).unwrap();
            model.pages.retain(|page, _| !(at..at + pages).contains(page));
        }
        Op::Protect { at, pages, prot } => {
            let result = space.protect(addr(at), pages * PAGE, prot, false);
            // Up to the first hole.
            for page in at..at + pages {
                match model.pages.get_mut(&page) {
                    Some(page) => page.prot = prot,
                    None => {
                        assert_eq!(result, Err(Errno::ENOMEM));
                        return;
                    }
                }
            }
            assert_eq!(result, Ok(()));
        }
        Op::Write { at, value } => {
            let result = space.copy_out(addr(at), &[value; 3]);
            match model.pages.get_mut(&at) {
                Some(page) if page.prot.contains(Prot::WRITE) => {
                    assert_eq!(result, Ok(()));
                    match page.kind {
                        Kind::SharedFile(index) => model.file[index as usize] = value,
                        _ => page.own = Some(value),
                    }
                }
                _ => assert_eq!(result, Err(Errno::EFAULT)),
            }
        }
        Op::Drop { at, pages } => {
            let result = space.advise(addr(at), pages * PAGE, Advice::DontNeed);
            let mut holes = false;
            for page in at..at + pages {
                match model.pages.get_mut(&page) {
                    Some(page) => page.own = None,
                    None => holes = true,
                }
            }
            assert_eq!(result.is_err(), holes);
        }
        Op::Move { at, pages, to } => {
            let remap = Remap {
                addr: addr(at),
                old_len: pages * PAGE,
                new_len: pages * PAGE,
                may_move: true,
                fixed: Some(addr(to)),
                keep_old: false,
            };
            let result = space.remap(remap);
            if at < to + pages && to < at + pages {
                assert_eq!(result, Err(Errno::EINVAL));
                return;
            }
            // What is at the new place goes first, whatever happens then.
            model.pages.retain(|page, _| !(to..to + pages).contains(page));
            if model.one_mapping(at, pages) {
                assert_eq!(result, Ok(addr(to)));
                for index in 0..pages {
                    let page = model.pages.remove(&(at + index)).unwrap();
                    model.pages.insert(to + index, page);
                }
            } else {
                assert_eq!(result, Err(Errno::EFAULT));
            }
        }
    }
}

fn check(space: &AddressSpace, model: &Model) {
    let state = space.maps.lock();
    let vmas: Vec<Vma> = state.maps.iter().cloned().collect();
    let (total, data) = (state.maps.total_pages(), state.maps.data_pages());
    drop(state);
    for pair in vmas.windows(2) {
        assert!(pair[0].end <= pair[1].start, "mappings overlap: {vmas:?}");
        assert!(!pair[0].joins(&pair[1]), "mappings should be one: {vmas:?}");
    }
    assert_eq!(total, model.pages.len() as u64);
    let counts = |page: &&Page| page.prot.contains(Prot::WRITE) && !matches!(page.kind, Kind::SharedFile(_));
    assert_eq!(data, model.pages.values().filter(counts).count() as u64);
    for number in 0..PAGES {
        let addr = BASE + number * PAGE;
        let vma = vmas.iter().find(|vma| (vma.start..vma.end).contains(&addr));
        let page = model.pages.get(&number);
        assert_eq!(vma.map(|vma| vma.prot), page.map(|page| page.prot), "page {number}");
        let mut bytes = [0xee; 2];
        let read = space.copy_in(&mut bytes, addr);
        match page {
            Some(page) if !page.prot.is_empty() => {
                assert_eq!((read, bytes[0]), (Ok(()), model.value(page)), "page {number}: {page:?}");
            }
            _ => assert_eq!(read, Err(Errno::EFAULT)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_the_model(ops in prop::collection::vec(op(), 1..60)) {
        let inode = file();
        let space = space();
        let file = core::array::from_fn(|page| page as u8 + 1);
        let mut model = Model { pages: BTreeMap::new(), file };
        for op in &ops {
            apply(&space, &inode, &mut model, op);
            check(&space, &model);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// What a search remembers from earlier ones never changes where it ends.
    #[test]
    fn gaps_are_found_as_by_a_fresh_search(
        steps in prop::collection::vec((1..6_u64, any::<bool>(), any::<prop::sample::Index>(), 0..3_u64), 1..120),
    ) {
        const TOP: u64 = 1 << 30;
        let within = MMAP_MIN_ADDR..TOP;
        let mut maps = Maps::default();
        let mut taken: Vec<Range<u64>> = Vec::new();
        for (pages, unmap, which, part) in steps {
            if unmap && !taken.is_empty() {
                let range = taken.swap_remove(which.index(taken.len()));
                let start = range.start + (part * PAGE).min(range.end - range.start - PAGE);
                if start > range.start {
                    taken.push(range.start..start);
                }
                maps.remove(start..range.end);
                continue;
            }
            let len = pages * PAGE;
            let mut top = TOP;
            for range in {
                let mut sorted = taken.clone();
                sorted.sort_by_key(|range| core::cmp::Reverse(range.start));
                sorted
            } {
                if top - range.end >= len {
                    break;
                }
                top = range.start;
            }
            let start = maps.highest_gap(len, within.clone()).unwrap();
            prop_assert_eq!(start, top - len);
            let flags = if which.index(2) == 0 { VmFlags::empty() } else { VmFlags::NORESERVE };
            maps.insert(Vma {
                start,
                end: start + len,
                prot: Prot::READ,
                max: Prot::all(),
                flags,
                backing: Backing::Anonymous,
            });
            taken.push(start..start + len);
        }
    }
}

#[test]
fn a_huge_reservation_costs_one_entry() {
    let space = space();
    let mut reservation = request(Placement::Hint(0), (8 << 40) / PAGE);
    reservation.prot = Prot::empty();
    let at = space.map(reservation).unwrap();
    let mut reservation = request(Placement::Hint(0), (1 << 40) / PAGE);
    reservation.flags = VmFlags::NORESERVE;
    space.map(reservation).unwrap();
    assert!(space.maps.lock().maps.count() <= 2);
    assert_eq!(space.page_table.resident(), 0);
    // Without MAP_NORESERVE so much is refused.
    assert_eq!(space.map(request(Placement::Hint(0), (1 << 40) / PAGE)), Err(Errno::ENOMEM));
    space.unmap(at, 8 << 40).unwrap();
}

#[test]
fn places_go_from_the_top_down() {
    let space = space();
    let first = space.map(request(Placement::Hint(0), 4)).unwrap();
    assert_eq!(first, 0x7000_0000_0000 - 4 * PAGE);
    let second = space.map(request(Placement::Hint(0), 2)).unwrap();
    assert_eq!(second, first - 2 * PAGE);
    // Both are one mapping now.
    assert_eq!(space.maps.lock().maps.count(), 1);
    space.unmap(first, PAGE).unwrap();
    assert_eq!(space.map(request(Placement::Hint(0), 1)), Ok(first));
    assert_eq!(space.map(request(Placement::FixedNoReplace(first), 1)), Err(Errno::EEXIST));
    assert_eq!(space.map(request(Placement::Hint(first), 1)), Ok(second - PAGE));
    let low = space.map(request(Placement::Low, 1)).unwrap();
    assert!((0x4000_0000..0x8000_0000).contains(&low));
}

#[test]
fn memory_filled_in_order_takes_fewer_faults() {
    let space = space();
    space.map(request(Placement::Fixed(BASE), 256)).unwrap();
    let mut faults = 0;
    for page in (BASE..BASE + 200 * PAGE).step_by(PAGE as usize) {
        if space.page_table.lookup(page).is_none() {
            faults += 1;
            space.fault(page, Access::Write).unwrap();
        }
    }
    assert!(faults < 40, "{faults} faults for 200 pages");
    assert!(space.page_table.resident() <= 216);
    // Out of order only what is touched is there.
    let far = BASE + 0x1000 * PAGE;
    space.map(request(Placement::Fixed(far), 256)).unwrap();
    let before = space.page_table.resident();
    for page in (0..256).step_by(2) {
        space.fault(far + page * PAGE, Access::Write).unwrap();
    }
    assert_eq!(space.page_table.resident() - before, 128);
    // A sequence stops at the end of its mapping and at pages that are there.
    let end = BASE + 0x2000 * PAGE;
    space.map(request(Placement::Fixed(end - 12 * PAGE), 12)).unwrap();
    for page in 0..12 {
        space.fault(end - (12 - page) * PAGE, Access::Write).unwrap();
    }
    assert!(space.page_table.lookup(end).is_none());
}

#[test]
fn a_stack_grows_to_its_limit_and_keeps_its_distance() {
    let space = space();
    let top = 0x6000_0000_0000;
    let mut stack = request(Placement::Fixed(top - 2 * PAGE), 2);
    stack.flags = VmFlags::GROWSDOWN;
    space.map(stack).unwrap();
    space.copy_out(top - 100 * PAGE, b"x").unwrap();
    assert_eq!(space.vmas()[0].start, top - 100 * PAGE);
    assert_eq!(space.copy_out(top - (8 << 20) - 1, b"x"), Err(Errno::EFAULT));
    // A neighbour nearer than the guard gap forbids growing.
    let near = top - 100 * PAGE - STACK_GUARD_GAP;
    space.map(request(Placement::Fixed(near - PAGE), 1)).unwrap();
    assert_eq!(space.copy_out(top - 101 * PAGE, b"x"), Err(Errno::EFAULT));
}

#[test]
fn beyond_the_end_of_a_file_is_a_bus_error() {
    let (space, inode) = (space(), file());
    let mut wanted = request(Placement::Fixed(BASE), FILE_PAGES + 4);
    wanted.backing = Backing::file(inode.clone(), None, 0);
    wanted.flags = VmFlags::SHARED;
    space.map(wanted).unwrap();
    assert_eq!(space.fault(BASE + FILE_PAGES * PAGE, Access::Read), Err(FaultError::Bus));
    assert!(space.fault(BASE, Access::Read).is_ok());
    assert_eq!(space.fault(BASE - 1, Access::Read), Err(FaultError::Segv(crate::signal::code::SEGV_MAPERR)));
    assert_eq!(space.fault(BASE, Access::Exec), Err(FaultError::Segv(crate::signal::code::SEGV_ACCERR)));
}

#[test]
fn the_heap_moves_and_stops_at_neighbours() {
    let space = space();
    let start = 0x2000_0000;
    space.set_heap_start(start);
    assert_eq!(space.brk(0), start);
    assert_eq!(space.brk(start + 5000), start + 5000);
    space.copy_out(start + 4999, b"x").unwrap();
    assert_eq!(space.copy_out(start + 2 * PAGE, b"x"), Err(Errno::EFAULT));
    space.map(request(Placement::Fixed(start + 16 * PAGE), 1)).unwrap();
    assert_eq!(space.brk(start + 17 * PAGE), start + 5000);
    assert_eq!(space.brk(start), start);
    assert_eq!(space.copy_in(&mut [0], start), Err(Errno::EFAULT));
    // Memory that was given back is zero when it comes again.
    space.brk(start + 8192);
    let mut byte = [7];
    space.copy_in(&mut byte, start + 4999).unwrap();
    assert_eq!(byte, [0]);
}

#[test]
fn copies_stop_where_memory_does() {
    let space = space();
    space.map(request(Placement::Fixed(BASE), 2)).unwrap();
    let end = BASE + 2 * PAGE;
    assert_eq!(space.copy_out_partial(end - 10, &[1; 100]), Ok(10));
    assert_eq!(space.copy_out(end - 10, &[1; 100]), Err(Errno::EFAULT));
    assert_eq!(space.copy_in_partial(&mut [0; 100], end - 4), Ok(4));
    assert_eq!(space.copy_in_partial(&mut [0; 100], end), Err(Errno::EFAULT));
    assert_eq!(space.copy_out_partial(u64::MAX - 3, &[1; 8]), Err(Errno::EFAULT));
    space.copy_out(end - 3, b"ab\0").unwrap();
    assert_eq!(space.string_length(end - 3, 100), Ok(2));
    space.copy_out(end - 3, b"abc").unwrap();
    assert_eq!(space.string_length(end - 3, 100), Err(Errno::EFAULT));
    assert_eq!(space.string_length(end - 3, 3), Ok(3));
}

#[test]
fn cutting_a_file_takes_its_pages_out() {
    let (space, inode) = (Arc::new(space()), file());
    let process = crate::process::Process::new(crate::process::ProcessParts {
        mm: space.clone(),
        limits: Limits::initial(1 << 20),
        exe: None,
    });
    for (at, flags) in [(BASE, VmFlags::SHARED), (BASE + 64 * PAGE, VmFlags::empty())] {
        let mut wanted = request(Placement::Fixed(at), 4);
        wanted.backing = Backing::file(inode.clone(), None, 2 * PAGE);
        wanted.flags = flags;
        space.map(wanted).unwrap();
        for page in 0..4 {
            space.copy_out(at + page * PAGE, b"w").unwrap();
        }
    }
    // Page 4 of the file on, which is the third of each mapping.
    forget_file_pages(&inode, 4 * PAGE - 1..u64::MAX, true);
    for at in [BASE, BASE + 64 * PAGE] {
        let there: Vec<bool> =
            (0..4).map(|page| space.page_table.lookup(at + page * PAGE).is_some()).collect();
        assert_eq!(there, [true, true, false, false]);
    }
    drop(process);
}
