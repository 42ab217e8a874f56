//! Comes next.
#![forbid(unsafe_code)]

fn main() {}
