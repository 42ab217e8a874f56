//! Tests of the table of descriptors.

use super::*;
use crate::poll::epoll::Epoll;
use husk_fs::OpenFlags;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn file() -> Arc<FileDescription> {
    FileDescription::new(Epoll::new(), OpenFlags::RDWR)
}

#[test]
fn the_lowest_free_number_is_given() {
    let table = FdTable::new();
    let numbers: Vec<i32> = (0..3).map(|_| table.install(file(), false, 10).unwrap().0).collect();
    assert_eq!(numbers, [0, 1, 2]);
    drop(table.remove(Fd(1)).unwrap());
    assert_eq!(table.install(file(), false, 10), Ok(Fd(1)));
    assert_eq!(table.reserve(7, 10).unwrap().install(file(), false), Fd(7));
    assert_eq!(table.install(file(), false, 10), Ok(Fd(3)));
}

#[test]
fn the_limit_counts_numbers() {
    let table = FdTable::new();
    table.install(file(), false, 1).unwrap();
    assert_eq!(table.install(file(), false, 1), Err(Errno::EMFILE));
}

#[test]
fn a_reserved_number_is_not_open_and_comes_back() {
    let table = FdTable::new();
    let reserved = table.reserve(0, 10).unwrap();
    assert!(table.get_any(Fd(0)).is_err());
    assert_eq!(table.replace(0, file(), false).err(), Some(Errno::EBUSY));
    assert_eq!(table.install(file(), false, 10), Ok(Fd(1)));
    drop(reserved);
    assert_eq!(table.install(file(), false, 10), Ok(Fd(0)));
}

#[test]
fn what_is_marked_for_exec_can_be_found() {
    let table = FdTable::new();
    table.install(file(), true, 10).unwrap();
    table.install(file(), false, 10).unwrap();
    assert_eq!(table.remove_where(0, usize::MAX, |descriptor| descriptor.close_on_exec).len(), 1);
    assert_eq!(table.open_numbers(), [Fd(1)]);
    assert_eq!(table.install(file(), false, 10), Ok(Fd(0)));
}

#[test]
fn path_descriptors_only_name() {
    let table = FdTable::new();
    table.install(FileDescription::new(Epoll::new(), OpenFlags::PATH), false, 10).unwrap();
    assert!(table.get_any(Fd(0)).is_ok());
    assert_eq!(table.get(Fd(0)).err(), Some(Errno::EBADF));
}

proptest! {
    #[test]
    fn same_as_a_set_of_numbers(steps in proptest::collection::vec((0u8..4, 0usize..12), 1..80)) {
        let table = FdTable::new();
        let mut model = BTreeSet::new();
        for (what, number) in steps {
            match what {
                0 => {
                    let lowest = (0..).find(|free| !model.contains(free)).unwrap();
                    prop_assert_eq!(table.install(file(), false, 100), Ok(Fd(lowest as i32)));
                    model.insert(lowest);
                }
                1 => {
                    let lowest = (number..).find(|free| !model.contains(free)).unwrap();
                    let fd = table.reserve(number, 100).unwrap().install(file(), false);
                    prop_assert_eq!(fd, Fd(lowest as i32));
                    model.insert(lowest);
                }
                2 => prop_assert_eq!(table.remove(Fd(number as i32)).is_ok(), model.remove(&number)),
                _ => {
                    let replaced = table.replace(number, file(), false).unwrap().is_some();
                    prop_assert_eq!(replaced, !model.insert(number));
                }
            }
            let open: Vec<usize> = table.open_numbers().iter().map(|fd| fd.0 as usize).collect();
            prop_assert_eq!(open, model.iter().copied().collect::<Vec<_>>());
        }
    }
}
