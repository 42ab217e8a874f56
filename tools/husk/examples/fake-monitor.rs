//! A stand-in for QEMU with a kernel in it: takes the same command line and speaks the kernel's side of the ports. What
//! it does is the first argument of the program that it is told to run.
#![forbid(unsafe_code)]

use husk_abi::boot::{BootConfig, Program};
use husk_abi::control::{Decoder, Event, ExitStatus, Request, encode};
use husk_abi::network::{Host, Interface, Network};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::exit;
use std::time::Duration;

struct Machine {
    stdio: UnixStream,
    stderr: UnixStream,
    control: UnixStream,
    serial: UnixStream,
    decoder: Decoder,
    boot: BootConfig,
    stdout_sent: u64,
    stderr_sent: u64,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let port = |name: &str| {
        let prefix = format!("socket,id={name},fd=");
        let fd = args.iter().find_map(|arg| arg.strip_prefix(&prefix)).expect("the chardev is there");
        let this = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
        UnixStream::from(pidfd_getfd(&this, fd.parse().unwrap(), PidfdGetfdFlags::empty()).unwrap())
    };
    let module = args.iter().skip_while(|arg| *arg != "-initrd").nth(1).expect("there is a boot module");
    let boot = BootConfig::decode(&std::fs::read(module).unwrap()).unwrap();
    let mut machine = Machine {
        stdio: port("stdio"),
        stderr: port("stderr"),
        control: port("control"),
        serial: port("serial"),
        decoder: Decoder::default(),
        boot,
        stdout_sent: 0,
        stderr_sent: 0,
    };
    machine.serial.write_all(b"the kernel's log\r\n").unwrap();
    let programs = machine.boot.programs.clone();
    if programs[0].argv.get(1).is_some_and(|arg| arg == b"never") {
        machine.print(b"ready\r\n");
        std::thread::sleep(Duration::from_secs(20));
    }
    if programs[0].argv.get(1).is_some_and(|arg| arg == b"give-up") {
        machine.send(&Event::Message("there is no disk".into()));
        machine.send(&Event::PowerOff);
        std::thread::sleep(Duration::from_secs(20));
    }
    for (index, program) in programs.iter().enumerate() {
        if index == 0 {
            machine.send(&Event::Started { boot_ns: 1_500_000 });
        }
        let status = machine.run(program);
        let (stdout_end, stderr_end) = (machine.stdout_sent, machine.stderr_sent);
        let index = index as u32;
        machine.send(&Event::ProgramEnded { index, status, ran_ns: 2_000_000, stdout_end, stderr_end });
    }
    machine.send(&Event::PowerOff);
    // The command ends the machine.
    std::thread::sleep(Duration::from_secs(20));
}

impl Machine {
    fn send(&mut self, event: &Event) {
        self.control.write_all(&encode(event)).unwrap();
    }

    fn print(&mut self, bytes: &[u8]) {
        self.stdio.write_all(bytes).unwrap();
        self.stdout_sent += bytes.len() as u64;
    }

    fn complain(&mut self, bytes: &[u8]) {
        self.stderr.write_all(bytes).unwrap();
        self.stderr_sent += bytes.len() as u64;
    }

    fn request(&mut self) -> Request {
        loop {
            if let Some(request) = self.decoder.next_message().unwrap() {
                return request;
            }
            let mut bytes = [0; 4096];
            match self.control.read(&mut bytes).unwrap() {
                // The kernel powers off when the tool is gone.
                0 => exit(0),
                count => self.decoder.push(&bytes[..count]),
            }
        }
    }

    fn run(&mut self, program: &Program) -> ExitStatus {
        let text =
            |index: usize| program.argv.get(index).map(|arg| String::from_utf8_lossy(arg).into_owned());
        let number = |index: usize| text(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        match text(1).unwrap_or_default().as_str() {
            "exit" => return ExitStatus::Exited(number(2) as u8),
            "print" => {
                self.print(text(2).unwrap().as_bytes());
                self.complain(text(3).unwrap().as_bytes());
            }
            "boot" => {
                let env: Vec<String> =
                    program.env.iter().map(|entry| String::from_utf8_lossy(entry).into_owned()).collect();
                let stdio = &self.boot.stdio;
                let report = format!(
                    "path={}\nargs={:?}\ncwd={}\nuid={} gid={} timeout={}\nhost={}\ntrace={}\n\
                     stdio={:?} {:?} {:?} {}x{}\n{}\n",
                    String::from_utf8_lossy(&program.path),
                    (0..program.argv.len()).map(|index| text(index).unwrap()).collect::<Vec<_>>(),
                    String::from_utf8_lossy(&program.cwd),
                    program.uid,
                    program.gid,
                    program.timeout_ms,
                    String::from_utf8_lossy(&self.boot.hostname),
                    self.boot.trace,
                    stdio.stdin,
                    stdio.stdout,
                    stdio.stderr,
                    stdio.rows,
                    stdio.cols,
                    env.join("\n")
                );
                self.print(report.as_bytes());
                self.print(network(&self.boot.network).as_bytes());
            }
            "cat" => {
                // Reads nothing before it knows where the end is: the message may overtake the bytes.
                let late = text(2).is_some();
                let mut end = if late { Some(self.stdin_end()) } else { None };
                let mut seen = 0;
                let mut bytes = vec![0; 64 << 10];
                if !late {
                    let mut control = self.control.try_clone().unwrap();
                    let (sender, receiver) = std::sync::mpsc::channel();
                    std::thread::spawn(move || {
                        let mut decoder = Decoder::default();
                        let mut bytes = [0; 256];
                        while let Ok(count @ 1..) = control.read(&mut bytes) {
                            decoder.push(&bytes[..count]);
                            if let Some(Request::StdinEof { sent }) = decoder.next_message().unwrap() {
                                sender.send(sent).unwrap();
                            }
                        }
                    });
                    self.stdio.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
                    while end != Some(seen) {
                        end = end.or_else(|| receiver.try_recv().ok());
                        if let Ok(count) = self.stdio.read(&mut bytes) {
                            seen += count as u64;
                            self.print(&bytes[..count]);
                        }
                    }
                }
                while end.is_some_and(|end| seen < end) {
                    let count = self.stdio.read(&mut bytes).unwrap();
                    seen += count as u64;
                    self.print(&bytes[..count]);
                }
            }
            "bytes" => {
                let piece: Vec<u8> = (0..number(2)).map(|i| (i % 251) as u8).collect();
                self.print(&piece);
            }
            "signaled" => {
                self.complain(b"last words\n");
                self.send(&Event::Message("the program crashed\nat some address".into()));
                return ExitStatus::Signaled(number(2) as u8);
            }
            "not-found" => return ExitStatus::NotStarted { errno: 2 },
            "timed-out" => return ExitStatus::TimedOut,
            "trace" => {
                for line in ["write(1, \"x\", 1) = 1", "exit_group(0) = ?"] {
                    self.send(&Event::Trace(line.into()));
                }
            }
            "panic" => {
                self.serial.write_all(b"HUSK PANIC at kernel.rs:1: out of luck\r\nframe 1\r\n").unwrap();
                exit(3);
            }
            "vanish" => exit(0),
            "complain" => {
                eprintln!("qemu-system-x86_64: no such device");
                exit(1);
            }
            "wait" => {
                self.print(b"ready\n");
                loop {
                    if let Request::Signal(signal) = self.request() {
                        return ExitStatus::Signaled(signal);
                    }
                }
            }
            "deaf" => {
                self.print(b"ready\n");
                std::thread::sleep(Duration::from_secs(20));
            }
            "flood" => {
                let mut stdio = self.stdio.try_clone().unwrap();
                std::thread::spawn(move || while stdio.write_all(b"y\n").is_ok() {});
                loop {
                    if let Request::Signal(signal) = self.request() {
                        return ExitStatus::Signaled(signal);
                    }
                }
            }
            "keys" => {
                self.print(b"ready\r\n");
                let mut byte = [0];
                while self.stdio.read(&mut byte).unwrap() == 1 && byte[0] != b'q' {
                    self.print(format!("<{}>", byte[0]).as_bytes());
                }
            }
            "window" => {
                self.print(b"ready\r\n");
                loop {
                    if let Request::WindowSize { rows, cols } = self.request() {
                        self.print(format!("{rows}x{cols}").as_bytes());
                        break;
                    }
                }
            }
            other => panic!("{other} is not known"),
        }
        ExitStatus::Exited(0)
    }

    fn stdin_end(&mut self) -> u64 {
        loop {
            if let Request::StdinEof { sent } = self.request() {
                return sent;
            }
        }
    }
}

/// What the kernel is told about the network, in lines.
fn network(network: &Network) -> String {
    let mut lines = Vec::new();
    for Interface { mac, addresses, gateways } in &network.interfaces {
        let mut words = vec![mac.map(|byte| format!("{byte:02x}")).join(":")];
        words.extend(addresses.iter().map(|address| format!("{}/{}", address.ip, address.prefix)));
        words.extend(gateways.iter().map(ToString::to_string));
        lines.push(format!("interface={}\n", words.join(" ")));
    }
    lines.extend(network.name_servers.iter().map(|ip| format!("name-server={ip}\n")));
    let host = |host: &Host| format!("add-host={} {}\n", String::from_utf8_lossy(&host.name), host.ip);
    lines.extend(network.hosts.iter().map(host));
    lines.concat()
}
