//! The `husk run` command against a stand-in for QEMU and the kernel.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const HUSK: &str = env!("CARGO_BIN_EXE_husk");

fn fake_monitor() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().parent().unwrap().join("examples/fake-monitor");
    assert!(path.exists(), "{} is missing: run `cargo test -p husk`, which builds it", path.display());
    path
}

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Its contents do not matter to the stand-in.
        std::fs::write(dir.path().join("kernel"), b"\x7fELF").unwrap();
        Self { dir }
    }

    /// `husk run OPTIONS -- /bin/true ARGS`
    fn husk(&self, options: &[&str], args: &[&str]) -> Command {
        let mut command = self.bare(options);
        command.arg("--").arg("/bin/true").args(args);
        command
    }

    fn bare(&self, options: &[&str]) -> Command {
        let mut command = Command::new(HUSK);
        command.arg("run").arg("--qemu").arg(fake_monitor()).args(["--accel", "tcg"]);
        command.arg("--kernel").arg(self.dir.path().join("kernel")).args(options);
        command.env("XDG_CACHE_HOME", self.dir.path()).env("TERM", "xterm").env_remove("HUSK_KERNEL");
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, options: &[&str], args: &[&str]) -> Output {
        self.husk(options, args).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn wait(child: &mut Child) -> i32 {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or_else(|| -status.signal().unwrap());
        }
        if start.elapsed() > Duration::from_secs(10) {
            child.kill().unwrap();
            panic!("the command did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

fn read_until(file: &mut (impl Read + AsFd), end: &str) -> String {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !text(&seen).ends_with(end) {
        let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(&*file, PollFlags::IN)], Some(&limit)).unwrap();
        assert_eq!(ready, 1, "nothing comes after {:?}", text(&seen));
        assert_eq!(file.read(&mut byte).unwrap(), 1, "the end came after {:?}", text(&seen));
        seen.push(byte[0]);
    }
    text(&seen)
}

#[test]
fn exit_codes_are_the_programs() {
    let bench = Bench::new();
    for (args, code) in [
        (&["exit", "0"][..], 0),
        (&["exit", "3"], 3),
        (&["exit", "255"], 255),
        (&["signaled", "11"], 139),
        (&["not-found"], 127),
        (&["timed-out"], 124),
    ] {
        assert_eq!(bench.run(&[], args).status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn output_goes_where_it_belongs() {
    let out = Bench::new().run(&[], &["print", "to stdout", "to stderr"]);
    assert_eq!((text(&out.stdout), text(&out.stderr)), ("to stdout".into(), "to stderr".into()));
}

#[test]
fn a_crash_is_told_after_the_programs_last_words() {
    let out = Bench::new().run(&[], &["signaled", "11"]);
    assert_eq!(text(&out.stderr), "last words\nhusk: the program crashed\nhusk: at some address\n");
}

#[test]
fn the_kernel_is_told_what_was_asked_for() {
    let bench = Bench::new();
    let options = [
        "-e",
        "A=b=c",
        "-e",
        "EMPTY=",
        "-e",
        "HUSK_TEST_UNSET",
        "--workdir",
        "/some/dir",
        "--hostname",
        "name",
        "--uid",
        "5",
        "--gid",
        "6",
        "--timeout",
        "1.5",
    ];
    let out = bench.run(&options, &["boot", "an argument", "", "-m", "--", "ü"]);
    let seen = text(&out.stdout);
    for line in [
        "path=/bin/true",
        r#"args=["/bin/true", "boot", "an argument", "", "-m", "--", "ü"]"#,
        "cwd=/some/dir",
        "uid=5 gid=6 timeout=1500",
        "host=name",
        "trace=false",
        "stdio=Null Pipe Pipe 0x0",
        "A=b=c",
        "EMPTY=",
        "HOME=/root",
        "TERM=xterm",
    ] {
        assert!(seen.lines().any(|found| found == line), "{line} is missing in\n{seen}{}", text(&out.stderr));
    }
    assert!(!seen.contains("HUSK_TEST_UNSET"));
}

#[test]
fn the_kernel_is_told_of_the_network() {
    let bench = Bench::new();
    let out = bench.run(&["-p", "127.0.0.1:47631:80", "--add-host", "db:10.0.0.5"], &["boot"]);
    let seen = text(&out.stdout);
    for line in
        ["interface=52:54:00:12:34:56 10.0.2.15/24 10.0.2.2", "name-server=10.0.2.3", "add-host=db 10.0.0.5"]
    {
        assert!(seen.lines().any(|found| found == line), "{line} is missing in\n{seen}{}", text(&out.stderr));
    }
    let nothing = text(&bench.run(&[], &["boot"]).stdout);
    assert!(nothing.contains("host=husk") && !nothing.contains("interface="), "{nothing}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let out = bench.run(&["-p", &format!("{port}:80")], &["exit", "0"]);
    assert_eq!(out.status.code(), Some(125));
    let expected = format!(
        "husk: error: -p: TCP port {port} of 127.0.0.1 is in use on this host\n\
         husk: hint: choose another port, or end the program that has it\n"
    );
    assert_eq!(text(&out.stderr), expected);
}

#[test]
fn a_script_brings_itself_and_the_working_directory() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    std::fs::write(dir.join("boot"), "true").unwrap();
    let mut command = bench.bare(&[]);
    command.args(["--", "/bin/sh", "boot"]).current_dir(&dir);
    let seen = text(&command.output().unwrap().stdout);
    assert!(seen.contains(&format!("cwd={}\n", dir.display())), "{seen}");
}

#[test]
fn stdin_arrives_whole_though_its_end_may_overtake_it() {
    let bench = Bench::new();
    let data: Vec<u8> = (0..3_000_000_u32).map(|i| (i * 7 % 253) as u8).collect();
    for (args, size) in [(&["cat"][..], data.len()), (&["cat", "late"], 100_000)] {
        let mut command = bench.husk(&[], args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = data[..size].to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
        let mut seen = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut seen).unwrap();
        writer.join().unwrap();
        assert_eq!(wait(&mut child), 0);
        assert!(seen == data[..size], "{args:?}: {} of {size} bytes", seen.len());
    }
}

#[test]
fn a_slow_reader_gets_everything() {
    let bench = Bench::new();
    let mut child = bench.husk(&[], &["bytes", "2000000"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let mut seen = Vec::new();
    stdout.read_to_end(&mut seen).unwrap();
    assert_eq!(wait(&mut child), 0);
    assert!(seen.len() == 2_000_000 && seen.iter().enumerate().all(|(i, byte)| *byte == (i % 251) as u8));
}

#[test]
fn a_reader_that_goes_ends_the_program_as_in_any_pipeline() {
    let bench = Bench::new();
    let mut child = bench.husk(&[], &["flood"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    read_until(&mut stdout, "y\n");
    drop(stdout);
    assert_eq!(wait(&mut child), 141);
}

#[test]
fn signals_reach_the_program_and_the_second_ends_the_machine() {
    use rustix::process::Signal;
    let bench = Bench::new();
    for (args, signals, code) in [
        ("wait", &[Signal::TERM][..], 143),
        ("wait", &[Signal::INT], 130),
        ("wait", &[Signal::HUP], 129),
        ("deaf", &[Signal::TERM, Signal::INT], 130),
    ] {
        let mut child = bench.husk(&[], &[args]).stdout(Stdio::piped()).spawn().unwrap();
        read_until(child.stdout.as_mut().unwrap(), "ready\n");
        for (count, which) in signals.iter().enumerate() {
            if count > 0 {
                std::thread::sleep(Duration::from_millis(200));
            }
            signal(&child, *which);
        }
        assert_eq!(wait(&mut child), code, "{args} {signals:?}");
    }
}

/// The monitors that run, by the program they were told to run: none may outlive its command.
fn monitors(mark: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .filter(|line| text(line).contains("fake-monitor") && text(line).contains(mark))
        .count()
}

#[test]
fn the_monitor_ends_when_the_command_is_killed() {
    let bench = Bench::new();
    // The file descriptors' numbers are on the monitor's command line, the kernel's path is not: mark it by memory.
    let mut child = bench.husk(&["-m", "77777k"], &["deaf"]).stdout(Stdio::piped()).spawn().unwrap();
    read_until(child.stdout.as_mut().unwrap(), "ready\n");
    assert_eq!(monitors("77777k"), 2, "the command and its monitor");
    child.kill().unwrap();
    child.wait().unwrap();
    let start = Instant::now();
    while monitors("77777k") > 0 {
        assert!(start.elapsed() < Duration::from_secs(5), "the monitor lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_goes_wrong_is_told() {
    let bench = Bench::new();
    for (args, parts) in [
        (
            &["panic"][..],
            &["the kernel panicked", "HUSK PANIC at kernel.rs:1: out of luck", "frame 1", "hint"][..],
        ),
        (&["give-up"], &["husk: there is no disk", "powered off before all programs had run"]),
        (&["vanish"], &["the machine stopped before the program ended", "the kernel's log"]),
        (&["complain"], &["QEMU ended with status 1: qemu-system-x86_64: no such device"]),
    ] {
        let out = bench.run(&[], args);
        let errors = text(&out.stderr);
        assert_eq!(out.status.code(), Some(125), "{args:?}: {errors}");
        assert!(parts.iter().all(|part| errors.contains(part)), "{args:?}: {errors}");
    }
}

#[test]
fn mistakes_of_the_user_are_told() {
    let bench = Bench::new();
    let text_file = bench.dir.path().join("text");
    std::fs::write(&text_file, "no program").unwrap();
    let text_file = text_file.to_str().unwrap();
    for (options, program, part) in [
        (&[][..], "/no/such/program", "/no/such/program does not exist"),
        (&[], "no-such-program", "is in none of the directories of PATH"),
        (&[], text_file, "not an ELF program"),
        (&[], "/etc", "is a directory"),
        (&["--add", "/no/such/file"], "/bin/true", "--add /no/such/file"),
        (&["--qemu", "/no/such/qemu"], "/bin/true", "there is no QEMU at"),
        (&["--kernel", "/no/such/kernel"], "/bin/true", "cannot read the kernel"),
    ] {
        let mut command = Command::new(HUSK);
        command.arg("run").args(["--accel", "tcg"]);
        if !options.contains(&"--qemu") {
            command.arg("--qemu").arg(fake_monitor());
        }
        if !options.contains(&"--kernel") {
            command.arg("--kernel").arg(bench.dir.path().join("kernel"));
        }
        let command = command.args(options).args(["--", program, "exit", "0"]);
        let out = command.env("XDG_CACHE_HOME", bench.dir.path()).output().unwrap();
        let errors = text(&out.stderr);
        assert_eq!(out.status.code(), Some(125), "{program}: {errors}");
        assert!(errors.contains("husk: error: ") && errors.contains(part), "{part}: {errors}");
    }
    let out = bench.bare(&["--no-such-option", "/bin/true"]).output().unwrap();
    assert_eq!(out.status.code(), Some(125));
    assert!(text(&out.stderr).contains("unknown option --no-such-option"), "{}", text(&out.stderr));
}

#[test]
fn traces_go_to_stderr_or_a_file() {
    let bench = Bench::new();
    let trace = "write(1, \"x\", 1) = 1\nexit_group(0) = ?\n";
    assert_eq!(text(&bench.run(&["--trace"], &["trace"]).stderr), trace);
    let file = bench.dir.path().join("trace");
    let out = bench.run(&[&format!("--trace={}", file.display())], &["trace"]);
    assert_eq!(text(&out.stderr), "");
    assert_eq!(std::fs::read_to_string(file).unwrap(), trace);
}

#[test]
fn several_programs_and_their_report() {
    let bench = Bench::new();
    let manifest = bench.dir.path().join("programs.toml");
    std::fs::write(
        &manifest,
        "[[program]]\nname = 'first'\npath = '/bin/true'\nargv = ['true', 'print', 'one', 'err']\n\
         [[program]]\npath = '/bin/true'\nargv = ['true', 'signaled', '6']\n\
         [[program]]\npath = 'true'\nargv = ['true', 'exit', '4']\n",
    )
    .unwrap();
    let report = bench.dir.path().join("report");
    let out = bench
        .bare(&["--report", "json", "--report-file", report.to_str().unwrap(), "--manifest"])
        .arg(&manifest)
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(134), "{}", text(&out.stderr));
    assert_eq!(text(&out.stdout), "");
    let lines: Vec<serde_json::Value> = std::fs::read_to_string(report)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["name"], "first");
    assert_eq!((&lines[0]["stdout"], &lines[0]["stderr"]), (&"one".into(), &"err".into()));
    assert_eq!((&lines[1]["signal"], &lines[1]["stderr"]), (&6.into(), &"last words\n".into()));
    assert_eq!(lines[2]["code"], 4);

    let out = bench.bare(&["--report", "text", "--manifest"]).arg(&manifest).output().unwrap();
    assert_eq!(text(&out.stdout), "one");
    let errors = text(&out.stderr);
    assert!(errors.contains("husk: program 0 (first): exited with 0 after 2.000 ms\n"), "{errors}");
    assert!(errors.contains("husk: program 1 (/bin/true): killed by signal 6"), "{errors}");
}

/// A terminal: the end that a user sits at, and the end for the command.
fn terminal() -> (File, File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let user: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&user).unwrap();
    unlockpt(&user).unwrap();
    let name = ptsname(&user, Vec::new()).unwrap();
    let line = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let size = rustix::termios::Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&line, size).unwrap();
    (File::from(user), line)
}

fn on_terminal(command: &mut Command, line: &File) -> Child {
    let again = || line.try_clone().unwrap();
    command.stdin(again()).stdout(again()).stderr(again()).spawn().unwrap()
}

#[test]
fn a_terminal_is_raw_meanwhile_and_as_before_afterwards() {
    let bench = Bench::new();
    let (mut user, line) = terminal();
    let mut child = on_terminal(&mut bench.husk(&[], &["keys"]), &line);
    read_until(&mut user, "ready\r\n");
    assert!(!tcgetattr(&line).unwrap().local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO));
    // Ctrl-C, Ctrl-D and Ctrl-Z are keys like others: the guest decides.
    user.write_all(b"a\x03\x04\x1a\r").unwrap();
    assert_eq!(read_until(&mut user, "<13>"), "<97><3><4><26><13>");
    user.write_all(b"q").unwrap();
    assert_eq!(wait(&mut child), 0);
    assert!(tcgetattr(&line).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO));
}

#[test]
fn the_terminal_is_set_back_after_a_failure() {
    let bench = Bench::new();
    let (mut user, line) = terminal();
    let mut child = on_terminal(&mut bench.husk(&[], &["panic"]), &line);
    assert_eq!(wait(&mut child), 125);
    assert!(tcgetattr(&line).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO));
    read_until(&mut user, "out of luck\r\n");
}

#[test]
fn the_escape_key_ends_a_machine_that_does_not_answer() {
    let bench = Bench::new();
    let (mut user, line) = terminal();
    let mut child = on_terminal(&mut bench.husk(&[], &["deaf"]), &line);
    read_until(&mut user, "ready");
    user.write_all(b"\x1d\x1dx\x1d\x1d\x1d").unwrap();
    assert_eq!(wait(&mut child), 137);
}

#[test]
fn an_interrupt_before_the_program_has_started_ends_the_machine() {
    let bench = Bench::new();
    let (mut user, line) = terminal();
    let mut child = on_terminal(&mut bench.husk(&[], &["never"]), &line);
    read_until(&mut user, "ready\r\n");
    user.write_all(b"abc\x03").unwrap();
    assert_eq!(wait(&mut child), 130);
}

#[test]
fn the_window_size_is_told_at_the_start_and_when_it_changes() {
    let bench = Bench::new();
    let (mut user, line) = terminal();
    let mut child = on_terminal(&mut bench.husk(&[], &["boot"]), &line);
    read_until(&mut user, "stdio=Tty Tty Tty 40x100\n");
    read_until(&mut user, "LANG=C.UTF-8\n");
    assert_eq!(wait(&mut child), 0);

    let mut child = on_terminal(&mut bench.husk(&[], &["window"]), &line);
    read_until(&mut user, "ready\r\n");
    let size = rustix::termios::Winsize { ws_row: 50, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&line, size).unwrap();
    // The test's terminal controls no session, so the host sends no signal of its own.
    signal(&child, rustix::process::Signal::WINCH);
    read_until(&mut user, "50x120");
    assert_eq!(wait(&mut child), 0);
}

#[test]
fn many_runs_of_one_image_at_once() {
    let bench = Bench::new();
    let mut children: Vec<Child> =
        (0..8).map(|i| bench.husk(&[], &["exit", &i.to_string()]).spawn().unwrap()).collect();
    for (i, child) in children.iter_mut().enumerate() {
        assert_eq!(wait(child), i as i32);
    }
    let images = std::fs::read_dir(bench.dir.path().join("husk")).unwrap();
    let images =
        images.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "img"));
    assert_eq!(images.count(), 1, "one image, and nothing half-written");
}
