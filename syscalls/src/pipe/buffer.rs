//! The contents of a pipe: a queue of pages (pipe(7)).

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_fs::{Sink, Source};
use husk_machine::frame::{Frame, PAGE_SIZE};

/// Pages of a new pipe: 64 KiB.
pub(crate) const DEFAULT_PAGES: usize = 16;

/// Bytes of one page, in part read already.
struct Segment {
    frame: Frame,
    start: usize,
    end: usize,
    /// Written in packet mode (O_DIRECT): read alone, and what does not fit is lost.
    packet: bool,
}

/// A queue of bytes in pages. A write of at most a page lands in one page, whole or not at all: that makes writes of up
/// to PIPE_BUF bytes atomic.
pub(crate) struct PipeBuffer {
    segments: VecDeque<Segment>,
    pages: usize,
}

impl Default for PipeBuffer {
    fn default() -> Self {
        Self { segments: VecDeque::new(), pages: DEFAULT_PAGES }
    }
}

impl PipeBuffer {
    /// Capacity in bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.pages * PAGE_SIZE
    }

    /// Changes the capacity to a number of pages.
    ///
    /// # Errors
    /// EBUSY if more pages than that are in use.
    pub(crate) fn resize(&mut self, pages: usize) -> Result<(), Errno> {
        if pages < self.segments.len() {
            return err!(EBUSY);
        }
        self.pages = pages;
        Ok(())
    }

    /// Whether there is nothing to read.
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether there is no room for a page more.
    pub(crate) fn is_full(&self) -> bool {
        self.segments.len() >= self.pages
    }

    /// Bytes to read.
    pub(crate) fn len(&self) -> usize {
        self.segments.iter().map(|segment| segment.end - segment.start).sum()
    }

    /// Moves bytes out until the sink is full or nothing is left.
    ///
    /// # Errors
    /// EFAULT if what is in the first page could not be stored.
    pub(crate) fn read(&mut self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let mut done = 0;
        while sink.remaining() > 0 {
            let Some(segment) = self.segments.front_mut() else { break };
            let wanted = (segment.end - segment.start).min(sink.remaining());
            match sink.push_frame(&segment.frame, segment.start, wanted) {
                Ok(count) if count == wanted => {}
                // As on Linux, bytes that reached the program just before a bad address stay in the pipe.
                _ if done > 0 => break,
                Ok(_) => return err!(EFAULT),
                Err(error) => return Err(error),
            }
            done += wanted;
            segment.start += wanted;
            let packet = segment.packet;
            if segment.start == segment.end || packet {
                self.segments.pop_front();
            }
            if packet {
                break;
            }
        }
        Ok(done)
    }

    /// Copies of up to `limit` bytes from the front, which stay.
    pub(crate) fn peek(&self, limit: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for segment in &self.segments {
            let count = (segment.end - segment.start).min(limit - bytes.len());
            let start = bytes.len();
            bytes.resize(start + count, 0);
            segment.frame.read(segment.start, &mut bytes[start..]);
        }
        bytes
    }

    /// Puts bytes (at most a page) back to the front, even if there is no room for a page more.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn give_back(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let frame = Frame::alloc().map_err(|_| Errno::ENOMEM.here())?;
        frame.write(0, bytes);
        self.segments.push_front(Segment { frame, start: 0, end: bytes.len(), packet: false });
        Ok(())
    }

    /// Takes bytes in while there is room.
    ///
    /// # Errors
    /// EAGAIN if there is no room at all; EFAULT if the first page could not be read; ENOMEM.
    pub(crate) fn write(&mut self, source: &mut dyn Source, packets: bool) -> Result<usize, Errno> {
        let mut done = 0;
        let tail = source.remaining() % PAGE_SIZE;
        // Also in packet mode, if what is there was not written in it (pipe_write() in Linux).
        if tail > 0
            && let Some(last) = self.segments.back_mut()
            && !last.packet
            && last.end + tail <= PAGE_SIZE
            && last.frame.ref_count() == 1
        {
            if source.pull_to_frame(&last.frame, last.end, tail)? < tail {
                return err!(EFAULT);
            }
            last.end += tail;
            done = tail;
        }
        while source.remaining() > 0 {
            if self.is_full() {
                return if done > 0 { Ok(done) } else { err!(EAGAIN) };
            }
            match self.write_page(source, packets) {
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_page(&mut self, source: &mut dyn Source, packet: bool) -> Result<usize, Errno> {
        let frame = Frame::alloc().map_err(|_| Errno::ENOMEM.here())?;
        let wanted = source.remaining().min(PAGE_SIZE);
        if source.pull_to_frame(&frame, 0, wanted)? < wanted {
            return err!(EFAULT);
        }
        self.segments.push_back(Segment { frame, start: 0, end: wanted, packet });
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use husk_fs::io::{SliceSource, VecSink};
    use proptest::prelude::*;

    fn write(buffer: &mut PipeBuffer, bytes: &[u8]) -> Result<usize, Errno> {
        buffer.write(&mut SliceSource::new(bytes), false)
    }

    fn read(buffer: &mut PipeBuffer, limit: usize) -> Vec<u8> {
        let mut sink = VecSink::new(limit);
        buffer.read(&mut sink).unwrap();
        sink.into_bytes()
    }

    #[test]
    fn holds_64_kib_and_no_more() {
        let mut buffer = PipeBuffer::default();
        assert_eq!(write(&mut buffer, &[1; 70_000]), Ok(65_536));
        assert_eq!(write(&mut buffer, b"x"), Err(Errno::EAGAIN));
        assert_eq!(read(&mut buffer, 4096).len(), 4096);
        assert_eq!(write(&mut buffer, &[2; 4096]), Ok(4096));
        assert_eq!(buffer.len(), 65_536);
    }

    #[test]
    fn what_is_given_back_is_read_first() {
        let mut buffer = PipeBuffer::default();
        write(&mut buffer, b"abcdef").unwrap();
        assert_eq!(read(&mut buffer, 4), b"abcd");
        buffer.give_back(b"cd").unwrap();
        assert_eq!(buffer.len(), 4);
        assert_eq!(read(&mut buffer, 10), b"cdef");
    }

    #[test]
    fn small_writes_share_a_page() {
        let mut buffer = PipeBuffer::default();
        for _ in 0..65_536 {
            assert_eq!(write(&mut buffer, b"x"), Ok(1));
        }
        assert_eq!(write(&mut buffer, b"x"), Err(Errno::EAGAIN));
    }

    #[test]
    fn a_write_of_a_page_is_whole_or_not_at_all() {
        let mut buffer = PipeBuffer::default();
        // As on Linux, a write that does not fit in the rest of a page takes a page of its own.
        for _ in 0..16 {
            assert_eq!(write(&mut buffer, &[1; 3000]), Ok(3000));
        }
        assert_eq!(write(&mut buffer, &[1; 3000]), Err(Errno::EAGAIN));
        assert_eq!(write(&mut buffer, &[1; 1096]), Ok(1096));
    }

    #[test]
    fn packets_are_read_one_at_a_time() {
        let mut buffer = PipeBuffer::default();
        buffer.write(&mut SliceSource::new(b"one"), true).unwrap();
        buffer.write(&mut SliceSource::new(b"three"), true).unwrap();
        assert_eq!(read(&mut buffer, 2), b"on");
        assert_eq!(read(&mut buffer, 100), b"three");
        assert!(buffer.is_empty());
    }

    #[test]
    fn resizing() {
        let mut buffer = PipeBuffer::default();
        write(&mut buffer, &[0; 8192]).unwrap();
        assert_eq!(buffer.resize(1), Err(Errno::EBUSY));
        buffer.resize(2).unwrap();
        assert!(buffer.is_full());
        assert_eq!(buffer.capacity(), 8192);
    }

    proptest! {
        #[test]
        fn bytes_come_out_in_order(steps in proptest::collection::vec((any::<bool>(), 1usize..20_000), 1..60)) {
            let mut buffer = PipeBuffer::default();
            let (mut written, mut seen) = (0usize, 0usize);
            for (is_write, size) in steps {
                if is_write {
                    let bytes: Vec<u8> = (written..written + size).map(|value| value as u8).collect();
                    match write(&mut buffer, &bytes) {
                        Ok(count) => {
                            prop_assert!(size > PAGE_SIZE || count == size);
                            written += count;
                        }
                        Err(error) => prop_assert_eq!(error, Errno::EAGAIN),
                    }
                } else {
                    for byte in read(&mut buffer, size) {
                        prop_assert_eq!(byte, seen as u8);
                        seen += 1;
                    }
                }
                prop_assert_eq!(buffer.len(), written - seen);
                prop_assert!(buffer.len() <= buffer.capacity());
            }
        }
    }
}
