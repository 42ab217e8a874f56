//! Tests of the public interface, against made-up files, hostile ones and those of the machine.

mod hostile;
mod plan;
mod real_files;
mod stack;
mod support;
mod vdso;
