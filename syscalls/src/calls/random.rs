//! getrandom(2).

use crate::args::UserSlice;
use crate::task::Task;
use husk_abi::{Errno, err};
use linux_raw_sys::general as sys;

/// Bytes made at a time.
const CHUNK: usize = 256;

/// getrandom(2). The generator is always ready: no call waits.
pub(crate) fn getrandom(task: &Task, buffer: UserSlice, flags: u32) -> Result<usize, Errno> {
    const EXCLUSIVE: u32 = sys::GRND_RANDOM | sys::GRND_INSECURE;
    if flags & !(sys::GRND_NONBLOCK | EXCLUSIVE) != 0 || flags & EXCLUSIVE == EXCLUSIVE {
        return err!(EINVAL);
    }
    // As Linux: no more at once than an int can count.
    let len = buffer.len.min(i32::MAX as usize);
    let mut done = 0;
    while done < len {
        let mut bytes = [0; CHUNK];
        let part = &mut bytes[..CHUNK.min(len - done)];
        husk_machine::random::fill(part);
        match task.mm().copy_out_partial(buffer.addr.wrapping_add(done as u64), part) {
            Ok(count) => {
                done += count;
                if count < part.len() {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
        if done < len && task.has_pending_signal() {
            break;
        }
    }
    Ok(done)
}
