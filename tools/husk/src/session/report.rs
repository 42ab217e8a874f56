//! Status lines about programs (`--report`).

use husk_abi::control::ExitStatus;
use serde::Serialize;
use std::io::Write;
use std::time::Duration;

/// How status lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One line of text; the programs' output goes where it always goes.
    Text,
    /// One JSON object a line, which also holds the program's output.
    Json,
}

/// Where status lines go.
pub struct Report {
    /// How they look.
    pub format: Format,
    /// Where they are written; none for standard error.
    pub file: Option<std::fs::File>,
    /// A name for each program.
    pub names: Vec<String>,
}

/// How one program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramResult {
    /// Its place in the list of programs.
    pub index: u32,
    /// How it ended.
    pub status: ExitStatus,
    /// How long it ran.
    pub ran: Duration,
    /// What it wrote, where that was captured.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, where that was captured.
    pub stderr: Vec<u8>,
    /// What the kernel had to say about it.
    pub messages: Vec<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    index: u32,
    name: &'a str,
    /// `exited`, `signaled`, `not-started` or `timed-out`.
    status: &'static str,
    /// The exit code as a shell shows it.
    code: u8,
    signal: Option<u8>,
    timed_out: bool,
    ran_ms: f64,
    stdout: String,
    stderr: String,
    messages: &'a [String],
}

impl Report {
    /// The line about one program, with its line end.
    #[must_use]
    pub fn line(&self, result: &ProgramResult) -> String {
        let name = self.names.get(result.index as usize).map_or("", String::as_str);
        let ran_ms = result.ran.as_secs_f64() * 1e3;
        let (status, signal) = match result.status {
            ExitStatus::Exited(_) => ("exited", None),
            ExitStatus::Signaled(signal) => ("signaled", Some(signal)),
            ExitStatus::NotStarted { .. } => ("not-started", None),
            ExitStatus::TimedOut => ("timed-out", None),
        };
        match self.format {
            Format::Text => {
                let how = match result.status {
                    ExitStatus::Exited(code) => format!("exited with {code}"),
                    ExitStatus::Signaled(signal) => format!("killed by signal {signal}"),
                    ExitStatus::NotStarted { errno } => format!("not started (errno {errno})"),
                    ExitStatus::TimedOut => "timed out".to_owned(),
                };
                format!("husk: program {} ({name}): {how} after {ran_ms:.3} ms\n", result.index)
            }
            Format::Json => {
                let line = Line {
                    index: result.index,
                    name,
                    status,
                    code: result.status.exit_code(),
                    signal,
                    timed_out: result.status == ExitStatus::TimedOut,
                    ran_ms,
                    stdout: String::from_utf8_lossy(&result.stdout).into_owned(),
                    stderr: String::from_utf8_lossy(&result.stderr).into_owned(),
                    messages: &result.messages,
                };
                let mut text = serde_json::to_string(&line).expect("plain data has a JSON form");
                text.push('\n');
                text
            }
        }
    }

    /// Writes the line to its file; gives it back if it belongs on standard error.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, result: &ProgramResult) -> std::io::Result<Option<String>> {
        let line = self.line(result);
        match &mut self.file {
            Some(file) => file.write_all(line.as_bytes()).map(|()| None),
            None => Ok(Some(line)),
        }
    }
}
