//! Each case was recorded from a pty of Linux 6.18: keys pressed, then the echo, FIONREAD and what reads of 8 bytes gave.

use super::*;
use proptest::prelude::*;

type Case = (&'static str, u32, u32, &'static [u8], &'static [u8], usize, &'static [&'static [u8]]);

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("plain line", 0x0, 0x0, b"hello\x0a", b"hello\x0d\x0a", 6, &[b"hello\x0a"]),
    ("erase", 0x0, 0x0, b"abc\x7f\x7fd\x0a", b"abc\x08 \x08\x08 \x08d\x0d\x0a", 3, &[b"ad\x0a"]),
    ("erase past the start", 0x0, 0x0, b"a\x7f\x7f\x7fb\x0a", b"a\x08 \x08b\x0d\x0a", 2, &[b"b\x0a"]),
    ("erase a control character", 0x0, 0x0, b"a\x01\x7fb\x0a", b"a^A\x08 \x08\x08 \x08b\x0d\x0a", 3, &[b"ab\x0a"]),
    ("erase a tab", 0x0, 0x0, b"ab\x09c\x7f\x7fd\x0a", b"ab\x09c\x08 \x08\x08\x08\x08\x08\x08\x08d\x0d\x0a", 4, &[b"abd\x0a"]),
    ("erase a tab after a tab", 0x0, 0x0, b"a\x09bc\x09\x7fd\x0a", b"a\x09bc\x09\x08\x08\x08\x08\x08\x08d\x0d\x0a", 6, &[b"a\x09bcd\x0a"]),
    ("kill", 0x0, 0x0, b"abc def\x15x\x0a", b"abc def\x08 \x08\x08 \x08\x08 \x08\x08 \x08\x08 \x08\x08 \x08\x08 \x08x\x0d\x0a", 2, &[b"x\x0a"]),
    ("kill without ECHOKE", 0x0, 0x800, b"abc\x15x\x0a", b"abc^U\x0d\x0ax\x0d\x0a", 2, &[b"x\x0a"]),
    ("word erase", 0x0, 0x0, b"one two_3  \x17x\x0a", b"one two_3  \x08 \x08\x08 \x08\x08 \x08\x08 \x08\x08 \x08\x08 \x08\x08 \x08x\x0d\x0a", 6, &[b"one x\x0a"]),
    ("word erase of punctuation", 0x0, 0x0, b"a b,c..\x17z\x0a", b"a b,c..\x08 \x08\x08 \x08\x08 \x08z\x0d\x0a", 6, &[b"a b,z\x0a"]),
    ("end of file after text", 0x0, 0x0, b"abc\x04", b"abc", 3, &[b"abc"]),
    ("end of file", 0x0, 0x0, b"\x04", b"", 0, &[b""]),
    ("two ends of file", 0x0, 0x0, b"ab\x04\x04", b"ab", 2, &[b"ab", b""]),
    ("return", 0x0, 0x0, b"a\x0db\x0a", b"a\x0d\x0ab\x0d\x0a", 4, &[b"a\x0a", b"b\x0a"]),
    ("literal next", 0x0, 0x0, b"a\x16\x7fb\x16\x03\x0a", b"a^\x08^?b^\x08^C\x0d\x0a", 5, &[b"a\x7fb\x03\x0a"]),
    ("reprint", 0x0, 0x0, b"abc\x12d\x0a", b"abc^R\x0d\x0aabcd\x0d\x0a", 5, &[b"abcd\x0a"]),
    ("no echo", 0x0, 0x8, b"abc\x7fd\x0a", b"", 4, &[b"abd\x0a"]),
    ("echo of newline only", 0x40, 0x8, b"abc\x0a", b"\x0d\x0a", 4, &[b"abc\x0a"]),
    ("ECHOPRT", 0x400, 0x0, b"abc\x7f\x7fd\x0a", b"abc\x5ccb/d\x0d\x0a", 3, &[b"ad\x0a"]),
    ("erase without ECHOE", 0x0, 0x10, b"abc\x7fd\x0a", b"abc^?d\x0d\x0a", 4, &[b"abd\x0a"]),
    ("no ECHOCTL", 0x0, 0x200, b"a\x01\x7fb\x0a", b"a\x01b\x0d\x0a", 3, &[b"ab\x0a"]),
    ("zero byte", 0x0, 0x0, b"a\x00b\x0a", b"a^@b\x0d\x0a", 4, &[b"a\x00b\x0a"]),
    ("two lines", 0x0, 0x0, b"a\x0ab\x0a", b"a\x0d\x0ab\x0d\x0a", 4, &[b"a\x0a", b"b\x0a"]),
    ("unfinished", 0x0, 0x0, b"abc", b"abc", 0, &[]),
    ("control keys echoed", 0x0, 0x0, b"\x1b[A\x02\x0a", b"^[[A^B\x0d\x0a", 5, &[b"\x1b[A\x02\x0a"]),
    ("noncanonical", 0x0, 0x2, b"ab\x7f\x04\x0dc\x0a", b"ab^?^D\x0d\x0ac^J", 7, &[b"ab\x7f\x04\x0ac\x0a"]),
    ("no extensions", 0x0, 0x8000, b"ab\x17\x16\x12\x0a", b"ab^W^V^R\x0d\x0a", 6, &[b"ab\x17\x16\x12\x0a"]),
    ("high bytes", 0x0, 0x0, b"\xc3\xa9x\x7f\x7f\x0a", b"\xc3\xa9x\x08 \x08\x08 \x08\x0d\x0a", 2, &[b"\xc3\x0a"]),
];

fn press(discipline: &mut LineDiscipline, keys: &[u8]) -> Effects {
    let mut effects = Effects::default();
    for key in keys {
        if discipline.room() > 0 {
            discipline.receive(*key, &mut effects);
        }
    }
    effects
}

fn with_flags(on: u32, off: u32) -> LineDiscipline {
    let mut discipline = LineDiscipline::default();
    let mut termios = *discipline.termios();
    termios.lflag = (termios.lflag | on) & !off;
    discipline.set_termios(termios);
    discipline
}

#[test]
fn same_as_a_pty_of_linux() {
    for (name, on, off, keys, echo, available, reads) in CASES {
        let mut discipline = with_flags(*on, *off);
        let effects = press(&mut discipline, keys);
        assert_eq!(effects.echo, *echo, "echo of {name}");
        assert_eq!(discipline.available(), *available, "FIONREAD of {name}");
        let taken: Vec<_> = core::iter::from_fn(|| discipline.take(8)).collect();
        assert_eq!(taken, *reads, "reads of {name}");
    }
}

#[test]
fn an_overlong_line_loses_its_middle() {
    let mut discipline = with_flags(0, raw::ECHO);
    press(&mut discipline, &[b'x'; 5000]);
    press(&mut discipline, b"\n");
    let line = discipline.take(10_000).unwrap();
    assert_eq!(line.len(), 4096);
    assert_eq!(&line[4093..], b"xx\n");
}

#[test]
fn leaving_and_entering_canonical_mode_keeps_input() {
    let mut discipline = with_flags(0, 0);
    let canonical = *discipline.termios();
    press(&mut discipline, b"abc");
    assert_eq!(discipline.take(2), None);
    discipline.set_termios(Termios { lflag: canonical.lflag & !raw::ICANON, ..canonical });
    assert_eq!(discipline.take(2).unwrap(), b"ab");
    press(&mut discipline, b"de");
    discipline.set_termios(canonical);
    assert_eq!(discipline.take(10).unwrap(), b"cde");
}

#[test]
fn signal_keys_flush_and_signal() {
    let mut discipline = with_flags(0, 0);
    let effects = press(&mut discipline, b"abc\x03");
    assert_eq!(effects.keys, [Key::Interrupt]);
    assert_eq!(effects.echo, b"^C");
    assert!(effects.flush_output);
    assert_eq!(discipline.take(10), None);
    press(&mut discipline, b"x\n");
    assert_eq!(discipline.take(10).unwrap(), b"x\n");

    let mut discipline = with_flags(raw::NOFLSH, 0);
    let effects = press(&mut discipline, b"ab\x1a\x1cc\n");
    assert_eq!(effects.keys, [Key::Suspend, Key::Quit]);
    assert_eq!(discipline.take(10).unwrap(), b"abc\n");

    let mut discipline = with_flags(0, raw::ISIG);
    assert_eq!(press(&mut discipline, b"\x03\n").keys, []);
    assert_eq!(discipline.take(10).unwrap(), b"\x03\n");
}

#[test]
fn stop_and_start_keys() {
    let mut discipline = with_flags(0, 0);
    press(&mut discipline, b"\x13");
    assert!(discipline.stopped());
    press(&mut discipline, b"\x11");
    assert!(!discipline.stopped());
    discipline.set_stopped(true);
    press(&mut discipline, b"\x11");
    assert!(discipline.stopped(), "TCOOFF is undone by TCOON only");
}

#[test]
fn vmin_and_vtime() {
    let mut discipline = with_flags(0, raw::ICANON);
    let mut termios = *discipline.termios();
    for (minimum, time, expected) in [
        (1, 0, RawRead { minimum: 1, first_wait: None, between: None }),
        (3, 2, RawRead { minimum: 3, first_wait: None, between: Some(2) }),
        (0, 0, RawRead { minimum: 1, first_wait: Some(0), between: None }),
        (0, 5, RawRead { minimum: 1, first_wait: Some(5), between: None }),
    ] {
        termios.cc[raw::VMIN as usize] = minimum;
        termios.cc[raw::VTIME as usize] = time;
        discipline.set_termios(termios);
        assert_eq!(discipline.raw_read(), Some(expected));
    }
    termios.cc[raw::VMIN as usize] = 3;
    termios.cc[raw::VTIME as usize] = 0;
    discipline.set_termios(termios);
    press(&mut discipline, b"ab");
    assert!(!discipline.poll_readable());
    press(&mut discipline, b"c");
    assert!(discipline.poll_readable());
}

#[test]
fn bytes_given_back_are_read_again() {
    let mut discipline = with_flags(0, 0);
    press(&mut discipline, b"ab\ncd\n");
    let line = discipline.take(10).unwrap();
    discipline.give_back(&line);
    assert_eq!(discipline.take(10).unwrap(), b"ab\n");
    assert_eq!(discipline.take(10).unwrap(), b"cd\n");
}

proptest! {
    #[test]
    fn never_panics_and_stays_bounded(
        steps in proptest::collection::vec((any::<u32>(), any::<u32>(), any::<Vec<u8>>(), 0usize..5000), 1..20)
    ) {
        let mut discipline = LineDiscipline::default();
        for (iflag, lflag, keys, limit) in steps {
            let termios = Termios { iflag, lflag, ..*discipline.termios() };
            discipline.set_termios(termios);
            press(&mut discipline, &keys);
            prop_assert!(discipline.available() <= INPUT_SIZE);
            if let Some(bytes) = discipline.take(limit) {
                prop_assert!(bytes.len() <= limit);
            }
        }
    }
}
