//! `husk bundle`.

use super::options::ProgramOptions;
use super::{ImageProgress, print_notes};
use anyhow::{Context, Result};
use clap::Args;
use husk::bundle::Bundle;
use husk::cache::write_image;
use husk::prepare::prepare;
use std::path::{Path, PathBuf};

/// Write a program and its files into an image, or list what would go in.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["output", "list"]))]
pub(crate) struct BundleOptions {
    /// Write the image to this file.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Print what goes in and why.
    #[arg(long)]
    list: bool,

    /// Also print what was left out.
    #[arg(long)]
    verbose: bool,

    #[command(flatten)]
    program: ProgramOptions,
}

/// Does it.
pub(crate) fn run(options: &BundleOptions) -> Result<u8> {
    let (request, _) = options.program.request()?;
    let prepared = prepare(&request)?;
    if options.list {
        print_list(&prepared.bundle);
    }
    if options.verbose {
        print_notes(&prepared.bundle);
    }
    if let Some(path) = &options.output {
        write(&prepared.bundle, path)?;
    }
    Ok(0)
}

/// Under another name first, so that no half image is left behind.
fn write(bundle: &Bundle, path: &Path) -> Result<()> {
    let dir = match path.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    };
    let context = || format!("cannot write the image {}", path.display());
    let file = tempfile::Builder::new().prefix(".husk-").tempfile_in(dir).with_context(context)?;
    let mut progress = ImageProgress::new();
    write_image(bundle, &bundle.fingerprint(), file.as_file(), &mut |done, total| {
        progress.update(done, total);
    })
    .with_context(context)?;
    // Temporary files are private; this one is not to stay so.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(mode).with_context(context)?;
    file.persist(path).with_context(context)?;
    Ok(())
}

/// What goes into the image: size, files, why, path.
pub(crate) fn print_list(bundle: &Bundle) {
    use std::io::Write;
    let mut text = String::new();
    for item in bundle.items() {
        let files = if item.files == 1 { String::new() } else { format!(" ({} files)", item.files) };
        text += &format!("{:>12}  {}{files}  [{}]\n", item.bytes, item.path.display(), item.reason);
    }
    text += &format!("{:>12}  in all\n", bundle.bytes());
    // A reader that has seen enough is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
