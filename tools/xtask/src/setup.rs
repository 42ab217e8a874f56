//! What a fresh machine needs, installed on demand: the Rust target, QEMU and what the tests run.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{check, check_quietly, is_installed};

/// The kernel's compilation target.
pub(crate) const TARGET: &str = "x86_64-unknown-none";

/// A Debian package and a file that shows it is installed: a command's name, or an absolute path.
struct Package {
    name: &'static str,
    shown_by: &'static str,
}

const fn package(name: &'static str, shown_by: &'static str) -> Package {
    Package { name, shown_by }
}

const FOR_RUNNING: &[Package] = &[package("qemu-system-x86", "qemu-system-x86_64")];

const FOR_TESTS: &[Package] = &[
    package("gcc", "gcc"),
    package("g++", "g++"),
    package("gfortran", "gfortran"),
    package("libc6-dev", "/usr/include/stdio.h"),
    package("musl-tools", "musl-gcc"),
    package("e2fsprogs", "e2fsck"),
    package("ocaml-nox", "ocamlopt"),
    package("busybox-static", "/bin/busybox"),
    package("python3", "/usr/bin/python3"),
    package("libpython3-stdlib", "/usr/lib/python3.11/sqlite3/__init__.py"),
    package("libpython3.11-testsuite", "/usr/lib/python3.11/test/test_json/__init__.py"),
    package("perl", "/usr/bin/perl"),
    package("perl-modules-5.36", "/usr/share/perl/5.36/Test/More.pm"),
    package("lua5.4", "lua5.4"),
    package("sqlite3", "sqlite3"),
    package("bc", "bc"),
    package("gawk", "gawk"),
    package("jq", "jq"),
    package("openssl", "openssl"),
    package("xz-utils", "xz"),
];

/// What some of the real programs need beside that, by the name that programs.toml and runtimes.toml use.
const RUNTIMES: &[(&str, &[Package])] = &[
    (
        "go",
        &[
            package("golang-go", "go"),
            package("golang-src", "/usr/lib/go/src/time/sleep_test.go"),
            package("tzdata", "/usr/share/zoneinfo/America/New_York"),
        ],
    ),
    ("java", &[package("openjdk-17-jdk-headless", "javac")]),
    ("node", &[package("nodejs", "/usr/bin/node")]),
    ("erlang", &[package("erlang-base", "erlc")]),
];

const FOR_BENCHMARKS: &[Package] = &[package("musl-tools", "musl-gcc")];

/// For `run`: the Rust target and a monitor.
pub(crate) fn for_running() -> Result<()> {
    rust_target()?;
    install(FOR_RUNNING.iter())
}

/// For `test`, `conform` and `programs`.
pub(crate) fn for_tests() -> Result<()> {
    rust_target()?;
    install(FOR_RUNNING.iter().chain(FOR_TESTS))
}

/// For `bench`.
pub(crate) fn for_benchmarks() -> Result<()> {
    rust_target()?;
    install(FOR_RUNNING.iter().chain(FOR_BENCHMARKS))
}

/// For the programs that need one of [`RUNTIMES`]. Of two errors, the inner one says why it cannot be had here: its programs
/// are then left out.
pub(crate) fn runtime(name: &str) -> Result<Result<()>> {
    let (_, packages) = RUNTIMES
        .iter()
        .find(|(known, _)| *known == name)
        .with_context(|| format!("no runtime is called {name}"))?;
    Ok(install(packages.iter()))
}

fn rust_target() -> Result<()> {
    let sysroot = Command::new("rustc")
        .args(["--print", "sysroot"])
        .current_dir(crate::command::root())
        .output()
        .context("cannot run rustc: install Rust with rustup")?;
    let sysroot = String::from_utf8(sysroot.stdout)?;
    if Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).is_dir() {
        return Ok(());
    }
    eprintln!("xtask: installing the Rust target {TARGET}");
    check(Command::new("rustup").args(["target", "add", TARGET]).current_dir(crate::command::root())).with_context(
        || format!("the kernel is built for {TARGET}; install that target (`rustup target add {TARGET}`) and try again"),
    )
}

fn is_present(package: &Package) -> bool {
    match package.shown_by {
        path if path.starts_with('/') => Path::new(path).exists(),
        name => is_installed(name),
    }
}

fn install<'a>(packages: impl Iterator<Item = &'a Package>) -> Result<()> {
    let missing: BTreeSet<&str> =
        packages.filter(|package| !is_present(package)).map(|package| package.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.iter().copied().collect::<Vec<_>>().join(" ");
    if !is_installed("apt-get") {
        bail!("these Debian packages (or their like) are needed: {list}; install them and try again");
    }
    if !rustix::process::geteuid().is_root() {
        bail!("these packages are needed: run `sudo apt-get install {list}` and try again");
    }
    eprintln!("xtask: installing {list}");
    // A failing update (one broken mirror among several) need not stop the installation.
    if let Err(error) = check_quietly(Command::new("apt-get").args(["update", "-q"])) {
        eprintln!("xtask: warning: {error:#}");
    }
    check_quietly(
        Command::new("apt-get")
            .args(["install", "-y", "-q", "--no-install-recommends"])
            .args(&missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
    .with_context(|| format!("cannot install the packages {list}"))
}
