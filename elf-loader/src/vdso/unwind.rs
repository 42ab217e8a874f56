//! How to unwind code that uses no stack: the return address is on top (`.eh_frame` of the Linux Standard Base, DWARF 4).

use super::words32;
use alloc::vec::Vec;

/// Size of [`eh_frame_hdr`].
pub(super) const HEADER_SIZE: usize = 20;

// Encodings of pointers (DW_EH_PE_*).
const UDATA4: u8 = 0x03;
const SDATA4_PC_RELATIVE: u8 = 0x1b;
const SDATA4_HEADER_RELATIVE: u8 = 0x3b;

// Call frame instructions (DW_CFA_*) and register numbers.
const NOP: u8 = 0;
const DEF_CFA: u8 = 0x0c;
const OFFSET: u8 = 0x80;
const RSP: u8 = 7;
const RETURN_ADDRESS: u8 = 16;

/// The contents of `.eh_frame`.
pub(super) struct Frames {
    pub(super) bytes: Vec<u8>,
    /// Where in them the entry of the code is.
    pub(super) fde: usize,
}

/// For `len` bytes of code at an address; the section itself is at `place`.
pub(super) fn eh_frame(place: u64, code: u64, len: u64) -> Frames {
    let entry = |id: u32, contents: &[u8]| {
        let mut contents = contents.to_vec();
        contents.resize((contents.len() + 8).next_multiple_of(8) - 8, NOP);
        let mut bytes = words32(&[contents.len() as u32 + 4, id]);
        bytes.extend(contents);
        bytes
    };
    // Version 1, augmentation "zR", code alignment 1, data alignment -8 (0x78 in LEB128), one byte of augmentation data; then: the
    // frame's address is RSP + 8, and the return address is 8 below that.
    let common = [
        1,
        b'z',
        b'R',
        0,
        1,
        0x78,
        RETURN_ADDRESS,
        1,
        SDATA4_PC_RELATIVE,
        DEF_CFA,
        RSP,
        8,
        OFFSET | RETURN_ADDRESS,
        1,
    ];
    let mut bytes = entry(0, &common);
    let fde = bytes.len();
    // The second word of an entry says how far back the common part is.
    let start = relative(code, place + fde as u64 + 8);
    let mut contents = words32(&[start, len as u32]);
    contents.push(0);
    bytes.extend(entry(fde as u32 + 4, &contents));
    bytes.extend([0; 4]);
    Frames { bytes, fde }
}

/// `.eh_frame_hdr`, which is at `place`: the way to `.eh_frame` and to the entry of the code.
pub(super) fn eh_frame_hdr(place: u64, eh_frame: u64, fde: u64, code: u64) -> Vec<u8> {
    let mut bytes = Vec::from([1, SDATA4_PC_RELATIVE, UDATA4, SDATA4_HEADER_RELATIVE]);
    bytes.extend(words32(&[relative(eh_frame, place + 4), 1, relative(code, place), relative(fde, place)]));
    bytes
}

fn relative(to: u64, from: u64) -> u32 {
    to.wrapping_sub(from) as u32
}
