//! Adding what real programs open at run time, by the stated rules of [`table`].

mod pattern;
mod script;
pub mod table;

pub use pattern::{expand as expand_pattern, matches};
pub use script::script_argument;

use crate::bundle::Bundle;
use crate::closure::{Closure, Flavour};
use anyhow::Result;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use table::{Add, RULES, Rule, When};

/// Directories every program may expect, with their permissions.
const DIRECTORIES: [(&str, u16); 11] = [
    ("/dev", 0o755),
    ("/proc", 0o555),
    ("/sys", 0o555),
    ("/tmp", 0o1777),
    ("/run", 0o755),
    ("/etc", 0o755),
    ("/root", 0o700),
    ("/home", 0o755),
    ("/mnt", 0o755),
    ("/var/tmp", 0o1777),
    ("/dev/shm", 0o1777),
];

/// Variables of the guest that rules look at.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// `TERM`.
    pub term: Option<OsString>,
    /// `TZ`.
    pub zone: Option<OsString>,
    /// Paths of programs as they were given, before links are resolved.
    pub program_paths: Vec<PathBuf>,
}

/// Applies all rules, again and again until nothing new comes in, with the libraries of everything that is added.
///
/// # Errors
/// When a file that is there cannot be entered. Libraries of added files that are not found are only noted: a module
/// that is never imported needs none.
pub fn apply(bundle: &mut Bundle, closure: &mut Closure, variables: &Variables) -> Result<()> {
    for (path, mode) in DIRECTORIES {
        bundle.add_directory(Path::new(path), mode)?;
    }
    let mut done: BTreeSet<(&str, Vec<u8>)> = BTreeSet::new();
    loop {
        let mut progress = false;
        for rule in RULES {
            for program in triggers(rule, closure) {
                if done.insert((rule.name, program.as_os_str().as_bytes().to_vec())) {
                    progress = true;
                    apply_rule(bundle, closure, variables, rule, &program);
                }
            }
        }
        let candidates = bundle.take_candidates();
        let missing = closure.add_candidates(bundle, &candidates)?;
        for missing in missing {
            bundle.note(format!("{:#}", anyhow::Error::from(missing)));
        }
        if !progress {
            return Ok(());
        }
    }
}

/// The programs for which a rule applies; one empty path for rules that are not about a program.
fn triggers(rule: &Rule, closure: &Closure) -> Vec<PathBuf> {
    let once = |applies: bool| if applies { vec![PathBuf::new()] } else { Vec::new() };
    match rule.when {
        When::Always => once(true),
        When::Glibc => once(closure.flavours().contains(&Flavour::Glibc)),
        When::Musl => once(closure.flavours().contains(&Flavour::Musl)),
        When::Library(names) => {
            once(closure.libraries().iter().any(|library| names.iter().any(|name| matches(name, library))))
        }
        When::Program(names) => {
            let fits = |path: &&PathBuf| {
                let name = path.file_name().map_or(&[][..], OsStr::as_bytes);
                names.iter().any(|pattern| matches(pattern, name))
            };
            closure.programs().iter().filter(fits).cloned().collect()
        }
    }
}

fn apply_rule(
    bundle: &mut Bundle,
    closure: &mut Closure,
    variables: &Variables,
    rule: &Rule,
    program: &Path,
) {
    let reason = format!("rule {}", rule.name);
    for add in rule.add {
        let (Add::Path(pattern) | Add::Tree(pattern, _)) = add;
        for pattern in fill_in(pattern, variables, program) {
            for path in expand_pattern(&pattern) {
                let outcome = match add {
                    Add::Path(_) => bundle.add(&path, &reason).map(|real| {
                        if real.extension() == Some(OsStr::new("so"))
                            || matches("*.so.*", real.as_os_str().as_bytes())
                        {
                            closure.add_candidates(bundle, &[real])
                        } else {
                            Ok(Vec::new())
                        }
                    }),
                    Add::Tree(_, skip) => bundle.add_tree(&path, skip, &reason).map(|()| Ok(Vec::new())),
                };
                match outcome {
                    Ok(Ok(missing)) => {
                        for missing in missing {
                            bundle.note(format!("{:#}", anyhow::Error::from(missing)));
                        }
                    }
                    // A rule adds what can be added; what cannot is told with --verbose.
                    Err(error) | Ok(Err(error)) => bundle.note(format!("rule {}: {error:#}", rule.name)),
                }
            }
        }
    }
}

/// Puts in what the words in braces stand for; nothing if one of them stands for nothing.
fn fill_in(pattern: &str, variables: &Variables, program: &Path) -> Vec<PathBuf> {
    if pattern.contains("{home}") {
        let homes = variables.program_paths.iter().filter_map(|path| path.parent()?.parent());
        let homes = homes.filter(|home| home.join("pyvenv.cfg").is_file());
        return homes.map(|home| home.join(pattern.trim_start_matches("{home}/"))).collect();
    }
    let plain = |value: &Option<OsString>| {
        value.as_ref().map(|value| value.as_bytes().to_vec()).filter(|value| {
            !value.is_empty() && !value.starts_with(b"/") && !value.windows(2).any(|pair| pair == b"..")
        })
    };
    let term = plain(&variables.term);
    let zone =
        plain(&variables.zone).map(|zone| zone.strip_prefix(b":").map_or(zone.clone(), <[u8]>::to_vec));
    let mut text = pattern.as_bytes().to_vec();
    let name = program.file_name().map(|name| name.as_bytes().to_vec());
    let prefix = program.parent().and_then(Path::parent).map(|prefix| match prefix.as_os_str().as_bytes() {
        b"/" => Vec::new(),
        other => other.to_vec(),
    });
    for (word, value) in [
        ("{prefix}", prefix),
        ("{program}", name),
        ("{t}", term.as_ref().map(|term| vec![term[0]])),
        ("{term}", term.clone()),
        ("{zone}", zone),
    ] {
        while let Some(at) = text.windows(word.len()).position(|window| window == word.as_bytes()) {
            let Some(value) = &value else { return Vec::new() };
            text.splice(at..at + word.len(), value.iter().copied());
        }
    }
    vec![PathBuf::from(OsString::from_vec(text))]
}
