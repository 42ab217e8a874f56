//! What stands behind the command's own standard descriptors.

use husk_abi::boot::{Stdio, StdioKind};
use std::os::fd::{AsFd, BorrowedFd};

/// Looks at descriptors 0, 1 and 2. A descriptor that was closed when the command started counts as `/dev/null`: Rust's
/// runtime opens that in its place.
#[must_use]
pub fn detect() -> Stdio {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let (rows, cols) = window_size().unwrap_or((0, 0));
    Stdio {
        stdin: kind(stdin.as_fd()),
        stdout: kind(stdout.as_fd()),
        stderr: kind(stderr.as_fd()),
        rows,
        cols,
    }
}

fn kind(fd: BorrowedFd<'_>) -> StdioKind {
    if rustix::termios::isatty(fd) {
        return StdioKind::Tty;
    }
    match rustix::fs::fstat(fd) {
        Ok(stat)
            if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_char_device()
                && rustix::fs::major(stat.st_rdev) == 1
                && rustix::fs::minor(stat.st_rdev) == 3 =>
        {
            StdioKind::Null
        }
        Ok(_) => StdioKind::Pipe,
        Err(_) => StdioKind::Closed,
    }
}

/// Rows and columns of the terminal, if any standard descriptor is one.
pub(super) fn window_size() -> Option<(u16, u16)> {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]
        .into_iter()
        .find_map(|fd| rustix::termios::tcgetwinsize(fd).ok())
        .map(|size| (size.ws_row, size.ws_col))
}
