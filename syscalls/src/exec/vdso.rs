//! The shared object that every program finds mapped, by which it reads the clocks without a system call (vdso(7)).

use crate::mm::{AddressSpace, Backing, MapRequest, PAGE, Placement, Prot, SpecialPage, VmFlags};
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_elf_loader::vdso::{Code, build};
use husk_machine::frame::{Frame, PAGE_SIZE};
use husk_machine::sync::Once;
use husk_machine::vdso;

const _: () = assert!(vdso::DATA_DISTANCE == PAGE_SIZE, "the data is the page below the object");

/// The object; None if it cannot be made.
fn object() -> Option<&'static SpecialPage> {
    static OBJECT: Once<Option<SpecialPage>> = Once::new();
    let make = || {
        let functions = vdso::functions();
        let code = Code { bytes: vdso::code(), offset: vdso::CODE_OFFSET, functions: &functions };
        let bytes: Vec<u8> = build(&code).filter(|bytes| bytes.len() <= PAGE_SIZE)?;
        let frame = Frame::alloc_zeroed().ok()?;
        frame.write(0, &bytes);
        Some(SpecialPage { name: "[vdso]", frame, live: false })
    };
    OBJECT.call_once(make).as_ref()
}

fn data() -> &'static SpecialPage {
    static DATA: Once<SpecialPage> = Once::new();
    DATA.call_once(|| SpecialPage { name: "[vvar]", frame: vdso::data().clone(), live: true })
}

/// Maps both pages; the answer is the object's address.
pub(super) fn map(mm: &AddressSpace) -> Result<u64, Errno> {
    let Some(object) = object() else { return err!(ENOMEM) };
    let place = mm.place_for(2 * PAGE).ok_or(Errno::ENOMEM.here())?;
    let request = |start, prot, max, page| MapRequest {
        placement: Placement::Fixed(start),
        len: PAGE,
        prot,
        max,
        flags: VmFlags::empty(),
        backing: Backing::Special(page),
        populate: true,
        privileged: false,
    };
    mm.map(request(place, Prot::READ, Prot::READ, data()))?;
    mm.map(request(place + PAGE, Prot::READ | Prot::EXEC, Prot::all(), object))
}
