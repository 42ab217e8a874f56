//! `husk cache`.

use anyhow::Result;
use clap::Subcommand;
use husk::cache::{Cache, LIMIT};

/// Look at the images kept from run to run, or remove them.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Print the images and when they were last used.
    List,
    /// Remove the images unused for longest, until the rest takes up no more than 4 GiB.
    Prune,
    /// Remove all images.
    Clear,
}

/// Does it.
pub(crate) fn run(command: CacheCommand) -> Result<u8> {
    let cache = Cache::of_user()?;
    match command {
        CacheCommand::List => {
            let images = cache.list()?;
            for image in &images {
                let age = image.used.elapsed().unwrap_or_default().as_secs();
                println!("{:>8} MiB  used {age} s ago  {}", image.bytes >> 20, image.path.display());
            }
            println!("{:>8} MiB  in all", images.iter().map(|image| image.bytes).sum::<u64>() >> 20);
        }
        CacheCommand::Prune | CacheCommand::Clear => {
            let limit = if matches!(command, CacheCommand::Prune) { LIMIT } else { 0 };
            let (count, bytes) = cache.prune(limit, None)?;
            println!("removed {count} images, {} MiB", bytes >> 20);
        }
    }
    Ok(0)
}
