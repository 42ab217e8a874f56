//! Builds the kernel (with its table of symbols) and the `husk` command that carries it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use goblin::elf::Elf;
use goblin::elf::program_header::PT_LOAD;

use crate::command::{cargo, check, target_dir};
use crate::setup;

/// The section that the kernel reserves for its symbols (kernel/machine/src/x86_64/symbols.rs).
const SYMBOLS_SECTION: &str = ".husk.symbols";

/// What a build made.
pub(crate) struct Built {
    /// The bootable kernel, symbols filled in, debugging information taken out.
    pub(crate) kernel: PathBuf,
    /// The `husk` command with that kernel inside.
    pub(crate) husk: PathBuf,
}

/// Builds both; quick when nothing changed.
pub(crate) fn build_all() -> Result<Built> {
    let kernel = build_kernel()?;
    let kernel = kernel.canonicalize()?;
    check(cargo().args(["build", "--quiet", "--release", "-p", "husk"]).env("HUSK_KERNEL", &kernel))?;
    let husk = target_dir().join("release/husk");
    let husk = husk.canonicalize().with_context(|| format!("{} was not built", husk.display()))?;
    Ok(Built { kernel, husk })
}

fn build_kernel() -> Result<PathBuf> {
    check(cargo().args([
        "build",
        "--quiet",
        "--profile",
        "kernel",
        "-p",
        "husk-kernel",
        "--target",
        setup::TARGET,
    ]))?;
    let built = target_dir().join(setup::TARGET).join("kernel/husk-kernel");
    let mut bytes = std::fs::read(&built).with_context(|| format!("{} was not built", built.display()))?;
    finish(&mut bytes).with_context(|| format!("cannot finish {}", built.display()))?;
    let finished = target_dir().join("husk-kernel");
    // Left alone when nothing changed, so that nothing built from it is built again.
    if std::fs::read(&finished).ok().as_deref() != Some(&bytes) {
        write_whole(&finished, &bytes)?;
    }
    Ok(finished)
}

/// Other runs may be reading the old file: replace it, never write into it.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("no parent folder")?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// Fills the symbol section and cuts off what is not loaded (section headers, debugging information).
fn finish(bytes: &mut Vec<u8>) -> Result<()> {
    let elf = Elf::parse(bytes).context("not an ELF file")?;
    let section = elf
        .section_headers
        .iter()
        .find(|section| elf.shdr_strtab.get_at(section.sh_name) == Some(SYMBOLS_SECTION))
        .with_context(|| format!("the kernel has no section {SYMBOLS_SECTION}"))?;
    let room = section.file_range().with_context(|| format!("{SYMBOLS_SECTION} has no bytes in the file"))?;
    let table = symbol_table(&elf, room.len())?;
    let loads = elf.program_headers.iter().filter(|segment| segment.p_type == PT_LOAD);
    let end = loads.map(|segment| segment.p_offset + segment.p_filesz).max().context("nothing to load")?;
    let end = usize::try_from(end)?;

    bytes[room.start..room.start + table.len()].copy_from_slice(&table);
    bytes.truncate(end);
    // ELF header: e_shoff, e_shnum and e_shstrndx no longer point at anything.
    bytes[0x28..0x30].fill(0);
    bytes[0x3c..0x40].fill(0);
    Ok(())
}

/// The kernel's functions, in the format that kernel/machine/src/x86_64/symbols.rs describes.
fn symbol_table(elf: &Elf, room: usize) -> Result<Vec<u8>> {
    const STT_FUNC: u8 = 2;
    let mut functions: Vec<(u64, &str)> = elf
        .syms
        .iter()
        .filter(|symbol| symbol.st_type() == STT_FUNC && symbol.st_value != 0)
        .filter_map(|symbol| Some((symbol.st_value, elf.strtab.get_at(symbol.st_name)?)))
        .collect();
    functions.sort_unstable();
    functions.dedup_by_key(|(address, _)| *address);
    if functions.is_empty() {
        bail!("the kernel has no symbols: it was stripped before this step");
    }
    let base = functions[0].0;
    let mut entries = Vec::new();
    let mut names = Vec::new();
    for (address, name) in &functions {
        entries.extend(u32::try_from(address - base)?.to_le_bytes());
        entries.extend(u32::try_from(names.len())?.to_le_bytes());
        names.extend(name.bytes());
        names.push(0);
    }
    let mut table = b"HUSKSYMS".to_vec();
    table.extend(base.to_le_bytes());
    table.extend(u32::try_from(functions.len())?.to_le_bytes());
    table.extend(u32::try_from(names.len())?.to_le_bytes());
    table.extend(entries);
    table.extend(names);
    ensure!(
        table.len() <= room,
        "{} symbols take {} bytes, but {SYMBOLS_SECTION} has room for {room}: enlarge it in kernel/machine",
        functions.len(),
        table.len()
    );
    Ok(table)
}
