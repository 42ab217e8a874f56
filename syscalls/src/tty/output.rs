//! Output processing (OPOST): what a terminal does to the bytes a program writes, and where the cursor is.

use super::termios::Termios;
use alloc::vec::Vec;
use linux_raw_sys::general as raw;

/// Where the cursor is, as far as tabs and erasing need to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Column {
    /// Column the next character goes to.
    pub(crate) now: usize,
    /// Column where the line being edited began.
    pub(crate) line_start: usize,
}

/// Whether this byte continues a UTF-8 character and the terminal counts characters (IUTF8).
pub(crate) fn is_continuation(termios: &Termios, byte: u8) -> bool {
    termios.input(raw::IUTF8) && byte & 0xc0 == 0x80
}

/// Writes one byte of a program (or of the echo) to the terminal.
pub(crate) fn put(termios: &Termios, column: &mut Column, byte: u8, out: &mut Vec<u8>) {
    if !termios.output(raw::OPOST) {
        out.push(byte);
        return;
    }
    let mut byte = byte;
    match byte {
        b'\n' => {
            if termios.output(raw::ONLRET) {
                column.now = 0;
            }
            if termios.output(raw::ONLCR) {
                *column = Column::default();
                out.extend_from_slice(b"\r\n");
                return;
            }
            column.line_start = column.now;
        }
        b'\r' => {
            if termios.output(raw::ONOCR) && column.now == 0 {
                return;
            }
            if termios.output(raw::OCRNL) {
                byte = b'\n';
                if termios.output(raw::ONLRET) {
                    *column = Column::default();
                }
            } else {
                *column = Column::default();
            }
        }
        b'\t' => {
            let spaces = 8 - (column.now & 7);
            column.now += spaces;
            if termios.oflag & raw::TABDLY == raw::XTABS {
                out.extend(core::iter::repeat_n(b' ', spaces));
                return;
            }
        }
        0x08 => column.now = column.now.saturating_sub(1),
        _ if !byte.is_ascii_control() => {
            if termios.output(raw::OLCUC) {
                byte = byte.to_ascii_uppercase();
            }
            if !is_continuation(termios, byte) {
                column.now += 1;
            }
        }
        _ => {}
    }
    out.push(byte);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processed(oflag: u32, bytes: &[u8]) -> Vec<u8> {
        let termios = Termios { oflag, ..Termios::default() };
        let (mut column, mut out) = (Column::default(), Vec::new());
        for byte in bytes {
            put(&termios, &mut column, *byte, &mut out);
        }
        out
    }

    #[test]
    fn newline_becomes_return_and_newline() {
        assert_eq!(processed(raw::OPOST | raw::ONLCR, b"a\nb\r\n"), b"a\r\nb\r\r\n");
        assert_eq!(processed(raw::ONLCR, b"a\n"), b"a\n");
    }

    #[test]
    fn tabs_and_returns() {
        assert_eq!(processed(raw::OPOST | raw::XTABS, b"ab\tc"), b"ab      c");
        assert_eq!(processed(raw::OPOST | raw::ONOCR, b"\rab\r"), b"ab\r");
        assert_eq!(processed(raw::OPOST | raw::OCRNL, b"a\rb"), b"a\nb");
        assert_eq!(processed(raw::OPOST | raw::OLCUC, b"aB1"), b"AB1");
    }
}
