//! Compiling the conformance programs, as the comment in the first line of each asks for.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cases::in_parallel;
use crate::command::{check_quietly, root, target_dir};

/// One executable made from one source file.
pub(super) struct Program {
    /// `area/name/static` or `area/name/dynamic`.
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) limit: Duration,
}

/// What the first-line comment of a source file asks for (test-binaries/README.md).
#[derive(Default)]
struct Directives {
    only: Option<String>,
    arguments: Vec<String>,
    libraries: Vec<String>,
    limit: Option<u64>,
}

/// Builds the programs whose name contains one of the words, or all.
pub(super) fn build(filters: &[String]) -> Result<Vec<Program>> {
    let sources = root().join("test-binaries/conform").canonicalize()?;
    let out = target_dir().join("conform");
    std::fs::create_dir_all(&out)?;
    let out = out.canonicalize()?;
    let mut files = Vec::new();
    find_files(&sources, &mut files)?;
    files.sort();
    let (files, rest): (Vec<PathBuf>, Vec<PathBuf>) =
        files.into_iter().partition(|file| has_extension(file, "c"));
    let headers: Vec<PathBuf> = rest.into_iter().filter(|file| has_extension(file, "h")).collect();
    let mut wanted = Vec::new();
    for file in files {
        let name = file.strip_prefix(&sources)?.with_extension("").to_string_lossy().into_owned();
        if filters.is_empty() || filters.iter().any(|filter| name.contains(filter)) {
            wanted.push((name, file));
        }
    }
    if wanted.is_empty() {
        bail!("no program in test-binaries/conform matches");
    }
    let built = in_parallel(&wanted, |(name, file)| build_one(name, file, &sources, &headers, &out));
    Ok(built.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

fn has_extension(file: &Path, wanted: &str) -> bool {
    file.extension().is_some_and(|extension| extension == wanted)
}

fn find_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            find_files(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn build_one(
    name: &str,
    source: &Path,
    sources: &Path,
    headers: &[PathBuf],
    out: &Path,
) -> Result<Vec<Program>> {
    let directives = directives(&std::fs::read_to_string(source)?);
    let mut programs = Vec::new();
    for (kind, compiler, flags) in [("static", "musl-gcc", &["-static"][..]), ("dynamic", "gcc", &[])] {
        if directives.only.as_deref().is_some_and(|only| only != kind) {
            continue;
        }
        let file = out.join(format!("{}.{kind}", name.replace('/', "-")));
        if is_older(&file, source) || headers.iter().any(|header| is_older(&file, header)) {
            check_quietly(
                Command::new(compiler)
                    .args(flags)
                    .args(["-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-I"])
                    .arg(sources)
                    .arg("-o")
                    .arg(&file)
                    .arg(source)
                    .args(&directives.libraries),
            )?;
        }
        programs.push(Program {
            name: format!("{name}/{kind}"),
            file,
            arguments: directives.arguments.clone(),
            limit: Duration::from_secs(directives.limit.unwrap_or(20)),
        });
    }
    Ok(programs)
}

fn is_older(made: &Path, source: &Path) -> bool {
    let time = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    time(made).is_none() || time(made) < time(source)
}

/// Reads `/* conform: dynamic-only args="a b" libs=-lm timeout=20 */` from the first line.
fn directives(text: &str) -> Directives {
    let mut directives = Directives::default();
    let first = text.lines().next().unwrap_or_default();
    let Some((_, list)) = first.split_once("conform:") else { return directives };
    let list = list.trim_end().trim_end_matches("*/").trim();
    let words = |value: &str| value.trim_matches('"').split_whitespace().map(String::from).collect();
    let mut rest = list;
    while !rest.is_empty() {
        let quoted = rest.find('"').is_some_and(|quote| rest.find(' ').is_none_or(|space| quote < space));
        let end = if quoted {
            let open = rest.find('"').unwrap_or(0);
            rest[open + 1..].find('"').map_or(rest.len(), |close| open + close + 2)
        } else {
            rest.find(' ').unwrap_or(rest.len())
        };
        let word = &rest[..end];
        rest = rest[end..].trim_start();
        match word.split_once('=') {
            Some(("args", value)) => directives.arguments = words(value),
            Some(("libs", value)) => directives.libraries = words(value),
            Some(("timeout", value)) => directives.limit = value.parse().ok(),
            _ => directives.only = word.strip_suffix("-only").map(String::from),
        }
    }
    directives
}

#[cfg(test)]
mod tests {
    use super::directives;

    #[test]
    fn directives_of_the_first_line() {
        let found = directives("/* conform: dynamic-only args=\"a b\" libs=-lm timeout=7 */\nint main;");
        assert_eq!(found.only.as_deref(), Some("dynamic"));
        assert_eq!(found.arguments, ["a", "b"]);
        assert_eq!(found.libraries, ["-lm"]);
        assert_eq!(found.limit, Some(7));
        assert!(directives("/* Plain comment. */").only.is_none());
    }
}
