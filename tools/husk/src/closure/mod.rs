//! What a program needs besides itself: its loader and all shared libraries, found as the guest's loader will find
//! them. The program is never run, nor is ldd(1), which would run it.

mod ld_so_cache;
mod ld_so_conf;
mod search;

pub use ld_so_cache::encode as ld_so_cache;
pub use search::SearchPaths;

use crate::bundle::{Bundle, Located};
use crate::error::failure;
use anyhow::{Context, Result};
use husk_elf_loader::dynamic::{self, Dynamic, DynamicError};
use husk_elf_loader::{ElfError, script};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Interpreters of interpreters that Linux follows (`BINPRM_MAX_RECURSION`).
const SCRIPTS_MAX: usize = 5;

/// Whose loader a program uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flavour {
    /// glibc's ld-linux-x86-64.so.2.
    Glibc,
    /// musl's ld-musl-x86_64.so.1.
    Musl,
}

/// Finds what programs need and enters it into a bundle.
#[derive(Debug)]
pub struct Closure {
    paths: SearchPaths,
    /// By path on the host; none for what is no ELF file for this machine.
    dynamics: HashMap<PathBuf, Option<Rc<Dynamic>>>,
    /// Libraries found in the loaders' own directories.
    defaults: HashMap<(Flavour, Vec<u8>), Option<PathBuf>>,
    /// Objects whose needs are met, by path in the guest.
    closed: BTreeSet<PathBuf>,
    /// Names of the libraries that are in: what rules look at.
    libraries: BTreeSet<Vec<u8>>,
    /// Programs that are in, by real path in the guest.
    programs: BTreeSet<PathBuf>,
    flavours: BTreeSet<Flavour>,
    /// What glibc's loader finds by its cache.
    cache_entries: BTreeMap<Vec<u8>, PathBuf>,
}

/// An object on its way through the search.
struct Object {
    /// Path as the loader would have it.
    guest: PathBuf,
    dynamic: Rc<Dynamic>,
    /// Who needed it, as an index into the list of objects.
    loader: Option<usize>,
}

/// A library that was not found.
#[derive(Debug)]
pub struct NotFound {
    library: String,
    needed_by: PathBuf,
    looked_in: Vec<PathBuf>,
}

impl From<NotFound> for anyhow::Error {
    fn from(missing: NotFound) -> Self {
        let dirs: Vec<String> = missing.looked_in.iter().map(|dir| dir.display().to_string()).collect();
        failure(
            format!(
                "the library `{}`, which {} needs, was not found (looked in {})",
                missing.library,
                missing.needed_by.display(),
                dirs.join(", ")
            ),
            "install the package that has it (`apt-file search NAME` or https://packages.debian.org says which), \
             name its directory with -e LD_LIBRARY_PATH=DIR, or add it with --add FILE:DIR/NAME",
        )
    }
}

impl Closure {
    /// With a search path from the guest's environment (`LD_LIBRARY_PATH`).
    #[must_use]
    pub fn new(ld_library_path: Option<&OsStr>) -> Self {
        Self {
            paths: SearchPaths::of_host(ld_library_path),
            dynamics: HashMap::new(),
            defaults: HashMap::new(),
            closed: BTreeSet::new(),
            libraries: BTreeSet::new(),
            programs: BTreeSet::new(),
            flavours: BTreeSet::new(),
            cache_entries: BTreeMap::new(),
        }
    }

    /// Names of the libraries that are in.
    #[must_use]
    pub const fn libraries(&self) -> &BTreeSet<Vec<u8>> {
        &self.libraries
    }

    /// Programs and interpreters that are in, by real path in the guest.
    #[must_use]
    pub const fn programs(&self) -> &BTreeSet<PathBuf> {
        &self.programs
    }

    /// The loaders that are in.
    #[must_use]
    pub const fn flavours(&self) -> &BTreeSet<Flavour> {
        &self.flavours
    }

    /// The contents of /etc/ld.so.cache for the libraries that are in; none if no program uses glibc's loader.
    #[must_use]
    pub fn ld_so_cache(&self) -> Option<Vec<u8>> {
        self.flavours.contains(&Flavour::Glibc).then(|| ld_so_cache::encode(&self.cache_entries))
    }

    /// Enters a program: the file, the interpreters of scripts, the loader, and all libraries.
    ///
    /// # Errors
    /// When the program cannot be run or something it needs is not found.
    pub fn add_program(&mut self, bundle: &mut Bundle, program: &Path, env_path: &OsStr) -> Result<PathBuf> {
        let first = bundle.add(program, "program")?;
        let mut real = first.clone();
        for _ in 0..=SCRIPTS_MAX {
            let Some(host) = self.host_file(bundle, &real)? else { return Ok(first) };
            self.programs.insert(real.clone());
            let Some(interpreter) = shebang(&host, &real)? else {
                self.add_elf(bundle, &real, &host)?;
                return Ok(first);
            };
            let reason = format!("interpreter of {}", real.display());
            if let Some(command) = interpreter.env_command {
                // `#!/usr/bin/env NAME`: env(1) is a program of its own, then the one it looks up.
                let env = bundle.add(&interpreter.path, &reason)?;
                if let Some(host) = self.host_file(bundle, &env)? {
                    self.add_elf(bundle, &env, &host)?;
                }
                let found = find_in_path(&command, env_path).ok_or_else(|| {
                    failure(
                        format!(
                            "{} asks for `{}`, which is not in PATH",
                            real.display(),
                            command.to_string_lossy()
                        ),
                        "install it, or set -e PATH=...",
                    )
                })?;
                real = bundle.add(&found, &reason)?;
            } else {
                real = bundle.add(&interpreter.path, &reason).map_err(|error| {
                    failure(
                        format!("{error:#}"),
                        format!(
                            "the first line of {} names an interpreter that is not there",
                            real.display()
                        ),
                    )
                })?;
            }
        }
        Err(failure(
            format!("{}: scripts that are interpreters of scripts, more than five deep", program.display()),
            "Linux refuses this too (ELOOP)",
        ))
    }

    fn host_file(&self, bundle: &Bundle, path: &Path) -> Result<Option<PathBuf>> {
        match bundle.look(path) {
            Located::File(host) => Ok(Some(host)),
            Located::Made => Ok(None),
            Located::Directory(_) => {
                Err(failure(format!("{} is a directory", path.display()), "give the path of a program in it"))
            }
            Located::Missing => Err(failure(format!("{} does not exist", path.display()), "check the path")),
        }
    }

    fn add_elf(&mut self, bundle: &mut Bundle, real: &Path, host: &Path) -> Result<()> {
        let dynamic = read_dynamic(host).map_err(|error| {
            let hint = match error {
                DynamicError::Elf(ElfError::NotElf) => {
                    "Husk runs ELF programs for x86-64 and scripts that begin with #!"
                }
                DynamicError::Elf(_) => "Husk runs 64-bit programs for x86-64 Linux",
                _ => "the file may be damaged or unreadable",
            };
            failure(format!("{} cannot be run: {error}", real.display()), hint)
        })?;
        let missing = self.close(bundle, real, Rc::new(dynamic))?;
        missing.into_iter().next().map_or(Ok(()), |missing| Err(missing.into()))
    }

    /// Enters the libraries of files that were added by trees; what is no ELF file is passed over. Gives what was not
    /// found.
    ///
    /// # Errors
    /// When a library was found but cannot be entered.
    pub fn add_candidates(&mut self, bundle: &mut Bundle, candidates: &[PathBuf]) -> Result<Vec<NotFound>> {
        let mut missing = Vec::new();
        for candidate in candidates {
            let Located::File(host) = bundle.look(candidate) else { continue };
            let Some(dynamic) = self.dynamic(&host) else { continue };
            missing.extend(self.close(bundle, candidate, dynamic)?);
        }
        Ok(missing)
    }

    fn dynamic(&mut self, host: &Path) -> Option<Rc<Dynamic>> {
        if let Some(known) = self.dynamics.get(host) {
            return known.clone();
        }
        let dynamic = read_dynamic(host).ok().map(Rc::new);
        self.dynamics.insert(host.to_owned(), dynamic.clone());
        dynamic
    }

    /// Breadth first, as the loaders do it: first all that the object names, then what these name.
    fn close(&mut self, bundle: &mut Bundle, root: &Path, dynamic: Rc<Dynamic>) -> Result<Vec<NotFound>> {
        let mut missing = Vec::new();
        let flavour = match &dynamic.interpreter {
            Some(interpreter) => {
                let flavour = flavour_of(interpreter);
                let path = PathBuf::from(OsStr::from_bytes(interpreter));
                let reason = format!("loader of {}", root.display());
                bundle.add(&path, &reason).map_err(|error| {
                    let name = match flavour {
                        Flavour::Musl => "install it (apt install musl)",
                        Flavour::Glibc => "install the C library the program was built for",
                    };
                    failure(format!("PT_INTERP of {}: {error:#}", root.display()), name)
                })?;
                self.flavours.insert(flavour);
                flavour
            }
            // A library is loaded by the program's loader.
            None => self.flavours.first().copied().unwrap_or(Flavour::Glibc),
        };
        let mut objects = vec![Object { guest: root.to_owned(), dynamic, loader: None }];
        let mut next = 0;
        while next < objects.len() {
            let object = &objects[next];
            if self.closed.insert(object.guest.clone()) {
                for name in object.dynamic.needed.clone() {
                    if flavour == Flavour::Musl && is_musl_itself(&name) {
                        self.libraries.insert(name);
                        continue;
                    }
                    let Some((path, by_default)) = self.find(bundle, &name, flavour, &objects, next) else {
                        missing.push(NotFound {
                            library: String::from_utf8_lossy(&name).into_owned(),
                            needed_by: objects[next].guest.clone(),
                            looked_in: self.list(flavour, &objects, next).0,
                        });
                        continue;
                    };
                    bundle.add(&path, &format!("library of {}", root.display()))?;
                    self.libraries.insert(name.clone());
                    if by_default && flavour == Flavour::Glibc {
                        self.cache_entries.entry(name).or_insert_with(|| path.clone());
                    }
                    if let Located::File(host) = bundle.look(&path)
                        && let Some(dynamic) = self.dynamic(&host)
                        && !self.closed.contains(&path)
                    {
                        objects.push(Object { guest: path, dynamic, loader: Some(next) });
                    }
                }
            }
            next += 1;
        }
        Ok(missing)
    }

    /// The directories for the needs of one object: its own and those of who loaded it, then the loader's.
    fn list(&self, flavour: Flavour, objects: &[Object], index: usize) -> (Vec<PathBuf>, usize) {
        let mut dirs = Vec::new();
        let object = &objects[index];
        let origin = |object: &Object| object.guest.parent().unwrap_or(Path::new("/")).to_owned();
        if flavour == Flavour::Musl || object.dynamic.runpath.is_none() {
            let mut at = Some(index);
            while let Some(current) = at.map(|at| &objects[at]) {
                let list = match flavour {
                    Flavour::Glibc if current.dynamic.runpath.is_some() => None,
                    Flavour::Glibc => current.dynamic.rpath.as_ref(),
                    // musl treats both alike, and both are inherited.
                    Flavour::Musl => current.dynamic.runpath.as_ref().or(current.dynamic.rpath.as_ref()),
                };
                dirs.extend(list.into_iter().flat_map(|list| search::expand(list, &origin(current))));
                at = current.loader;
            }
        }
        let library_path = self.paths.library_path().iter().cloned();
        match flavour {
            Flavour::Musl => {
                dirs.splice(0..0, library_path);
            }
            Flavour::Glibc => {
                dirs.extend(library_path);
                if let Some(runpath) = &object.dynamic.runpath {
                    dirs.extend(search::expand(runpath, &origin(object)));
                }
            }
        }
        let own = dirs.len();
        if !(flavour == Flavour::Glibc && object.dynamic.no_default_directories) {
            dirs.extend(self.paths.defaults(flavour).iter().cloned());
        }
        (dirs, own)
    }

    /// Where the loader would find a library, and whether in one of its own directories.
    fn find(
        &mut self,
        bundle: &Bundle,
        name: &[u8],
        flavour: Flavour,
        objects: &[Object],
        index: usize,
    ) -> Option<(PathBuf, bool)> {
        let file = Path::new(OsStr::from_bytes(name));
        if name.contains(&b'/') {
            return self.fits(bundle, file).then(|| (file.to_owned(), false));
        }
        let (dirs, own) = self.list(flavour, objects, index);
        for dir in &dirs[..own] {
            let path = dir.join(file);
            if self.fits(bundle, &path) {
                return Some((path, false));
            }
        }
        if own == dirs.len() {
            return None;
        }
        let key = (flavour, name.to_vec());
        if let Some(known) = self.defaults.get(&key) {
            return known.clone().map(|path| (path, true));
        }
        let found = dirs[own..].iter().map(|dir| dir.join(file)).find(|path| self.fits(bundle, path));
        self.defaults.insert(key, found.clone());
        found.map(|path| (path, true))
    }

    /// A library for this machine; loaders pass over others.
    fn fits(&mut self, bundle: &Bundle, path: &Path) -> bool {
        match bundle.look(path) {
            Located::File(host) => self.dynamic(&host).is_some(),
            _ => false,
        }
    }
}

fn flavour_of(interpreter: &[u8]) -> Flavour {
    let musl =
        interpreter.rsplit(|&byte| byte == b'/').next().is_some_and(|name| name.starts_with(b"ld-musl"));
    if musl { Flavour::Musl } else { Flavour::Glibc }
}

/// Names that musl's loader takes for itself.
fn is_musl_itself(name: &[u8]) -> bool {
    const OWN: [&[u8]; 7] = [b"c.", b"pthread.", b"rt.", b"m.", b"dl.", b"util.", b"xnet."];
    name.strip_prefix(b"lib").is_some_and(|rest| OWN.iter().any(|own| rest.starts_with(own)))
        || name.starts_with(b"ld-musl-")
}

fn read_dynamic(path: &Path) -> Result<Dynamic, DynamicError<std::io::Error>> {
    let file = File::open(path).map_err(DynamicError::Read)?;
    let size = file.metadata().map_err(DynamicError::Read)?.len();
    dynamic::read(size, |offset, buffer| file.read_exact_at(buffer, offset))
}

struct Interpreter {
    path: PathBuf,
    /// For `#!/usr/bin/env NAME`: the name.
    env_command: Option<std::ffi::OsString>,
}

/// The interpreter of a script; none for what does not begin with `#!`.
fn shebang(host: &Path, real: &Path) -> Result<Option<Interpreter>> {
    let file = File::open(host).with_context(|| format!("cannot read {}", real.display()))?;
    let mut head = [0; script::LINE_LIMIT];
    let mut length = 0;
    loop {
        match file.read_at(&mut head[length..], length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", real.display())),
        }
    }
    let Some(line) = script::parse(&head[..length]) else { return Ok(None) };
    let line = line.map_err(|error| {
        failure(format!("{} cannot be run: {error}", real.display()), "correct the script's first line")
    })?;
    let path = PathBuf::from(OsStr::from_bytes(line.interpreter));
    let env_command = line.argument.filter(|_| path.ends_with("bin/env")).and_then(|argument| {
        // `env -S prog args` and `env prog`; assignments come before the program.
        let words = argument.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let word = words.into_iter().find(|word| !word.starts_with(b"-") && !word.contains(&b'='));
        word.map(|word| OsStr::from_bytes(word).to_owned())
    });
    Ok(Some(Interpreter { path, env_command }))
}

/// Looks a command up as execvp(3) does, without running it.
#[must_use]
pub fn find_in_path(command: &OsStr, path: &OsStr) -> Option<PathBuf> {
    if command.as_bytes().contains(&b'/') {
        return std::path::absolute(command).ok();
    }
    std::env::split_paths(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(command)).find(|file| {
        use std::os::unix::fs::PermissionsExt;
        file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })
}
