//! From a path, arguments and an environment to a process about to run.

use super::image::{self, ProgramFile};
use super::{ExecError, shown, vdso};
use crate::calls::rseq;
use crate::credentials::Credentials;
use crate::limits::{Limits, Resource};
use crate::mm::{
    AddressSpace, Backing, Layout, MapRequest, PAGE, Placement, Prot, Randomness, USER_END, VmFlags,
    page_down,
};
use crate::signal;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::Errno;
use husk_elf_loader::stack::{AuxEntry, StackContents};
use husk_elf_loader::{ElfError, Kind, Plan, script};
use husk_fs::{Location, MountFlags, WalkContext, mode};
use husk_machine::user::{UserContext, hwcap, hwcap2};

/// Scripts whose interpreters are scripts, at most (Linux's rule in `exec_binprm`).
const MAX_SCRIPTS: usize = 5;

/// What Linux makes the first mapping of a stack larger than its contents by.
const STACK_EXPAND: u64 = 128 << 10;

/// What is to be started.
pub(crate) struct ProgramStart<'a> {
    /// Path of the file.
    pub(crate) path: &'a [u8],
    /// Arguments.
    pub(crate) argv: Vec<&'a [u8]>,
    /// Environment.
    pub(crate) envp: Vec<&'a [u8]>,
    /// Where paths start, and whose permissions count.
    pub(crate) walk: &'a WalkContext,
    /// Whose the program is.
    pub(crate) credentials: Credentials,
    /// Limits.
    pub(crate) limits: &'a Limits,
}

/// A program in memory.
pub(crate) struct Start {
    /// Its memory.
    pub(crate) mm: Arc<AddressSpace>,
    /// Its first registers.
    pub(crate) context: UserContext,
    /// Its file.
    pub(crate) exe: Location,
    /// Its credentials, with what set-id bits have changed.
    pub(crate) credentials: Credentials,
    /// Its name: the last part of the path.
    pub(crate) comm: Vec<u8>,
}

struct Loaded {
    plan: Plan,
    bias: u64,
}

impl Loaded {
    fn entry(&self) -> u64 {
        self.plan.entry.wrapping_add(self.bias)
    }
}

/// Makes an address space with a program in it.
///
/// # Errors
/// With a message that says what is wrong with which file.
pub(crate) fn start(program: ProgramStart<'_>) -> Result<Start, ExecError> {
    let ProgramStart { path, argv, envp, walk, mut credentials, limits } = program;
    let Found { file, path: file_path, argv } = through_scripts(walk, path, argv)?;
    let plan = file.plan(&file_path, ElfError::errno)?;
    let interpreter = match file.interpreter(&file_path, &plan)? {
        None => None,
        Some(name) => {
            let loader = ProgramFile::open(walk, &name).map_err(|error| {
                ExecError::new(
                    error,
                    format!("{}: its interpreter {}: {}", shown(&file_path), shown(&name), error.message()),
                )
            })?;
            let plan = loader.plan(&name, ElfError::interpreter_errno)?;
            Some((loader, plan))
        }
    };
    let secure = gain_privileges(&mut credentials, &file.location);

    let no_memory = |error: Errno| {
        ExecError::new(error, format!("{}: cannot be mapped: {}", shown(&file_path), error.message()))
    };
    let random = Randomness::draw();
    let stack_limit = limits.get(Resource::STACK).soft;
    let layout = Layout::new(&random, stack_limit);
    let stack_top = layout.stack_top;
    let mm = AddressSpace::new(limits, layout).map_err(|_| no_memory(Errno::ENOMEM))?;

    let dynamic = interpreter.is_some();
    let bias = match (plan.kind, dynamic) {
        (Kind::Fixed, _) => 0,
        (Kind::PositionIndependent, true) => {
            image::aligned_bias(Layout::pie_base(&random, plan.align), &plan)
        }
        (Kind::PositionIndependent, false) => image::bias_among_mappings(&mm, &plan).map_err(no_memory)?,
    };
    image::map(&mm, &file, &plan, bias).map_err(no_memory)?;
    let among_mappings = plan.kind == Kind::PositionIndependent && !dynamic;
    mm.set_heap_start(Layout::heap_start(&random, plan.brk.wrapping_add(bias), among_mappings));
    let program = Loaded { plan, bias };
    let loader = match interpreter {
        None => None,
        Some((file, plan)) => {
            let bias = image::bias_among_mappings(&mm, &plan).map_err(no_memory)?;
            image::map(&mm, &file, &plan, bias).map_err(no_memory)?;
            Some(Loaded { plan, bias })
        }
    };

    let vdso = vdso::map(&mm).map_err(no_memory)?;

    let mut random_bytes = [0; 16];
    husk_machine::random::fill(&mut random_bytes);
    let auxv = auxiliary_vector(&program, loader.as_ref(), vdso, &credentials, secure);
    let contents = StackContents {
        argv: &argv_slices(&argv),
        envp: &envp,
        execfn: path,
        random: random_bytes,
        auxv: &auxv,
    };
    let stack = husk_elf_loader::stack::build(&contents, stack_top, stack_limit)
        .map_err(|error| ExecError::new(image::errno_of(error.errno()), format!("{error}")))?;
    map_stack(&mm, &program.plan, stack.sp, stack_top, stack_limit).map_err(no_memory)?;
    mm.write_foreign(stack.sp, &stack.bytes).map_err(no_memory)?;
    mm.update_layout(|layout| {
        let moved =
            |range: core::ops::Range<u64>| range.start.wrapping_add(bias)..range.end.wrapping_add(bias);
        layout.stack_start = stack.sp;
        layout.code = moved(program.plan.code());
        layout.data = moved(program.plan.data());
        layout.args = stack.args;
        layout.env = stack.env;
        layout.auxv = stack.auxv;
    });

    let mut context = UserContext::new().map_err(|_| no_memory(Errno::ENOMEM))?;
    context.regs.rip = loader.as_ref().map_or_else(|| program.entry(), Loaded::entry);
    context.regs.rsp = stack.sp;
    let comm = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path).to_vec();
    Ok(Start { mm: Arc::new(mm), context, exe: file.location, credentials, comm })
}

/// The program behind any scripts, and the arguments they have made.
struct Found {
    file: ProgramFile,
    path: Vec<u8>,
    argv: Vec<Vec<u8>>,
}

/// Opens the file, or the program that runs it if it is a script, whose arguments then come first.
fn through_scripts(walk: &WalkContext, path: &[u8], argv: Vec<&[u8]>) -> Result<Found, ExecError> {
    let mut argv: Vec<Vec<u8>> = argv.into_iter().map(<[u8]>::to_vec).collect();
    let mut current = path.to_vec();
    let mut script: Option<Vec<u8>> = None;
    for _ in 0..=MAX_SCRIPTS {
        let file = ProgramFile::open(walk, &current).map_err(|error| match &script {
            None => ExecError::new(error, format!("{}: {}", shown(&current), error.message())),
            Some(script) => ExecError::new(
                error,
                format!("{}: its interpreter {}: {}", shown(script), shown(&current), error.message()),
            ),
        })?;
        let line = match script::parse(&file.head) {
            None => return Ok(Found { file, path: current, argv }),
            Some(Err(error)) => {
                return Err(ExecError::new(Errno::ENOEXEC.here(), format!("{}: {error}", shown(&current))));
            }
            Some(Ok(line)) => line,
        };
        let mut words = Vec::from([line.interpreter.to_vec()]);
        words.extend(line.argument.map(<[u8]>::to_vec));
        words.push(current.clone());
        // The script's path takes the place of its argv[0].
        words.extend(argv.drain(..).skip(1));
        argv = words;
        script = Some(core::mem::replace(&mut current, line.interpreter.to_vec()));
    }
    Err(ExecError::new(
        Errno::ELOOP.here(),
        format!("{}: scripts that run scripts, more than 5 deep", shown(path)),
    ))
}

fn argv_slices(argv: &[Vec<u8>]) -> Vec<&[u8]> {
    argv.iter().map(Vec::as_slice).collect()
}

/// Set-id bits; says whether they changed anything.
fn gain_privileges(credentials: &mut Credentials, file: &Location) -> bool {
    let metadata = file.inode().metadata();
    if file.mount().flags().contains(MountFlags::NOSUID) {
        return false;
    }
    let before = (credentials.uid.effective, credentials.gid.effective);
    if metadata.mode & mode::S_ISUID != 0 {
        credentials.uid.effective = metadata.uid;
        if metadata.uid == 0 {
            credentials.permitted = credentials.bounding;
            credentials.effective = credentials.bounding;
        }
    }
    // Without the group's execute bit the set-group-id bit means mandatory locking.
    if metadata.mode & (mode::S_ISGID | mode::S_IXGRP) == mode::S_ISGID | mode::S_IXGRP {
        credentials.gid.effective = metadata.gid;
    }
    credentials.uid.saved = credentials.uid.effective;
    credentials.uid.fs = credentials.uid.effective;
    credentials.gid.saved = credentials.gid.effective;
    credentials.gid.fs = credentials.gid.effective;
    before != (credentials.uid.effective, credentials.gid.effective)
}

fn auxiliary_vector(
    program: &Loaded,
    loader: Option<&Loaded>,
    vdso: u64,
    credentials: &Credentials,
    secure: bool,
) -> Vec<AuxEntry> {
    Vec::from([
        AuxEntry::SysinfoEhdr(vdso),
        AuxEntry::MinSigStackSize(signal::frame::max_size() as u64),
        AuxEntry::Hwcap(hwcap()),
        AuxEntry::PageSize(PAGE),
        AuxEntry::ClockTicks(100),
        AuxEntry::Phdr(program.plan.phdr_vaddr.wrapping_add(program.bias)),
        AuxEntry::PhdrSize(program.plan.phentsize.into()),
        AuxEntry::PhdrCount(program.plan.phnum.into()),
        AuxEntry::Base(loader.map_or(0, |loader| loader.bias)),
        AuxEntry::Flags(0),
        AuxEntry::Entry(program.entry()),
        AuxEntry::Uid(credentials.uid.real.into()),
        AuxEntry::Euid(credentials.uid.effective.into()),
        AuxEntry::Gid(credentials.gid.real.into()),
        AuxEntry::Egid(credentials.gid.effective.into()),
        AuxEntry::Secure(secure),
        AuxEntry::Hwcap2(hwcap2()),
        AuxEntry::RseqFeatureSize(rseq::FEATURE_SIZE.into()),
        AuxEntry::RseqAlign(rseq::ALIGN.into()),
    ])
}

fn map_stack(mm: &AddressSpace, plan: &Plan, sp: u64, top: u64, limit: u64) -> Result<(), Errno> {
    let used = top - page_down(sp);
    let size = (used + STACK_EXPAND).min(page_down(limit).max(used)).min(USER_END);
    let mut prot = Prot::READ | Prot::WRITE;
    prot.set(Prot::EXEC, plan.stack.exec);
    mm.map(MapRequest {
        placement: Placement::FixedNoReplace(top - size),
        len: size,
        prot,
        max: Prot::all(),
        flags: VmFlags::GROWSDOWN,
        backing: Backing::Anonymous,
        populate: false,
        privileged: false,
    })?;
    Ok(())
}
