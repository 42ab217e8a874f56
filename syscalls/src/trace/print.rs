//! Arguments and results as text.

use crate::args::{UserCStr, UserPtr, read_iovecs};
use crate::mm::AddressSpace;
use crate::signal::{SigAction, SigSet, Signal};
use crate::table::flags::POLL;
use crate::table::format::Name;
use crate::table::{Entry, Format};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use husk_abi::{Errno, Timespec};
use linux_raw_sys::general as sys;

/// Bytes of a string or buffer that are shown, as by strace(1).
const SHOWN: usize = 32;
/// Longest path that is shown.
const PATH_SHOWN: usize = 4096;
/// Strings of an array that are shown.
const STRINGS_SHOWN: usize = 32;

/// Whether the call does not come back.
pub(super) fn never_returns(entry: &Entry) -> bool {
    matches!(entry.number, sys::__NR_exit | sys::__NR_exit_group | sys::__NR_rt_sigreturn)
}

/// Whether some arguments are known only afterwards.
pub(super) fn writes_arguments(entry: &Entry) -> bool {
    entry.formats.iter().any(|format| {
        matches!(
            format,
            Format::Out
                | Format::IoVecsOut
                | Format::SigSetOut
                | Format::PollFds
                | Format::TimespecOut
                | Format::StatOut
                | Format::IntPairOut
                | Format::RlimitOut
        )
    })
}

/// `name(argument, …)`. What the call writes is shown only with its result.
pub(super) fn call(
    mm: &AddressSpace,
    entry: &Entry,
    args: &[u64; 6],
    result: Option<&Result<u64, Errno>>,
) -> String {
    let mut text = format!("{}(", entry.name);
    // open(2) has a mode only if it makes a file.
    let count = match entry.formats {
        [.., Format::Flags(_), Format::Mode]
            if args[entry.formats.len() - 2] & u64::from(sys::O_CREAT) == 0 =>
        {
            entry.formats.len() - 1
        }
        formats => formats.len(),
    };
    for (index, format) in entry.formats[..count].iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        argument(&mut text, mm, *format, args, index, result);
    }
    text.push(')');
    text
}

fn argument(
    text: &mut String,
    mm: &AddressSpace,
    format: Format,
    args: &[u64; 6],
    index: usize,
    result: Option<&Result<u64, Errno>>,
) {
    let value = args[index];
    let done = match result {
        Some(Ok(done)) => Some(*done),
        _ => None,
    };
    // Writing into a string cannot fail.
    let _ = match format {
        Format::Int => match i64::from(value as i32) as u64 == value || value >> 32 == 0 {
            true => write!(text, "{}", value as i32),
            false => write!(text, "{}", value as i64),
        },
        Format::Uint => write!(text, "{value}"),
        Format::Fd => write!(text, "{}", value as i32),
        Format::DirFd if value as i32 == sys::AT_FDCWD => write!(text, "AT_FDCWD"),
        Format::DirFd => write!(text, "{}", value as i32),
        Format::Hex if value == 0 => write!(text, "0"),
        Format::Ptr if value == 0 => write!(text, "NULL"),
        Format::Hex | Format::Ptr => write!(text, "{value:#x}"),
        Format::Mode => write!(text, "{:#03o}", value as u32).map(|()| fix_octal(text)),
        Format::Signal => match Signal::new(value as i32) {
            Ok(signal) => write!(text, "{signal}"),
            Err(_) => write!(text, "{}", value as i32),
        },
        Format::Path => string(text, mm, value, PATH_SHOWN),
        Format::Strings => strings(text, mm, value),
        Format::In => buffer(text, mm, value, args[index + 1]),
        Format::Out => match done {
            Some(len) => buffer(text, mm, value, len),
            None => write!(text, "{value:#x}"),
        },
        Format::IoVecs => io_vecs(text, mm, value, args[index + 1], u64::MAX),
        Format::IoVecsOut => io_vecs(text, mm, value, args[index + 1], done.unwrap_or(0)),
        Format::PollFds => poll_fds(text, mm, value, args[index + 1]),
        Format::SigSetOut if done.is_some() => sig_set(text, mm, value),
        Format::SigSet => sig_set(text, mm, value),
        Format::SigAction => sig_action(text, mm, value),
        Format::Timespec => timespec(text, mm, value),
        Format::TimespecOut if done.is_some() => timespec(text, mm, value),
        Format::StatOut if done.is_some() => stat(text, mm, value),
        Format::IntPairOut if done.is_some() => int_pair(text, mm, value),
        Format::Rlimit => rlimit(text, mm, value),
        Format::RlimitOut if done.is_some() => rlimit(text, mm, value),
        Format::SigSetOut
        | Format::TimespecOut
        | Format::StatOut
        | Format::IntPairOut
        | Format::RlimitOut => {
            if value == 0 {
                write!(text, "NULL")
            } else {
                write!(text, "{value:#x}")
            }
        }
        Format::Flags(names) => {
            flags(text, value & 0xffff_ffff, names);
            Ok(())
        }
        Format::Choice(names) => choice(text, value & 0xffff_ffff, names),
    };
}

/// `0o644` as C writes it.
fn fix_octal(text: &mut String) {
    if let Some(at) = text.rfind("0o") {
        text.replace_range(at..at + 2, "0");
    }
}

fn flags(text: &mut String, value: u64, names: &[Name]) {
    let mut rest = value;
    // Longer ones first: O_SYNC and O_TMPFILE contain others.
    let mut by_size: Vec<&Name> = names.iter().filter(|(bits, _)| *bits != 0).collect();
    by_size.sort_by_key(|(bits, _)| core::cmp::Reverse(bits.count_ones()));
    by_size.retain(|(bits, _)| {
        let present = rest & bits == *bits;
        rest &= if present { !bits } else { !0 };
        present
    });
    let read_only = names.iter().any(|(_, name)| *name == "O_RDWR") && value & 3 == 0;
    let present = names.iter().filter(|(_, name)| by_size.iter().any(|(_, other)| other == name));
    let mut words: Vec<&str> = read_only.then_some("O_RDONLY").into_iter().collect();
    words.extend(present.map(|(_, name)| *name));
    let zero = names.iter().find(|(bits, _)| *bits == 0 && value == 0);
    words.extend(zero.map(|(_, name)| *name));
    let unknown = format!("{rest:#x}");
    if rest != 0 {
        words.push(&unknown);
    }
    text.push_str(if words.is_empty() { "0" } else { "" });
    text.push_str(&words.join("|"));
}

fn choice(text: &mut String, value: u64, names: &[Name]) -> core::fmt::Result {
    match names.iter().find(|(number, _)| *number == value) {
        Some((_, name)) => text.write_str(name),
        None => write!(text, "{value:#x}"),
    }
}

fn quoted(text: &mut String, bytes: &[u8], cut: bool) -> core::fmt::Result {
    text.push('"');
    for &byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\r' => text.push_str("\\r"),
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            0x20..=0x7e => text.push(char::from(byte)),
            _ => write!(text, "\\{byte:o}")?,
        }
    }
    text.push_str(if cut { "\"..." } else { "\"" });
    Ok(())
}

/// Bytes in quotes.
pub(super) fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = quoted(&mut text, bytes, false);
    text
}

fn string(text: &mut String, mm: &AddressSpace, addr: u64, max: usize) -> core::fmt::Result {
    if addr == 0 {
        return text.write_str("NULL");
    }
    match UserCStr::new(addr).read(mm, max) {
        Ok(Some(bytes)) => quoted(text, &bytes, false),
        Ok(None) => write!(text, "{addr:#x} /* no end within {max} bytes */"),
        Err(_) => write!(text, "{addr:#x}"),
    }
}

fn strings(text: &mut String, mm: &AddressSpace, addr: u64) -> core::fmt::Result {
    text.push('[');
    for index in 0..STRINGS_SHOWN {
        match UserPtr::<u64>::new(addr).add(index).read(mm) {
            Ok(0) | Err(_) => break,
            Ok(pointer) => {
                if index > 0 {
                    text.push_str(", ");
                }
                string(text, mm, pointer, PATH_SHOWN)?;
            }
        }
    }
    text.push(']');
    Ok(())
}

fn buffer(text: &mut String, mm: &AddressSpace, addr: u64, len: u64) -> core::fmt::Result {
    let shown = (len as usize).min(SHOWN);
    let mut bytes = [0; SHOWN];
    match mm.copy_in(&mut bytes[..shown], addr) {
        Ok(()) => quoted(text, &bytes[..shown], len > SHOWN as u64),
        Err(_) => write!(text, "{addr:#x}"),
    }
}

/// A value behind a pointer, shown by `show`; the address if it cannot be read.
fn pointed<T: zerocopy::FromBytes + zerocopy::IntoBytes>(
    text: &mut String,
    mm: &AddressSpace,
    addr: u64,
    show: impl FnOnce(&mut String, T) -> core::fmt::Result,
) -> core::fmt::Result {
    if addr == 0 {
        return text.write_str("NULL");
    }
    match UserPtr::<T>::new(addr).read(mm) {
        Ok(value) => show(text, value),
        Err(_) => write!(text, "{addr:#x}"),
    }
}

fn timespec(text: &mut String, mm: &AddressSpace, addr: u64) -> core::fmt::Result {
    pointed(text, mm, addr, |text, time: Timespec| {
        write!(text, "{{tv_sec={}, tv_nsec={}}}", time.tv_sec, time.tv_nsec)
    })
}

fn int_pair(text: &mut String, mm: &AddressSpace, addr: u64) -> core::fmt::Result {
    pointed(text, mm, addr, |text, [one, two]: [i32; 2]| write!(text, "[{one}, {two}]"))
}

fn rlimit(text: &mut String, mm: &AddressSpace, addr: u64) -> core::fmt::Result {
    pointed(text, mm, addr, |text, limits: [u64; 2]| {
        let [soft, hard] = limits.map(|limit| match limit {
            u64::MAX => String::from("RLIM64_INFINITY"),
            limit if limit > 1024 && limit.is_multiple_of(1024) => format!("{}*1024", limit / 1024),
            limit => format!("{limit}"),
        });
        write!(text, "{{rlim_cur={soft}, rlim_max={hard}}}")
    })
}

fn stat(text: &mut String, mm: &AddressSpace, addr: u64) -> core::fmt::Result {
    // st_mode is the word at 24, st_rdev that at 40, st_size that at 48 (struct stat on x86-64).
    pointed(text, mm, addr, |text, stat: [u64; 18]| {
        let mode = stat[3] as u32;
        let kind = match mode & 0o170_000 {
            0o140_000 => "S_IFSOCK",
            0o120_000 => "S_IFLNK",
            0o100_000 => "S_IFREG",
            0o060_000 => "S_IFBLK",
            0o040_000 => "S_IFDIR",
            0o020_000 => "S_IFCHR",
            0o010_000 => "S_IFIFO",
            _ => "0",
        };
        write!(text, "{{st_mode={kind}|0{:o}, ", mode & 0o7777)?;
        match mode & 0o170_000 {
            0o060_000 | 0o020_000 => {
                let device = husk_fs::DeviceNumber::decode(stat[5]);
                write!(text, "st_rdev=makedev({:#x}, {:#x}), ...}}", device.major, device.minor)
            }
            _ => write!(text, "st_size={}, ...}}", stat[6]),
        }
    })
}

/// Elements of an array that are shown.
const ELEMENTS_SHOWN: u64 = 16;

fn io_vecs(text: &mut String, mm: &AddressSpace, addr: u64, count: u64, mut done: u64) -> core::fmt::Result {
    let Ok(slices) = read_iovecs(mm, UserPtr::new(addr), count.min(ELEMENTS_SHOWN) as usize) else {
        return write!(text, "{addr:#x}");
    };
    text.push('[');
    for (index, slice) in slices.iter().enumerate() {
        text.push_str(if index == 0 { "{iov_base=" } else { ", {iov_base=" });
        let len = done.min(slice.len as u64);
        done -= len;
        buffer(text, mm, slice.addr, len)?;
        write!(text, ", iov_len={}}}", slice.len)?;
    }
    text.push_str(if count > ELEMENTS_SHOWN { ", ...]" } else { "]" });
    Ok(())
}

fn poll_fds(text: &mut String, mm: &AddressSpace, addr: u64, count: u64) -> core::fmt::Result {
    // struct pollfd: the descriptor, then 16 bits each of what is asked for and what has happened.
    let Ok(entries) = UserPtr::<[i32; 2]>::new(addr).read_array(mm, count.min(ELEMENTS_SHOWN) as usize)
    else {
        return write!(text, "{addr:#x}");
    };
    text.push('[');
    for (index, [fd, events]) in entries.into_iter().enumerate() {
        text.push_str(if index == 0 { "" } else { ", " });
        write!(text, "{{fd={fd}, events=")?;
        let (wanted, happened) = (events as u32 as u64 & 0xffff, u64::from(events as u32 >> 16));
        flags(text, wanted, POLL);
        if happened != 0 {
            text.push_str(", revents=");
            flags(text, happened, POLL);
        }
        text.push('}');
    }
    text.push_str(if count > ELEMENTS_SHOWN { ", ...]" } else { "]" });
    Ok(())
}

fn short_name(signal: Signal) -> String {
    let name = format!("{signal}");
    String::from(name.strip_prefix("SIG").unwrap_or(&name))
}

fn put_set(text: &mut String, set: SigSet) -> core::fmt::Result {
    // As strace does it: a set that is nearly full is shown by what is missing.
    let (set, sign) = if set.bits().count_ones() > 42 { (!set, "~[") } else { (set, "[") };
    text.push_str(sign);
    let mut rest = set;
    let mut first = true;
    while let Some(signal) = rest.first() {
        rest.remove(signal);
        if !first {
            text.push(' ');
        }
        first = false;
        text.push_str(&short_name(signal));
    }
    text.push(']');
    Ok(())
}

fn sig_set(text: &mut String, mm: &AddressSpace, addr: u64) -> core::fmt::Result {
    pointed(text, mm, addr, put_set)
}

fn sig_action(text: &mut String, mm: &AddressSpace, addr: u64) -> core::fmt::Result {
    pointed(text, mm, addr, |text, action: SigAction| {
        match action.handler {
            0 => text.push_str("{sa_handler=SIG_DFL, sa_mask="),
            1 => text.push_str("{sa_handler=SIG_IGN, sa_mask="),
            handler => write!(text, "{{sa_handler={handler:#x}, sa_mask=")?,
        }
        put_set(text, action.mask)?;
        write!(text, ", sa_flags={:#x}", action.flags)?;
        if action.has(sys::SA_RESTORER) {
            write!(text, ", sa_restorer={:#x}", action.restorer)?;
        }
        text.push('}');
        Ok(())
    })
}

/// What comes behind the equals sign.
pub(super) fn result(entry: Option<&Entry>, result: &Result<u64, Errno>) -> String {
    match result {
        Ok(value) => match entry.map(|entry| entry.number) {
            Some(sys::__NR_mmap | sys::__NR_brk | sys::__NR_mremap | sys::__NR_shmat) => {
                format!("{value:#x}")
            }
            _ => format!("{}", *value as i64),
        },
        Err(errno) if errno.code() >= 512 => format!("? {errno}"),
        Err(errno) => format!("-1 {errno}"),
    }
}
