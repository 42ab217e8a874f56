//! Threads of Rust's standard library: scoped threads, channels, Mutex, Condvar, RwLock, Barrier, park, panics, time-outs.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Barrier, Condvar, Mutex, OnceLock, RwLock};
use std::thread;
use std::time::{Duration, Instant};

fn main() {
    let mut numbers: Vec<u64> = (0..100_000).map(|n| n * 7919 % 100_003).collect();
    let expected: u64 = numbers.iter().sum();
    let sum: u64 = thread::scope(|scope| {
        let parts: Vec<_> = numbers
            .chunks_mut(25_000)
            .map(|part| {
                scope.spawn(|| {
                    part.sort_unstable();
                    part.iter().sum::<u64>()
                })
            })
            .collect();
        parts.into_iter().map(|part| part.join().unwrap()).sum()
    });
    println!("scoped {}", sum == expected);

    let (sender, receiver) = mpsc::sync_channel(10);
    for id in 0..4 {
        let sender = sender.clone();
        thread::spawn(move || (0..1000).for_each(|n| sender.send(id * 1000 + n).unwrap()));
    }
    drop(sender);
    println!("channel {}", receiver.iter().sum::<i32>());

    let state = Arc::new((Mutex::new(0), Condvar::new()));
    let barrier = Arc::new(Barrier::new(6));
    let map = Arc::new(RwLock::new(std::collections::BTreeMap::new()));
    let leaders = Arc::new(AtomicUsize::new(0));
    static ONCE: OnceLock<String> = OnceLock::new();
    let threads: Vec<_> = (0..6)
        .map(|id| {
            let (state, barrier, map, leaders) =
                (state.clone(), barrier.clone(), map.clone(), leaders.clone());
            thread::Builder::new().name(format!("worker-{id}")).spawn(move || {
                map.write().unwrap().insert(id, thread::current().name().unwrap().to_string());
                if barrier.wait().is_leader() {
                    leaders.fetch_add(1, Ordering::SeqCst);
                }
                ONCE.get_or_init(|| "once".into());
                let (lock, changed) = &*state;
                let mut turn = changed.wait_while(lock.lock().unwrap(), |turn| *turn != id).unwrap();
                *turn += 1;
                changed.notify_all();
                map.read().unwrap().len()
            })
        })
        .map(Result::unwrap)
        .collect();
    let seen: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    println!(
        "turns {seen:?} leaders {} {:?} {:?}",
        leaders.load(Ordering::SeqCst),
        ONCE.get(),
        map.read().unwrap()
    );

    std::panic::set_hook(Box::new(|info| {
        println!("panic: {}", info.payload().downcast_ref::<&str>().unwrap())
    }));
    println!("joined {}", thread::spawn(|| panic!("in a thread")).join().is_err());

    let begin = Instant::now();
    thread::park_timeout(Duration::from_millis(20));
    println!("parked {}", begin.elapsed() >= Duration::from_millis(19));
    let main = thread::current();
    thread::spawn(move || main.unpark());
    thread::park();
    println!("parallelism {}", thread::available_parallelism().is_ok());
    std::process::exit(6);
}
