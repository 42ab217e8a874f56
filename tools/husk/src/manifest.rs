//! `--manifest FILE`: several programs for one machine (docs/manifest.md).

use crate::prepare::{AddRequest, ProgramRequest};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::failure;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    add: Vec<String>,
    #[serde(default)]
    env: Vec<String>,
    #[serde(default)]
    program: Vec<Program>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Program {
    name: Option<String>,
    path: String,
    #[serde(default)]
    argv: Vec<String>,
    #[serde(default)]
    env: Vec<String>,
    cwd: Option<PathBuf>,
    timeout: Option<f64>,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
}

/// What a manifest asks for.
#[derive(Debug)]
pub struct Manifest {
    /// Programs with their names for the report.
    pub programs: Vec<(String, ProgramRequest)>,
    /// `add`.
    pub adds: Vec<AddRequest>,
    /// `env`, for all programs.
    pub env: Vec<String>,
    /// The manifest's directory: relative paths start there.
    pub base: PathBuf,
}

/// Reads a manifest.
///
/// # Errors
/// When it cannot be read, or names no program.
pub fn read(path: &Path) -> Result<Manifest> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the manifest {}", path.display()))?;
    let absolute = std::path::absolute(path)?;
    let base = absolute.parent().unwrap_or(Path::new("/")).to_owned();
    parse(&text, base).with_context(|| format!("the manifest {}", path.display()))
}

fn parse(text: &str, base: PathBuf) -> Result<Manifest> {
    let hint = "docs/manifest.md describes the format";
    let file: File = toml::from_str(text).map_err(|error| failure(error.to_string(), hint))?;
    if file.program.is_empty() {
        return Err(failure("it names no program", hint));
    }
    let adds = file.add.iter().map(|add| AddRequest::parse(OsStr::new(add), &base)).collect::<Result<_>>()?;
    let mut programs = Vec::new();
    for program in file.program {
        let timeout = match program.timeout.map(Duration::try_from_secs_f64) {
            None => None,
            Some(Ok(limit)) if !limit.is_zero() => Some(limit),
            Some(_) => {
                return Err(failure(
                    format!("{}: the timeout is not a number of seconds", program.path),
                    hint,
                ));
            }
        };
        if let Some(bad) = file.env.iter().chain(&program.env).find(|entry| !entry.contains('=')) {
            return Err(failure(format!("{}: `{bad}` is not NAME=value", program.path), hint));
        }
        let request = ProgramRequest {
            program: program.path.clone().into(),
            argv: program.argv.into_iter().map(Into::into).collect(),
            env: program.env.into_iter().map(Into::into).collect(),
            cwd: program.cwd,
            timeout,
            uid: program.uid,
            gid: program.gid,
        };
        programs.push((program.name.unwrap_or(program.path), request));
    }
    Ok(Manifest { programs, adds, env: file.env, base })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_in_order() {
        let text = "add = ['x:/x']\n[[program]]\npath = '/bin/a b'\nargv = ['a', 'x y']\nenv = ['A=b=c']\ntimeout = 1.5\n\
                    [[program]]\nname = 'second'\npath = 'b'\ncwd = '/tmp'\n";
        let manifest = parse(text, "/base".into()).unwrap();
        assert_eq!(manifest.adds, [AddRequest { host: "/base/x".into(), guest: "/x".into() }]);
        let names: Vec<&str> = manifest.programs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["/bin/a b", "second"]);
        let first = &manifest.programs[0].1;
        assert_eq!(first.argv, ["a", "x y"]);
        assert_eq!(first.env, ["A=b=c"]);
        assert_eq!(first.timeout, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn mistakes_are_told() {
        for bad in
            ["", "[[program]]\n", "[[program]]\npath='a'\ntypo=1\n", "[[program]]\npath='a'\ntimeout=-1\n"]
        {
            assert!(parse(bad, "/".into()).is_err(), "{bad}");
        }
    }
}
