//! The terminal line discipline N_TTY: keys become lines, echo and signals.
//!
//! A pure state machine, so that it can be tested against a pty of a Linux host: bytes go in by
//! [`LineDiscipline::receive`]; what is to be shown and which signals are to be sent come out.
//! Behaviour: termios(3), "Canonical and noncanonical mode".

use super::output::{self, Column, is_continuation};
use super::termios::{DISABLED, Termios};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use linux_raw_sys::general as raw;

/// Most bytes of input that wait to be read; one place is always left for the end of a line.
pub(crate) const INPUT_SIZE: usize = 4096;

/// What a key asked for besides being input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// VINTR: SIGINT to the foreground process group.
    Interrupt,
    /// VQUIT: SIGQUIT.
    Quit,
    /// VSUSP: SIGTSTP.
    Suspend,
}

/// What came of some input.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// Bytes to show, already through output processing.
    pub(crate) echo: Vec<u8>,
    /// Signals to send, in order.
    pub(crate) keys: Vec<Key>,
    /// Output that was waiting is to be thrown away (a signal key without NOFLSH).
    pub(crate) flush_output: bool,
}

/// One place of the input buffer.
#[derive(Clone, Copy, Debug)]
struct Cell {
    byte: u8,
    /// It ends a line; with the byte [`DISABLED`] it is an end-of-file mark and not itself read.
    ends_line: bool,
}

/// State of one terminal's line discipline.
#[derive(Debug, Default)]
pub(crate) struct LineDiscipline {
    termios: Termios,
    input: VecDeque<Cell>,
    /// How many cells at the front belong to finished lines (canonical mode).
    finished: usize,
    column: Column,
    /// The next byte is taken literally (VLNEXT).
    literal_next: bool,
    /// In the middle of showing erased characters between `\` and `/` (ECHOPRT).
    erasing: bool,
    /// Output is stopped (VSTOP or TCOOFF).
    stopped: bool,
    /// Stopped by TCOOFF: keys do not restart it.
    stopped_by_call: bool,
}

/// How many bytes a read may take, and when it is satisfied: from VMIN and VTIME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawRead {
    /// Return once so many bytes have been read.
    pub(crate) minimum: usize,
    /// Wait so long for the first byte (`None`: for ever), in tenths of a second.
    pub(crate) first_wait: Option<u8>,
    /// Wait so long after each byte (`None`: for ever).
    pub(crate) between: Option<u8>,
}

impl LineDiscipline {
    /// The settings.
    pub(crate) fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Changes the settings (TCSETS). Returns whether output that was stopped goes on.
    pub(crate) fn set_termios(&mut self, new: Termios) -> bool {
        let changed = self.termios.lflag ^ new.lflag;
        self.termios = new;
        if changed & raw::ICANON != 0 {
            for cell in &mut self.input {
                cell.ends_line = false;
            }
            self.finished = 0;
            if self.canonical()
                && let Some(last) = self.input.back_mut()
            {
                last.ends_line = true;
                self.finished = self.input.len();
            }
            self.erasing = false;
            self.literal_next = false;
        }
        !self.termios.input(raw::IXON) && !self.stopped_by_call && core::mem::take(&mut self.stopped)
    }

    /// Whether input is edited and read line by line.
    fn canonical(&self) -> bool {
        self.termios.local(raw::ICANON)
    }

    /// Whether output is stopped.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    /// TCXONC with TCOOFF (true) or TCOON (false).
    pub(crate) fn set_stopped(&mut self, stopped: bool) {
        self.stopped = stopped;
        self.stopped_by_call = stopped;
    }

    /// How many bytes of input can be taken now. Bytes that do not fit in a line are taken and lost, as on Linux, as long
    /// as no finished line could be read to make room.
    pub(crate) fn room(&self) -> usize {
        let mut room = INPUT_SIZE - self.input.len().min(INPUT_SIZE);
        if self.termios.input(raw::PARMRK) {
            room = room.div_ceil(3);
        }
        match room.saturating_sub(1) {
            0 if self.canonical() && self.finished == 0 => 1,
            room => room,
        }
    }

    /// Takes one byte as a key was pressed. Call it only while [`room`](Self::room) is not 0.
    pub(crate) fn receive(&mut self, byte: u8, effects: &mut Effects) {
        if self.input.len() >= INPUT_SIZE {
            self.input.pop_back();
        }
        let mut byte = byte;
        if self.termios.input(raw::ISTRIP) {
            byte &= 0x7f;
        }
        if self.termios.input(raw::IUCLC) && self.termios.local(raw::IEXTEN) {
            byte = byte.to_ascii_lowercase();
        }
        if core::mem::take(&mut self.literal_next) {
            self.ordinary(byte, false, effects);
        } else {
            self.key(byte, effects);
        }
    }

    fn key(&mut self, byte: u8, effects: &mut Effects) {
        let t = self.termios;
        if t.input(raw::IXON) {
            if t.is_control(raw::VSTART, byte) {
                self.start();
                return;
            }
            if t.is_control(raw::VSTOP, byte) {
                self.stopped = true;
                return;
            }
        }
        if t.local(raw::ISIG) {
            for (index, key) in
                [(raw::VINTR, Key::Interrupt), (raw::VQUIT, Key::Quit), (raw::VSUSP, Key::Suspend)]
            {
                if t.is_control(index, byte) {
                    self.signal_key(key, byte, effects);
                    return;
                }
            }
        }
        if t.input(raw::IXON) && t.input(raw::IXANY) {
            self.start();
        }
        let mut byte = byte;
        let mut is_newline = false;
        if byte == b'\r' {
            if t.input(raw::IGNCR) {
                return;
            }
            if t.input(raw::ICRNL) {
                byte = b'\n';
                is_newline = true;
            }
        } else if byte == b'\n' && t.input(raw::INLCR) {
            byte = b'\r';
        }
        if self.canonical() && self.edit(byte, effects) {
            return;
        }
        self.ordinary(byte, is_newline, effects);
    }

    fn start(&mut self) {
        if !self.stopped_by_call {
            self.stopped = false;
        }
    }

    fn signal_key(&mut self, key: Key, byte: u8, effects: &mut Effects) {
        effects.keys.push(key);
        if !self.termios.local(raw::NOFLSH) {
            effects.flush_output = true;
            effects.echo.clear();
            self.flush_input();
        }
        if self.termios.input(raw::IXON) {
            self.start();
        }
        if self.termios.local(raw::ECHO) {
            self.echo(byte, effects);
        }
    }

    /// Editing keys of canonical mode. Returns false if the byte is ordinary.
    fn edit(&mut self, byte: u8, effects: &mut Effects) -> bool {
        let t = self.termios;
        let extended = t.local(raw::IEXTEN);
        if t.is_control(raw::VERASE, byte) {
            self.erase(Erase::Character, effects);
        } else if t.is_control(raw::VKILL, byte) {
            self.erase(Erase::Line, effects);
        } else if extended && t.is_control(raw::VWERASE, byte) {
            self.erase(Erase::Word, effects);
        } else if extended && t.is_control(raw::VLNEXT, byte) {
            self.literal_next = true;
            if t.local(raw::ECHO) {
                self.finish_erasing(effects);
                if t.local(raw::ECHOCTL) {
                    self.show(b'^', effects);
                    self.show(0x08, effects);
                }
            }
        } else if extended && t.local(raw::ECHO) && t.is_control(raw::VREPRINT, byte) {
            self.finish_erasing(effects);
            self.echo(byte, effects);
            self.show(b'\n', effects);
            for index in self.finished..self.input.len() {
                self.echo(self.input[index].byte, effects);
            }
        } else if byte == b'\n' {
            if t.local(raw::ECHO | raw::ECHONL) {
                self.show(b'\n', effects);
            }
            self.end_line(byte);
        } else if t.is_control(raw::VEOF, byte) {
            self.end_line(DISABLED);
        } else if t.is_control(raw::VEOL, byte) || (extended && t.is_control(raw::VEOL2, byte)) {
            if t.local(raw::ECHO) {
                self.note_line_start();
                self.echo(byte, effects);
            }
            if byte == 0xff && t.input(raw::PARMRK) {
                self.store(byte);
            }
            self.end_line(byte);
        } else {
            return false;
        }
        true
    }

    /// `is_newline`: a return key that became a newline; a newline that came as such shows as `^J` here.
    fn ordinary(&mut self, byte: u8, is_newline: bool, effects: &mut Effects) {
        if self.termios.local(raw::ECHO) {
            self.finish_erasing(effects);
            if is_newline {
                self.show(b'\n', effects);
            } else {
                self.note_line_start();
                self.echo(byte, effects);
            }
        }
        if byte == 0xff && self.termios.input(raw::PARMRK) {
            self.store(byte);
        }
        self.store(byte);
    }

    fn store(&mut self, byte: u8) {
        if self.input.len() < INPUT_SIZE {
            self.input.push_back(Cell { byte, ends_line: false });
        }
    }

    fn end_line(&mut self, byte: u8) {
        if self.input.len() >= INPUT_SIZE {
            self.input.pop_back();
        }
        self.input.push_back(Cell { byte, ends_line: true });
        self.finished = self.input.len();
    }

    /// Shows a byte as it is, through output processing.
    fn show(&mut self, byte: u8, effects: &mut Effects) {
        output::put(&self.termios, &mut self.column, byte, &mut effects.echo);
    }

    /// Echoes a byte of input: control characters as `^X` if ECHOCTL.
    fn echo(&mut self, byte: u8, effects: &mut Effects) {
        if self.termios.local(raw::ECHOCTL) && byte.is_ascii_control() && byte != b'\t' {
            effects.echo.extend_from_slice(&[b'^', byte ^ 0x40]);
            self.column.now += 2;
        } else {
            self.show(byte, effects);
        }
    }

    fn note_line_start(&mut self) {
        if self.finished == self.input.len() {
            self.column.line_start = self.column.now;
        }
    }

    fn finish_erasing(&mut self, effects: &mut Effects) {
        if core::mem::take(&mut self.erasing) {
            self.show(b'/', effects);
        }
    }

    fn erase(&mut self, what: Erase, effects: &mut Effects) {
        let t = self.termios;
        if self.input.len() == self.finished {
            return;
        }
        if what == Erase::Line
            && !(t.local(raw::ECHO) && t.local(raw::ECHOK) && t.local(raw::ECHOKE) && t.local(raw::ECHOE))
        {
            self.input.truncate(self.finished);
            if t.local(raw::ECHO) {
                self.finish_erasing(effects);
                self.echo(t.control(raw::VKILL), effects);
                if t.local(raw::ECHOK) {
                    self.show(b'\n', effects);
                }
            }
            return;
        }
        let mut seen_word = false;
        while self.input.len() > self.finished {
            let mut head = self.input.len() - 1;
            while is_continuation(&t, self.input[head].byte) && head > self.finished {
                head -= 1;
            }
            let byte = self.input[head].byte;
            if is_continuation(&t, byte) {
                break;
            }
            if what == Erase::Word {
                if byte.is_ascii_alphanumeric() || byte == b'_' || is_latin1_letter(byte) {
                    seen_word = true;
                } else if seen_word {
                    break;
                }
            }
            let rest: Vec<u8> = self.input.drain(head..).skip(1).map(|cell| cell.byte).collect();
            if t.local(raw::ECHO) {
                self.show_erased(what, byte, &rest, effects);
            }
            if what == Erase::Character {
                break;
            }
        }
        if self.input.len() == self.finished && t.local(raw::ECHO) {
            self.finish_erasing(effects);
        }
    }

    fn show_erased(&mut self, what: Erase, byte: u8, continuation: &[u8], effects: &mut Effects) {
        let t = self.termios;
        if t.local(raw::ECHOPRT) {
            if !self.erasing {
                self.show(b'\\', effects);
                self.erasing = true;
            }
            self.echo(byte, effects);
            for byte in continuation {
                self.show(*byte, effects);
                self.column.now = self.column.now.saturating_sub(1);
            }
        } else if what == Erase::Character && !t.local(raw::ECHOE) {
            self.echo(t.control(raw::VERASE), effects);
        } else if byte == b'\t' {
            self.show_erased_tab(effects);
        } else {
            if byte.is_ascii_control() && t.local(raw::ECHOCTL) {
                effects.echo.extend_from_slice(b"\x08 \x08");
                self.column.now = self.column.now.saturating_sub(1);
            }
            if !byte.is_ascii_control() || t.local(raw::ECHOCTL) {
                effects.echo.extend_from_slice(b"\x08 \x08");
                self.column.now = self.column.now.saturating_sub(1);
            }
        }
    }

    /// Moves the cursor back over a tab: to where the text before it ends.
    fn show_erased_tab(&mut self, effects: &mut Effects) {
        let mut columns = 0;
        let mut after_tab = false;
        for cell in self.input.range(self.finished..).rev() {
            if cell.byte == b'\t' {
                after_tab = true;
                break;
            }
            if cell.byte.is_ascii_control() {
                columns += if self.termios.local(raw::ECHOCTL) { 2 } else { 0 };
            } else if !is_continuation(&self.termios, cell.byte) {
                columns += 1;
            }
        }
        if !after_tab {
            columns += self.column.line_start;
        }
        for _ in 0..8 - (columns & 7) {
            effects.echo.push(0x08);
            self.column.now = self.column.now.saturating_sub(1);
        }
    }

    /// Throws away all input (TCFLSH, signal keys).
    pub(crate) fn flush_input(&mut self) {
        self.input.clear();
        self.finished = 0;
        self.erasing = false;
        self.literal_next = false;
    }

    /// Processes bytes that a program writes.
    pub(crate) fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            output::put(&self.termios, &mut self.column, *byte, out);
        }
    }

    /// How many bytes FIONREAD (TIOCINQ) reports.
    pub(crate) fn available(&self) -> usize {
        if self.canonical() {
            let marks =
                self.input.range(..self.finished).filter(|cell| cell.ends_line && cell.byte == DISABLED);
            self.finished - marks.count()
        } else {
            self.input.len()
        }
    }

    /// Whether poll(2) would say that input can be read.
    pub(crate) fn poll_readable(&self) -> bool {
        if self.canonical() {
            return self.finished > 0;
        }
        let minimum = match (self.termios.control(raw::VTIME), self.termios.control(raw::VMIN)) {
            (0, minimum @ 1..) => usize::from(minimum),
            _ => 1,
        };
        self.input.len() >= minimum
    }

    /// Whether a read would find something to take now (bytes, or an end-of-file mark).
    pub(crate) fn has_input(&self) -> bool {
        if self.canonical() { self.finished > 0 } else { !self.input.is_empty() }
    }

    /// How a read in noncanonical mode waits; `None` in canonical mode.
    pub(crate) fn raw_read(&self) -> Option<RawRead> {
        if self.canonical() {
            return None;
        }
        let time = self.termios.control(raw::VTIME);
        Some(match self.termios.control(raw::VMIN) {
            0 => RawRead { minimum: 1, first_wait: Some(time), between: None },
            minimum => RawRead {
                minimum: usize::from(minimum),
                first_wait: None,
                between: (time > 0).then_some(time),
            },
        })
    }

    /// Takes what one read of `limit` bytes gets: a line or part of one in canonical mode, else what there is. An
    /// end-of-file mark gives an empty answer. `None`: nothing to read yet.
    pub(crate) fn take(&mut self, limit: usize) -> Option<Vec<u8>> {
        if !self.has_input() {
            return None;
        }
        if !self.canonical() {
            let count = limit.min(self.input.len());
            return Some(self.input.drain(..count).map(|cell| cell.byte).collect());
        }
        let line = self.input.range(..self.finished).position(|cell| cell.ends_line);
        let (length, mark) = match line {
            Some(end) if self.input[end].byte == DISABLED => (end, true),
            Some(end) => (end + 1, false),
            None => (self.finished, false),
        };
        let count = length.min(limit);
        let bytes = self.input.drain(..count).map(|cell| cell.byte).collect();
        self.finished -= count;
        if mark && count == length {
            self.input.pop_front();
            self.finished -= 1;
        }
        Some(bytes)
    }

    /// Gives bytes back that a reader could not take (its buffer was not there): they are read again.
    pub(crate) fn give_back(&mut self, bytes: &[u8]) {
        let canonical = self.canonical();
        let ends = |byte: &u8| canonical && *byte == b'\n';
        for byte in bytes.iter().rev() {
            self.input.push_front(Cell { byte: *byte, ends_line: ends(byte) });
        }
        if canonical {
            self.finished += bytes.len();
        }
    }
}

/// What an erase key removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Erase {
    Character,
    Word,
    Line,
}

/// The kernel's `isalnum` counts the letters of Latin-1 too.
fn is_latin1_letter(byte: u8) -> bool {
    byte >= 0xc0 && byte != 0xd7 && byte != 0xf7
}

#[cfg(test)]
#[path = "line_discipline_tests.rs"]
mod tests;
