//! Options that several sub-commands share.

use anyhow::Result;
use clap::Args;
use husk::error::failure;
use husk::manifest;
use husk::prepare::{AddRequest, ProgramRequest, Request};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

/// What goes into the image and what runs.
#[derive(Args, Debug)]
pub(crate) struct ProgramOptions {
    /// Add a file or directory of the host to the image, at the same path or at GUESTPATH; a colon inside a path is
    /// written \:. May be repeated.
    #[arg(long, value_name = "HOSTPATH[:GUESTPATH]")]
    add: Vec<OsString>,

    /// Set a variable of the program's environment; without a value, take it from here. May be repeated.
    #[arg(short, value_name = "NAME[=VALUE]")]
    env: Vec<OsString>,

    /// The program's working directory in the guest [default: /, or this directory if a script is run].
    #[arg(long, value_name = "DIR")]
    workdir: Option<PathBuf>,

    /// User id of the program.
    #[arg(long, default_value_t = 0)]
    uid: u32,

    /// Group id of the program.
    #[arg(long, default_value_t = 0)]
    gid: u32,

    /// Stop a program (SIGKILL, exit code 124) after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,

    /// Run the programs that a file lists, one after another (docs/manifest.md).
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    manifest: Option<PathBuf>,

    /// The program and its arguments.
    #[arg(value_name = "PROGRAM [ARGS]", trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "write a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(number) {
        Ok(limit) if !limit.is_zero() => Ok(limit),
        _ => Err("write a number of seconds above 0".into()),
    }
}

impl ProgramOptions {
    /// What is asked for, with a name for each program.
    pub(crate) fn request(&self) -> Result<(Request, Vec<String>)> {
        let here = std::env::current_dir()?;
        let mut env = Vec::new();
        for entry in &self.env {
            if entry.as_bytes().contains(&b'=') {
                env.push(entry.clone());
            } else if let Some(value) = std::env::var_os(entry) {
                let mut entry = entry.clone();
                entry.push("=");
                entry.push(value);
                env.push(entry);
            }
        }
        let mut adds =
            self.add.iter().map(|add| AddRequest::parse(add, &here)).collect::<Result<Vec<_>>>()?;
        if let Some(file) = &self.manifest {
            let manifest = manifest::read(file)?;
            adds.extend(manifest.adds);
            // The command line has the last word.
            let given = std::mem::replace(&mut env, manifest.env.into_iter().map(OsString::from).collect());
            env.extend(given);
            let (names, mut programs): (Vec<_>, Vec<_>) = manifest.programs.into_iter().unzip();
            for program in &mut programs {
                program.timeout = program.timeout.or(self.timeout);
                if program.cwd.is_none() {
                    program.cwd.clone_from(&self.workdir);
                }
            }
            return Ok((Request { programs, adds, env, base: manifest.base }, names));
        }
        let Some(program) = self.command.first() else {
            return Err(failure("no program is given", "write: husk run [OPTIONS] -- PROGRAM [ARGS]"));
        };
        if program.as_bytes().starts_with(b"-") && !follows_double_dash(program) {
            return Err(failure(
                format!("unknown option {}", program.to_string_lossy()),
                "`husk run --help` lists the options; a program's own options come after its name",
            ));
        }
        let request = ProgramRequest {
            program: program.clone(),
            argv: self.command.clone(),
            env: Vec::new(),
            cwd: self.workdir.clone(),
            timeout: self.timeout,
            uid: self.uid,
            gid: self.gid,
        };
        let names = vec![program.to_string_lossy().into_owned()];
        Ok((Request { programs: vec![request], adds, env, base: here }, names))
    }
}

/// Whether the program's name was written after `--`.
fn follows_double_dash(program: &OsStr) -> bool {
    let args: Vec<OsString> = std::env::args_os().collect();
    args.windows(2).any(|pair| pair[0] == "--" && pair[1] == program)
}
