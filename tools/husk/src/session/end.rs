//! A machine that ended otherwise than by running its programs to their ends: what to tell the user.

use crate::error::failure;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

/// The kernel's last words begin with this on the serial line.
const PANIC: &str = "HUSK PANIC";
/// So much of the kernel's log is shown.
const LINES: usize = 20;

/// The monitor has ended without the kernel's having said that it is done.
pub(super) fn died(status: ExitStatus, serial: &str, monitor: &str) -> anyhow::Error {
    if let Some(at) = serial.find(PANIC) {
        let hint = "this is a fault in Husk: please report it with this text; \
                    `--verbose` shows the whole log, more memory (-m) may get around it";
        return failure(format!("the kernel panicked\n{}", serial[at..].trim_end()), hint);
    }
    let monitor = monitor.trim();
    let how = match (status.code(), status.signal()) {
        (_, Some(signal)) => format!("was killed by signal {signal}"),
        (Some(code), _) => format!("ended with status {code}"),
        (None, None) => "ended".to_owned(),
    };
    if !monitor.is_empty() {
        return failure(format!("QEMU {how}: {monitor}"), monitor_hint(monitor));
    }
    let message = format!("the machine stopped before the program ended (QEMU {how}){}", last_lines(serial));
    let hint = match status.signal() {
        Some(9) => "QEMU may have been killed because the host ran out of memory: try a smaller -m",
        _ => "`--verbose` shows the kernel's log; a reset without a word can be too little memory (-m)",
    };
    failure(message, hint)
}

/// KVM gave the machine up.
pub(super) fn broken(monitor: &str) -> anyhow::Error {
    failure(format!("KVM gave up: {}", monitor.trim()), "run in emulation: --accel tcg")
}

/// The kernel powered off with programs left to run; its messages have been shown, or are these.
pub(super) fn gave_up(messages: &[String]) -> anyhow::Error {
    let mut message = "the kernel powered off before all programs had run".to_owned();
    for line in messages {
        message.push('\n');
        message.push_str(line);
    }
    failure(message, "what it said before tells why; with --image, is that an image from `husk bundle`?")
}

/// The kernel did not say that it had started.
pub(super) fn never_started(limit: Duration, serial: &str, monitor: &str) -> anyhow::Error {
    let monitor = monitor.trim();
    let said = if monitor.is_empty() { String::new() } else { format!("\nQEMU: {monitor}") };
    failure(
        format!(
            "the kernel did not start a program within {} s{said}{}",
            limit.as_secs(),
            last_lines(serial)
        ),
        "the kernel may be of another version than this command, or the host is very busy; \
         `--accel tcg` rules KVM out as the cause",
    )
}

fn monitor_hint(text: &str) -> &'static str {
    if text.contains("KVM") || text.contains("kvm") {
        "KVM cannot be used: run with --accel tcg, or give your user access to /dev/kvm"
    } else if text.contains("Cannot allocate memory") || text.contains("cannot set up guest memory") {
        "the host has not that much memory: try a smaller -m"
    } else if text.contains("ELF") || text.contains("kernel") {
        "QEMU cannot load this kernel: is --kernel the file that `cargo xtask build` prints?"
    } else {
        "`--dry-run` prints the command line; QEMU 7.2 or newer is needed"
    }
}

fn last_lines(serial: &str) -> String {
    let lines: Vec<&str> = serial.trim_end().lines().collect();
    if lines.is_empty() {
        return "; the kernel's log is empty".to_owned();
    }
    let last = &lines[lines.len().saturating_sub(LINES)..];
    format!("; the end of the kernel's log:\n{}", last.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_shown_from_its_first_line() {
        let serial = "starting\nHUSK PANIC at x.rs:3: gone\nbacktrace\n";
        let text = died(ExitStatus::from_raw(0x0300), serial, "").to_string();
        assert_eq!(text, "the kernel panicked\nHUSK PANIC at x.rs:3: gone\nbacktrace");
    }

    #[test]
    fn other_ends_show_what_there_is() {
        let text = died(ExitStatus::from_raw(0x0100), "log", "qemu: no such option").to_string();
        assert_eq!(text, "QEMU ended with status 1: qemu: no such option");
        let text = died(ExitStatus::from_raw(9), "a\nb\n", "").to_string();
        assert!(text.contains("killed by signal 9") && text.ends_with("a\nb"), "{text}");
    }
}
