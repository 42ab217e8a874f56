//! The first line of a script, as Linux's `fs/binfmt_script.c` reads it.

use core::fmt;
use thiserror::Error;

/// How many bytes of a file Linux looks at (`BINPRM_BUF_SIZE`).
pub const LINE_LIMIT: usize = 256;

/// What a `#!` line says.
#[derive(Clone, PartialEq, Eq)]
pub struct Shebang<'a> {
    /// Path of the interpreter.
    pub interpreter: &'a [u8],
    /// The rest of the line, inner blanks included, as one argument.
    pub argument: Option<&'a [u8]>,
}

impl fmt::Debug for Shebang<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| alloc::string::String::from_utf8_lossy(bytes).into_owned();
        f.debug_struct("Shebang")
            .field("interpreter", &text(self.interpreter))
            .field("argument", &self.argument.map(text))
            .finish()
    }
}

/// A `#!` line that names no interpreter; execve(2) fails with ENOEXEC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ScriptError {
    /// Only blanks follow `#!`.
    #[error("the line of #! names no interpreter")]
    Empty,
    /// The path does not end within the first 256 bytes, so that it may be cut short.
    #[error("the path after #! does not end within the first 256 bytes of the file")]
    TooLong,
}

const fn blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Reads the `#!` line in a file's first bytes ([`LINE_LIMIT`] of them count). None if the file does not start with `#!`.
#[must_use]
pub fn parse(head: &[u8]) -> Option<Result<Shebang<'_>, ScriptError>> {
    let head = head.get(..LINE_LIMIT).unwrap_or(head);
    head.starts_with(b"#!").then(|| line(head))
}

/// Works on a copy padded with zeros, as Linux does: a zero ends the line and each of its words, and blanks at the end of a
/// file without a newline make an empty argument.
fn line(head: &[u8]) -> Result<Shebang<'_>, ScriptError> {
    const LAST: usize = LINE_LIMIT - 1;
    let mut buffer = [0; LINE_LIMIT];
    buffer[..head.len()].copy_from_slice(head);
    let find = |buffer: &[u8; LINE_LIMIT], from: usize, last: usize, wanted: fn(u8) -> bool| {
        (from..=last).find(|&at| wanted(buffer[at]))
    };
    let newline = find(&buffer, 2, LAST, |byte| matches!(byte, b'\n' | 0)).filter(|&at| buffer[at] == b'\n');
    let mut end = match newline {
        Some(at) => at,
        None => {
            let start = find(&buffer, 2, LAST, |byte| !blank(byte)).ok_or(ScriptError::Empty)?;
            // The path has to be seen to end, else it may have been cut short.
            find(&buffer, start, LAST, terminator).ok_or(ScriptError::TooLong)?;
            LAST
        }
    };
    while blank(buffer[end - 1]) {
        end -= 1;
    }
    buffer[end] = 0;
    let start = find(&buffer, 2, end, |byte| !blank(byte)).unwrap_or(end);
    let stop = find(&buffer, start, end, terminator).unwrap_or(end);
    if start == stop {
        return Err(ScriptError::Empty);
    }
    let argument = match buffer[stop] {
        0 => None,
        _ => find(&buffer, stop, end, |byte| !blank(byte)).map(|at| {
            let zero = find(&buffer, at, end, |byte| byte == 0).unwrap_or(end);
            head.get(at..zero).unwrap_or_default()
        }),
    };
    Ok(Shebang { interpreter: &head[start..stop], argument })
}

const fn terminator(byte: u8) -> bool {
    blank(byte) || byte == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both(head: &[u8]) -> (&[u8], Option<&[u8]>) {
        let shebang = parse(head).unwrap().unwrap();
        (shebang.interpreter, shebang.argument)
    }

    #[test]
    fn plain() {
        assert_eq!(parse(b"\x7fELF"), None);
        assert_eq!(parse(b"#"), None);
        assert_eq!(both(b"#!/bin/sh\necho"), (&b"/bin/sh"[..], None));
        assert_eq!(both(b"#! \t /bin/sh \t\necho"), (&b"/bin/sh"[..], None));
        assert_eq!(both(b"#!/usr/bin/env  -S a  b \n"), (&b"/usr/bin/env"[..], Some(&b"-S a  b"[..])));
        assert_eq!(both(b"#!/bin/sh\r\n"), (&b"/bin/sh\r"[..], None));
    }

    #[test]
    fn without_newline() {
        assert_eq!(both(b"#!/bin/sh"), (&b"/bin/sh"[..], None));
        assert_eq!(both(b"#!/bin/sh -e"), (&b"/bin/sh"[..], Some(&b"-e"[..])));
        assert_eq!(both(b"#!/bin/sh  "), (&b"/bin/sh"[..], Some(&b""[..])));
    }

    #[test]
    fn no_interpreter() {
        for head in [&b"#!\n"[..], b"#!  \t \n/bin/sh\n", b"#!", b"#! ", b"#!\0/bin/sh\n"] {
            assert_eq!(parse(head), Some(Err(ScriptError::Empty)), "{head:?}");
        }
        assert_eq!(parse(&[b"#!".as_slice(), &[b' '; 300]].concat()), Some(Err(ScriptError::Empty)));
    }

    #[test]
    fn cut_at_256_bytes() {
        let long = [b"#!/".as_slice(), &[b'x'; 300], b"\n"].concat();
        assert_eq!(parse(&long), Some(Err(ScriptError::TooLong)));
        let argument = [b"#!/bin/sh ".as_slice(), &[b'x'; 300], b"\n"].concat();
        assert_eq!(both(&argument), (&b"/bin/sh"[..], Some(&argument[10..255])));
        // 256 bytes with the newline fit.
        let fits = [b"#!".as_slice(), &[b'y'; 253], b"\n"].concat();
        assert_eq!(both(&fits), (&fits[2..255], None));
        // A path of which the buffer's last byte is the separator.
        let just = [b"#!".as_slice(), &[b'y'; 253], b" -x\n"].concat();
        assert_eq!(both(&just), (&just[2..255], None));
    }

    #[test]
    fn zero_ends_words() {
        assert_eq!(both(b"#!/bin/sh\0 -e\n"), (&b"/bin/sh"[..], None));
        assert_eq!(both(b"#!/bin/sh -e\0f\n"), (&b"/bin/sh"[..], Some(&b"-e"[..])));
    }

    proptest! {
        #[test]
        fn never_panics(tail in prop::collection::vec(prop::sample::select(b"\0\n \t/ab!#".to_vec()), 0..400)) {
            let head = [b"#!".as_slice(), &tail].concat();
            if let Some(Ok(shebang)) = parse(&head) {
                prop_assert!(!shebang.interpreter.is_empty());
                prop_assert!(!shebang.interpreter.iter().any(|byte| b"\0\n \t".contains(byte)));
            }
        }
    }
}
