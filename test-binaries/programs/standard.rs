// What a Rust program uses of the system without threads: arguments, environment, files, time, a caught panic.
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("arguments: {:?}", std::env::args().skip(1).collect::<Vec<_>>());
    println!("HOME: {:?}", std::env::var("HOME").ok());

    let folder = std::env::temp_dir().join(format!("standard-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let path = folder.join("file with spaces");
    let mut file = std::fs::File::options().read(true).write(true).create_new(true).open(&path)?;
    writeln!(file, "first\nsecond")?;
    file.seek(SeekFrom::Start(6))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    println!("read back: {text:?}, {} bytes", file.metadata()?.len());
    let names: Vec<_> = std::fs::read_dir(&folder)?.map(|entry| entry.map(|e| e.file_name())).collect::<Result<_, _>>()?;
    println!("entries: {names:?}");
    let missing = std::fs::File::open(folder.join("missing")).unwrap_err();
    println!("missing: {:?}, {missing}", missing.kind());
    std::fs::remove_dir_all(&folder)?;
    println!("gone: {}", !folder.exists());

    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(20));
    println!("slept: {}", start.elapsed() >= Duration::from_millis(20));

    let mut counts: HashMap<u64, u32> = HashMap::new();
    for number in 0..100_000u64 {
        *counts.entry(number * number % 97).or_default() += 1;
    }
    let ordered: BTreeMap<_, _> = counts.into_iter().collect();
    println!("classes: {}, sum {}", ordered.len(), ordered.values().sum::<u32>());

    std::panic::set_hook(Box::new(|info| println!("panic: {}", info.payload_as_str().unwrap_or("?"))));
    let caught = std::panic::catch_unwind(|| Vec::<u8>::new()[std::env::args().count()]);
    println!("caught: {}", caught.is_err());

    for line in std::io::stdin().lock().lines() {
        println!("line: {}", line?);
    }
    std::process::exit(9);
}
