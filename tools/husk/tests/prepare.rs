//! What goes into an image, with real programs and libraries made by the host's compilers.

use husk::prepare::{AddRequest, Prepared, ProgramRequest, Request, prepare};
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory whose path has no symbolic links in it.
struct Dir {
    _temporary: tempfile::TempDir,
    path: PathBuf,
}

impl Dir {
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().canonicalize().unwrap();
        Self { _temporary: temporary, path }
    }

    fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Runs a compiler here; false if there is none.
    fn compile(&self, compiler: &str, source: &str, args: &[&str]) -> bool {
        std::fs::write(self.join("source.c"), source).unwrap();
        match Command::new(compiler)
            .args(args)
            .arg("source.c")
            .args(libraries(args))
            .current_dir(&self.path)
            .status()
        {
            Ok(status) => {
                assert!(status.success(), "{compiler} {args:?}");
                true
            }
            Err(_) => {
                eprintln!("{compiler} is missing: not checked");
                false
            }
        }
    }
}

/// Libraries come after what needs them.
fn libraries<'a>(args: &[&'a str]) -> Vec<&'a str> {
    args.iter().copied().filter(|arg| arg.starts_with("-l")).collect()
}

fn request(program: impl Into<OsString>) -> Request {
    Request {
        programs: vec![ProgramRequest { program: program.into(), ..ProgramRequest::default() }],
        base: "/".into(),
        ..Request::default()
    }
}

fn error(result: anyhow::Result<Prepared>) -> String {
    format!("{:#}", result.expect_err("it is an error"))
}

#[test]
fn links_on_the_way_are_kept() {
    let prepared = prepare(&request("/bin/sh")).unwrap();
    let real = std::fs::canonicalize("/bin/sh").unwrap();
    assert_eq!(prepared.bundle.real_path(Path::new("/bin/sh")), Some(real));
    for dir in ["/dev", "/proc", "/sys", "/tmp", "/run", "/etc", "/root", "/home", "/var/tmp"] {
        assert!(prepared.bundle.has(Path::new(dir)), "{dir}");
    }
    assert_eq!(prepared.programs[0].path, b"/bin/sh");
    assert_eq!(prepared.programs[0].argv, [b"/bin/sh"]);
}

#[test]
fn names_are_looked_up_in_path() {
    let prepared = prepare(&request("true")).unwrap();
    assert!(prepared.programs[0].path.ends_with(b"/true"));
    assert_eq!(prepared.programs[0].argv, [b"true"]);
    let mut other = request("true");
    other.env = vec!["PATH=/nowhere".into()];
    assert!(error(prepare(&other)).contains("/nowhere"));
}

#[test]
fn run_paths_lead_to_libraries() {
    let dir = Dir::new();
    for name in ["bin", "lib", "deep"] {
        std::fs::create_dir(dir.join(name)).unwrap();
    }
    let library = ["-shared", "-fPIC"];
    if !dir.compile("gcc", "int b(void){return 1;}", &[&library[..], &["-o", "deep/libhuskb.so"]].concat()) {
        return;
    }
    let a = [&library[..], &["-o", "lib/libhuska.so", "-Ldeep", "-lhuskb"]].concat();
    dir.compile("gcc", "int b(void); int a(void){return b();}", &a);
    let main = "int a(void); int main(void){return a();}";
    let common = ["-Llib", "-Wl,-rpath-link,deep", "-lhuska"];

    // DT_RPATH counts for the needs of libraries too.
    let rpath = ["-o", "bin/rpath", "-Wl,--disable-new-dtags,-rpath,$ORIGIN/../lib:${ORIGIN}/../deep"];
    dir.compile("gcc", main, &[&rpath[..], &common].concat());
    let prepared = prepare(&request(dir.join("bin/rpath"))).unwrap();
    assert!(
        prepared.bundle.has(&dir.join("lib/libhuska.so"))
            && prepared.bundle.has(&dir.join("deep/libhuskb.so"))
    );

    // DT_RUNPATH does not.
    let runpath = ["-o", "bin/runpath", "-Wl,--enable-new-dtags,-rpath,$ORIGIN/../lib:$ORIGIN/../deep"];
    dir.compile("gcc", main, &[&runpath[..], &common].concat());
    let message = error(prepare(&request(dir.join("bin/runpath"))));
    let needed_by = format!("the library `libhuskb.so`, which {}/lib/libhuska.so needs", dir.path.display());
    assert!(message.contains(&needed_by), "{message}");

    // LD_LIBRARY_PATH helps, as it would on the host.
    let mut helped = request(dir.join("bin/runpath"));
    helped.env = vec![format!("LD_LIBRARY_PATH=/nowhere:{}", dir.join("deep").display()).into()];
    assert!(prepare(&helped).unwrap().bundle.has(&dir.join("deep/libhuskb.so")));

    // So does adding the file where the loader looks.
    let mut added = request(dir.join("bin/runpath"));
    let spec = format!("{}:/usr/lib/libhuskb.so", dir.join("deep/libhuskb.so").display());
    added.adds = vec![AddRequest::parse(OsStr::new(&spec), Path::new("/")).unwrap()];
    let prepared = prepare(&added).unwrap();
    assert!(prepared.bundle.has(Path::new("/usr/lib/libhuskb.so")));
    assert!(prepared.bundle.has(Path::new("/etc/ld.so.cache")));
}

#[test]
fn musl_programs_bring_their_loader_and_not_glibc() {
    let dir = Dir::new();
    if !dir.compile("musl-gcc", "int main(void){return 0;}", &["-o", "dynamic"]) {
        return;
    }
    let bundle = prepare(&request(dir.join("dynamic"))).unwrap().bundle;
    assert!(bundle.has(Path::new("/lib/ld-musl-x86_64.so.1")));
    assert!(
        !bundle.has(Path::new("/lib64/ld-linux-x86-64.so.2")) && !bundle.has(Path::new("/etc/ld.so.cache"))
    );
    dir.compile("musl-gcc", "int main(void){return 0;}", &["-static", "-o", "static"]);
    let bundle = prepare(&request(dir.join("static"))).unwrap().bundle;
    assert!(!bundle.has(Path::new("/lib/ld-musl-x86_64.so.1")));
}

#[test]
fn scripts_bring_their_interpreters() {
    let dir = Dir::new();
    let script = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let plain = script("plain", "#! /bin/sh -e\n");
    let over = script("over", &format!("#!{} x\n", plain.display()));
    let bundle = prepare(&request(over)).unwrap().bundle;
    assert!(bundle.has(&plain) && bundle.has(Path::new("/bin/sh")));
    let env = script("env", "#!/usr/bin/env -S A=1 sh -e\n");
    let bundle = prepare(&request(env)).unwrap().bundle;
    assert!(bundle.has(Path::new("/usr/bin/env")) && bundle.has(Path::new("/usr/bin/sh")));
    let broken = script("broken", "#!/no/such/interpreter\n");
    assert!(error(prepare(&request(broken))).contains("/no/such/interpreter"));
    let circular = dir.join("circular");
    script("circular", &format!("#!{}\n", circular.display()));
    assert!(error(prepare(&request(circular))).contains("five deep"));
}

#[test]
fn added_directories_are_whole() {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.join("data/a/b")).unwrap();
    std::fs::write(dir.join("data/a/b/with: colon"), "1").unwrap();
    std::fs::write(dir.join("outside"), "2").unwrap();
    symlink("../outside", dir.join("data/out")).unwrap();
    symlink("nothing", dir.join("data/dangling")).unwrap();
    std::fs::hard_link(dir.join("data/a/b/with: colon"), dir.join("data/hard")).unwrap();
    let mut wanted = request("/bin/true");
    let adds = [format!("{}", dir.join("data").display()), format!("{}:/x/y", dir.join("data").display())];
    wanted.adds =
        adds.iter().map(|add| AddRequest::parse(OsStr::new(add), Path::new("/")).unwrap()).collect();
    let bundle = prepare(&wanted).unwrap().bundle;
    assert!(bundle.has(&dir.join("data/a/b/with: colon")) && bundle.has(Path::new("/x/y/a/b/with: colon")));
    assert!(bundle.has(&dir.join("data/out")), "what a link inside points to comes along");
    assert!(!bundle.has(&dir.join("data/dangling")));
    assert!(bundle.has(&dir.join("data/hard")));

    // A file in a file's place is a mistake of the user.
    let clash = [format!("{}:/f", dir.join("outside").display()), "/etc/passwd:/f".to_owned()];
    wanted.adds =
        clash.iter().map(|add| AddRequest::parse(OsStr::new(add), Path::new("/")).unwrap()).collect();
    assert!(error(prepare(&wanted)).contains("is there already"));
}

#[test]
fn an_added_file_takes_the_place_of_the_hosts() {
    let dir = Dir::new();
    std::fs::write(dir.join("hosts"), "10.0.0.1 other\n").unwrap();
    std::fs::copy("/bin/true", dir.join("program")).unwrap();
    let mut wanted = request("/opt/husk test/program");
    let adds = [
        format!("{}:/etc/hosts", dir.join("hosts").display()),
        format!("{}:/opt/husk test/program", dir.join("program").display()),
    ];
    wanted.adds =
        adds.iter().map(|add| AddRequest::parse(OsStr::new(add), Path::new("/")).unwrap()).collect();
    let prepared = prepare(&wanted).unwrap();
    let hosts = prepared.bundle.items().iter().find(|item| item.path == Path::new("/etc/hosts")).unwrap();
    assert_eq!((hosts.reason.as_str(), hosts.bytes), ("--add", 15));
    // The libraries of a program that only the guest has at that path.
    assert!(prepared.bundle.has(Path::new("/lib/x86_64-linux-gnu/libc.so.6")));
}

#[test]
fn fingerprints_change_with_the_files() {
    let dir = Dir::new();
    let file = dir.join("file");
    std::fs::write(&file, "one").unwrap();
    let mut wanted = request("/bin/true");
    wanted.adds = vec![AddRequest { host: file.clone(), guest: "/file".into() }];
    let fingerprint = |wanted: &Request| prepare(wanted).unwrap().bundle.fingerprint();
    let first = fingerprint(&wanted);
    assert_eq!(first, fingerprint(&wanted));
    // A new file beside it is none of the image's business.
    std::fs::write(dir.join("other"), "").unwrap();
    assert_eq!(first, fingerprint(&wanted));
    let times = file.metadata().unwrap().modified().unwrap();
    std::fs::write(&file, "two").unwrap();
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(times).unwrap();
    assert_ne!(first, fingerprint(&wanted), "set back the time as it may, the file has changed");
}

#[test]
fn python_brings_its_library() {
    if !Path::new("/usr/bin/python3").exists() {
        eprintln!("python3 is missing: not checked");
        return;
    }
    let bundle = prepare(&request("/usr/bin/python3")).unwrap().bundle;
    let real = std::fs::canonicalize("/usr/bin/python3").unwrap();
    let library = Path::new("/usr/lib").join(real.file_name().unwrap());
    for part in ["os.py", "encodings/utf_8.py", "lib-dynload"] {
        assert!(bundle.has(&library.join(part)), "{part}");
    }
    assert!(bundle.has(Path::new("/etc/ssl/openssl.cnf")), "rules about libraries of modules apply too");
}

/// The documentation names every rule.
#[test]
fn the_rules_are_documented() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/bundling.md");
    let text = std::fs::read_to_string(page).unwrap();
    for rule in husk::rules::table::RULES {
        assert!(
            text.contains(&format!("| `{}` |", rule.name)),
            "{} is missing in docs/bundling.md",
            rule.name
        );
    }
}
