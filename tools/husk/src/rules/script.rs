//! Which argument of an interpreter is the script to run.

use super::pattern::matches;
use super::table::{SCRIPTS, Script};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The script among an interpreter's arguments (the program's name not included), if the program is a known interpreter.
/// Whether such a file exists is for the caller to see.
#[must_use]
pub fn script_argument<'a>(program: &Path, args: &'a [OsString]) -> Option<&'a OsStr> {
    let name = program.file_name()?.as_bytes();
    let script =
        SCRIPTS.iter().find(|script| script.programs.iter().any(|pattern| matches(pattern, name)))?;
    first_file(script, args)
}

fn first_file<'a>(script: &Script, args: &'a [OsString]) -> Option<&'a OsStr> {
    let is = |list: &[&str], arg: &OsStr| list.iter().any(|option| arg == *option);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let bytes = arg.as_bytes();
        if is(script.inline, arg) {
            return None;
        }
        if is(script.file, arg) {
            return args.next().map(OsString::as_os_str);
        }
        if arg == "--" {
            return args.next().filter(|_| script.file.is_empty()).map(OsString::as_os_str);
        }
        if is(script.valued, arg) {
            args.next();
        } else if !bytes.starts_with(b"-") && script.file.is_empty() {
            return Some(arg);
        } else if bytes == b"-" || inline_in_cluster(script, bytes) {
            return None;
        }
    }
    None
}

/// `-ne 'print'`, `-Ec code`: a group of one-letter options that ends in an inline one.
fn inline_in_cluster(script: &Script, arg: &[u8]) -> bool {
    let cluster = arg.len() > 2 && arg[0] == b'-' && arg[1..].iter().all(u8::is_ascii_alphabetic);
    cluster && script.inline.iter().any(|option| option.as_bytes()[1..] == arg[arg.len() - 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_argument_that_is_no_option() {
        let find = |program: &str, args: &[&str]| {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            script_argument(Path::new(program), &args).map(|found| found.to_str().unwrap().to_owned())
        };
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(find("/usr/bin/python3.11", &["app.py", "x.py"]), some("app.py"));
        assert_eq!(find("/usr/bin/python3.11", &["-W", "error", "-u", "app.py"]), some("app.py"));
        assert_eq!(find("/usr/bin/python3.11", &["-c", "app.py"]), None);
        assert_eq!(find("/usr/bin/python3.11", &["-Ec", "code", "app.py"]), None);
        assert_eq!(find("/usr/bin/python3.11", &["-", "app.py"]), None);
        assert_eq!(find("/usr/bin/perl", &["-lne", "print", "data"]), None);
        assert_eq!(find("/usr/bin/gawk", &["-f", "p.awk", "data"]), some("p.awk"));
        assert_eq!(find("/usr/bin/gawk", &["{print}", "data"]), None);
        assert_eq!(find("/usr/bin/dash", &["-e", "x.sh"]), some("x.sh"));
        assert_eq!(find("/usr/bin/cat", &["file"]), None);
    }
}
