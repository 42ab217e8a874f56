//! Program files: finding, checking and mapping them.

use super::{ExecError, shown};
use crate::mm::{self, AddressSpace, Backing, MapRequest, Placement, Prot, VmFlags};
use alloc::format;
use alloc::vec::Vec;
use husk_abi::Errno;
use husk_elf_loader::{ElfError, FileRange, HEADER_SIZE, Kind, Plan, Protection, Segment};
use husk_fs::io::SliceSink;
use husk_fs::{Access, FileKind, Location, LookupFlags, MountFlags, WalkContext};

/// How much of a file's start is looked at (Linux's `BINPRM_BUF_SIZE`).
const HEAD_SIZE: usize = husk_elf_loader::script::LINE_LIMIT;

/// A file that is to be run.
pub(super) struct ProgramFile {
    pub(super) location: Location,
    /// Its first bytes.
    pub(super) head: Vec<u8>,
    size: u64,
}

impl ProgramFile {
    /// Finds a file, checks that it may be run, and reads its first bytes.
    pub(super) fn open(walk: &WalkContext, path: &[u8]) -> Result<Self, Errno> {
        let location = husk_fs::lookup(walk, None, path, LookupFlags::FOLLOW)?;
        let inode = location.inode();
        let metadata = inode.metadata();
        if inode.kind() != FileKind::Regular || location.mount().flags().contains(MountFlags::NOEXEC) {
            return Err(Errno::EACCES.here());
        }
        walk.credentials.check(&metadata, Access::EXEC)?;
        let mut file = Self { location, head: Vec::new(), size: metadata.size };
        file.head = file.read(0, HEAD_SIZE)?;
        Ok(file)
    }

    /// Reads up to `len` bytes.
    pub(super) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = alloc::vec![0; len];
        let mut done = 0;
        while done < len {
            let mut sink = SliceSink::new(&mut bytes[done..]);
            match self.location.inode().read_at(offset + done as u64, &mut sink)? {
                0 => break,
                count => done += count,
            }
        }
        bytes.truncate(done);
        Ok(bytes)
    }

    fn read_range(&self, range: FileRange) -> Result<Vec<u8>, Errno> {
        self.read(range.offset, range.len)
    }

    /// Reads and checks the ELF headers. `errno` says what a bad one is in this role.
    pub(super) fn plan(&self, path: &[u8], errno: fn(&ElfError) -> u16) -> Result<Plan, ExecError> {
        let bad =
            |error: ElfError| ExecError::new(errno_of(errno(&error)), format!("{}: {error}", shown(path)));
        let head = self.head.get(..HEADER_SIZE).unwrap_or(&self.head);
        let table = husk_elf_loader::program_headers_at(head, self.size).map_err(bad)?;
        let bytes = self.read_range(table).map_err(|error| unreadable(path, error))?;
        husk_elf_loader::parse(head, &bytes, self.size).map_err(bad)
    }

    /// The path in PT_INTERP.
    pub(super) fn interpreter(&self, path: &[u8], plan: &Plan) -> Result<Option<Vec<u8>>, ExecError> {
        let Some(range) = plan.interpreter else { return Ok(None) };
        let bytes = self.read_range(range).map_err(|error| unreadable(path, error))?;
        let interpreter = husk_elf_loader::interpreter_path(&bytes)
            .map_err(|error| ExecError::new(errno_of(error.errno()), format!("{}: {error}", shown(path))))?;
        Ok(Some(interpreter.to_vec()))
    }
}

/// An error number that another layer gives as a number.
pub(super) fn errno_of(code: u16) -> Errno {
    use husk_abi::Errno as E;
    let known = [E::ENOEXEC, E::EINVAL, E::EIO, E::ELIBBAD, E::E2BIG];
    known.into_iter().find(|errno| errno.code() == code).unwrap_or(E::ENOEXEC)
}

pub(super) fn unreadable(path: &[u8], error: Errno) -> ExecError {
    ExecError::new(error, format!("{}: cannot be read: {}", shown(path), error.message()))
}

/// Maps a program or an interpreter with its addresses moved by `bias`.
pub(super) fn map(mm: &AddressSpace, file: &ProgramFile, plan: &Plan, bias: u64) -> Result<(), Errno> {
    plan.segments.iter().try_for_each(|segment| map_segment(mm, file, segment, bias))
}

fn map_segment(mm: &AddressSpace, file: &ProgramFile, segment: &Segment, bias: u64) -> Result<(), Errno> {
    let prot = protection(segment.prot);
    let request = |start: u64, len, backing| MapRequest {
        placement: Placement::Fixed(start.wrapping_add(bias)),
        len,
        prot,
        max: Prot::all(),
        flags: VmFlags::empty(),
        backing,
        populate: false,
        privileged: false,
    };
    if segment.map_len > 0 {
        let inode = file.location.inode().clone();
        let backing = Backing::file(inode, Some(file.location.clone()), segment.map_file_offset);
        mm.map(request(segment.map_start, segment.map_len, backing))?;
        if !segment.zero.is_empty() {
            let zeros = alloc::vec![0; (segment.zero.end - segment.zero.start) as usize];
            let zeroed = mm.write_foreign(segment.zero.start.wrapping_add(bias), &zeros);
            // As on Linux, .bss in a segment that cannot be written is the file's problem.
            if prot.contains(Prot::WRITE) {
                zeroed?;
            }
        }
    }
    if !segment.anonymous.is_empty() {
        let len = segment.anonymous.end - segment.anonymous.start;
        mm.map(request(segment.anonymous.start, len, Backing::Anonymous))?;
    }
    Ok(())
}

fn protection(prot: Protection) -> Prot {
    let names =
        [(Protection::READ, Prot::READ), (Protection::WRITE, Prot::WRITE), (Protection::EXEC, Prot::EXEC)];
    names.into_iter().filter(|(from, _)| prot.contains(*from)).map(|(_, to)| to).collect()
}

/// Where to move a program among the mappings: a free place for all of it.
pub(super) fn bias_among_mappings(mm: &AddressSpace, plan: &Plan) -> Result<u64, Errno> {
    if plan.kind == Kind::Fixed {
        return Ok(0);
    }
    let len = plan.load_range.end - plan.load_range.start;
    let room = len.checked_add(plan.align - mm::PAGE).ok_or(Errno::ENOMEM.here())?;
    let place = mm.place_for(room).ok_or(Errno::ENOMEM.here())?;
    Ok(aligned_bias(place + (plan.align - mm::PAGE), plan))
}

/// The bias that puts a program's lowest page at or just below `base`, aligned as it wants.
pub(super) fn aligned_bias(base: u64, plan: &Plan) -> u64 {
    (base & !(plan.align - 1)).wrapping_sub(plan.load_range.start & !(plan.align - 1))
}
