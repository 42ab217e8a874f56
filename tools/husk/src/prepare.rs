//! From what the user asks for to what goes into the image and what the kernel is told.

use crate::bundle::{Bundle, Located};
use crate::closure::{Closure, find_in_path};
use crate::error::failure;
use crate::rules::{self, Variables, script_argument};
use anyhow::{Context, Result};
use husk_abi::boot::Program;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where programs are looked up if the user gives no `PATH`.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program to run.
#[derive(Clone, Debug, Default)]
pub struct ProgramRequest {
    /// A path, or a name that is looked up in the guest's `PATH`.
    pub program: OsString,
    /// `argv`; if empty, the program as given.
    pub argv: Vec<OsString>,
    /// Variables on top of [`Request::env`], each `NAME=value`.
    pub env: Vec<OsString>,
    /// Working directory in the guest.
    pub cwd: Option<PathBuf>,
    /// Limit on its time.
    pub timeout: Option<Duration>,
    /// User and group.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// A file or directory to add: where on the host, where in the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddRequest {
    /// On the host.
    pub host: PathBuf,
    /// In the guest; an absolute path.
    pub guest: PathBuf,
}

impl AddRequest {
    /// Reads `HOSTPATH[:GUESTPATH]`. A colon that belongs to a path is written `\:`, a backslash `\\`.
    ///
    /// # Errors
    /// When the guest path is not absolute or a path is empty.
    pub fn parse(text: &OsStr, base: &Path) -> Result<Self> {
        let mut parts: Vec<Vec<u8>> = vec![Vec::new()];
        let mut bytes = text.as_bytes().iter();
        while let Some(&byte) = bytes.next() {
            match byte {
                b'\\' => match bytes.as_slice().first() {
                    Some(&next @ (b':' | b'\\')) => {
                        parts.last_mut().expect("never empty").push(next);
                        bytes.next();
                    }
                    _ => parts.last_mut().expect("never empty").push(byte),
                },
                b':' => parts.push(Vec::new()),
                _ => parts.last_mut().expect("never empty").push(byte),
            }
        }
        let hint = "write --add HOSTPATH or --add HOSTPATH:GUESTPATH; a colon inside a path is written \\:";
        let mut parts = parts.into_iter().map(|part| PathBuf::from(OsString::from_vec(part)));
        let (host, guest, rest) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        if rest.is_some() || host.as_os_str().is_empty() {
            return Err(failure(format!("--add {}: not understood", text.to_string_lossy()), hint));
        }
        let host = normal(&base.join(host));
        let guest = guest.unwrap_or_else(|| host.clone());
        if !guest.is_absolute() {
            let message = format!("--add {}: the path in the guest must be absolute", text.to_string_lossy());
            return Err(failure(message, hint));
        }
        Ok(Self { guest: normal(&guest), host })
    }
}

/// Takes `.` and `..` out of an absolute path, by the letter.
fn normal(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::CurDir => {}
            other => parts.push(other),
        }
    }
    parts
}

/// Everything the user asks for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The programs, in the order in which they run.
    pub programs: Vec<ProgramRequest>,
    /// `--add`.
    pub adds: Vec<AddRequest>,
    /// `-e`, each `NAME=value`.
    pub env: Vec<OsString>,
    /// Directory for relative paths.
    pub base: PathBuf,
}

/// What goes into the image, and what runs.
#[derive(Debug)]
pub struct Prepared {
    /// The files.
    pub bundle: Bundle,
    /// For the kernel.
    pub programs: Vec<Program>,
}

/// Collects the files of all programs and makes the kernel's list of programs.
///
/// # Errors
/// When something that a program needs is not there.
pub fn prepare(request: &Request) -> Result<Prepared> {
    let mut bundle = Bundle::default();
    let env = environment(&request.env);
    let mut closure = Closure::new(variable(&env, "LD_LIBRARY_PATH"));

    let (mut single, mut in_directories) = (Vec::new(), Vec::new());
    for add in &request.adds {
        bundle
            .add_at(&add.host, &add.guest, "--add")
            .with_context(|| format!("--add {}", add.host.display()))?;
        let found = bundle.take_candidates();
        if add.host.is_dir() { in_directories.extend(found) } else { single.extend(found) }
    }

    let mut variables = Variables {
        term: variable(&env, "TERM").map(OsStr::to_owned),
        zone: variable(&env, "TZ").map(OsStr::to_owned),
        program_paths: Vec::new(),
    };
    let mut programs = Vec::new();
    for program in &request.programs {
        let (path, program) = add_program(&mut bundle, &mut closure, program, &env, &request.base)?;
        variables.program_paths.push(path);
        programs.push(program);
    }
    // After the programs: these say which loader is in use.
    if let Some(missing) = closure.add_candidates(&mut bundle, &single)?.into_iter().next() {
        return Err(missing.into());
    }
    for missing in closure.add_candidates(&mut bundle, &in_directories)? {
        bundle.note(format!("{:#}", anyhow::Error::from(missing)));
    }
    rules::apply(&mut bundle, &mut closure, &variables)?;
    if let Some(cache) = closure.ld_so_cache() {
        bundle.add_bytes(Path::new("/etc/ld.so.cache"), cache, 0o644, "rule glibc")?;
    }
    Ok(Prepared { bundle, programs })
}

/// The kernel's description of a program of which nothing is looked up on the host (`husk run --image`).
#[must_use]
pub fn plain_program(request: &ProgramRequest, env: &[OsString]) -> Program {
    let env = merged(&environment(env), &request.env);
    let cwd = request.cwd.clone().unwrap_or_else(|| PathBuf::from("/"));
    kernel_program(request, &PathBuf::from(&request.program), env, cwd)
}

fn kernel_program(request: &ProgramRequest, path: &Path, env: Vec<OsString>, cwd: PathBuf) -> Program {
    let argv = if request.argv.is_empty() { vec![request.program.clone()] } else { request.argv.clone() };
    let timeout_ms = request.timeout.map_or(0, |limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
    Program {
        path: path.as_os_str().as_bytes().to_vec(),
        argv: argv.into_iter().map(OsStringExt::into_vec).collect(),
        env: env.into_iter().map(OsStringExt::into_vec).collect(),
        cwd: cwd.into_os_string().into_vec(),
        timeout_ms,
        uid: request.uid,
        gid: request.gid,
        stack_limit: 0,
    }
}

fn add_program(
    bundle: &mut Bundle,
    closure: &mut Closure,
    request: &ProgramRequest,
    env: &[OsString],
    base: &Path,
) -> Result<(PathBuf, Program)> {
    let env = merged(env, &request.env);
    let search = variable(&env, "PATH").unwrap_or(OsStr::new(DEFAULT_PATH));
    let path = locate(bundle, &request.program, search, base)?;
    let real = closure.add_program(bundle, &path, search)?;

    let mut cwd = request.cwd.clone();
    // The interpreter itself may be a link: python3 -> python3.11.
    let script = script_argument(&real, request.argv.get(1..).unwrap_or_default());
    if let Some(script) = script {
        let script = normal(&request.cwd.as_deref().unwrap_or(base).join(script));
        if !bundle.has(&script) && script.is_file() {
            bundle.add(&script, "script")?;
            cwd.get_or_insert_with(|| base.to_owned());
        }
    }
    let cwd = cwd.unwrap_or_else(|| PathBuf::from("/"));
    if !cwd.is_absolute() {
        return Err(failure(
            format!("the working directory {} is not an absolute path", cwd.display()),
            "give its path in the guest, beginning with /",
        ));
    }
    if !bundle.has(&cwd) {
        match bundle.look(&cwd) {
            Located::Missing if cwd.is_dir() => {
                bundle.add(&cwd, "working directory")?;
            }
            Located::Missing => bundle.add_directory(&cwd, 0o755)?,
            Located::Directory(_) => {}
            Located::File(_) | Located::Made => {
                return Err(failure(
                    format!("the working directory {} is a file", cwd.display()),
                    "give a directory with --workdir",
                ));
            }
        }
    }
    let program = kernel_program(request, &path, env, cwd);
    Ok((path, program))
}

/// The program's path in the guest: what was added comes before what the host has.
fn locate(bundle: &Bundle, program: &OsStr, search: &OsStr, base: &Path) -> Result<PathBuf> {
    let missing = |message: String| {
        failure(message, "check the name; `--add HOSTPATH:GUESTPATH` puts files into the image")
    };
    if program.is_empty() {
        return Err(missing("the program's name is empty".into()));
    }
    if program.as_bytes().contains(&b'/') {
        // Without `.` in it.
        let path: PathBuf = base.join(program).components().collect();
        return match bundle.look(&path) {
            Located::Missing if path.is_dir() => Ok(path),
            Located::Missing => match path.symlink_metadata() {
                Ok(meta) if meta.is_symlink() => {
                    Err(missing(format!("{}: the symbolic link leads to nothing", path.display())))
                }
                _ => Err(missing(format!("the program {} does not exist", path.display()))),
            },
            _ => Ok(path),
        };
    }
    let added = std::env::split_paths(search).filter(|dir| dir.is_absolute()).map(|dir| dir.join(program));
    let added = added.into_iter().find(|path| bundle.has(path));
    added.or_else(|| find_in_path(program, search)).ok_or_else(|| {
        let (program, search) = (program.to_string_lossy(), search.to_string_lossy());
        missing(format!("the program `{program}` is in none of the directories of PATH ({search})"))
    })
}

/// The guest's environment: a few defaults, then what the user gives.
fn environment(given: &[OsString]) -> Vec<OsString> {
    let mut env: Vec<OsString> = vec![format!("PATH={DEFAULT_PATH}").into(), "HOME=/root".into()];
    if let Some(term) = std::env::var_os("TERM").filter(|term| !term.is_empty()) {
        let mut variable = OsString::from("TERM=");
        variable.push(term);
        env.push(variable);
    }
    env.push("LANG=C.UTF-8".into());
    merged(&env, given)
}

/// Later values of a variable take the place of earlier ones; `NAME=` keeps an empty value.
fn merged(env: &[OsString], more: &[OsString]) -> Vec<OsString> {
    let name = |entry: &OsString| entry.as_bytes().split(|&byte| byte == b'=').next().map(<[u8]>::to_vec);
    let mut all: Vec<OsString> = env.to_vec();
    for entry in more {
        match all.iter_mut().find(|old| name(old) == name(entry)) {
            Some(old) => old.clone_from(entry),
            None => all.push(entry.clone()),
        }
    }
    all
}

/// A variable's value.
fn variable<'a>(env: &'a [OsString], name: &str) -> Option<&'a OsStr> {
    env.iter().find_map(|entry| {
        let value = entry.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(OsStr::from_bytes(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn add_splits_at_plain_colons() {
        let parse = |text: &str| AddRequest::parse(OsStr::new(text), Path::new("/base"));
        let paths = |host: &str, guest: &str| AddRequest { host: host.into(), guest: guest.into() };
        assert_eq!(parse("a b/c").unwrap(), paths("/base/a b/c", "/base/a b/c"));
        assert_eq!(parse("../x:/y/./z").unwrap(), paths("/x", "/y/z"));
        assert_eq!(parse(r"/a\:b\\:/c\d").unwrap(), paths(r"/a:b\", r"/c\d"));
        assert!(parse("/a:b").is_err());
        assert!(parse("").is_err());
        assert!(parse("/a:/b:/c").is_err());
    }

    #[test]
    fn variables_replace_and_keep_equal_signs() {
        let env = merged(&["A=1".into(), "B=2".into()], &["A=x=y".into(), "C=".into()]);
        assert_eq!(env, ["A=x=y", "B=2", "C="]);
        assert_eq!(variable(&env, "A"), Some(OsStr::new("x=y")));
        assert_eq!(variable(&env, "D"), None);
    }
}
