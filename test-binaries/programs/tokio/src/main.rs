//! tokio's multi-threaded runtime: tasks by the thousand, channels, timers, blocking calls, files, signals and a Unix socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Barrier, Mutex, RwLock, Semaphore, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(all());
    runtime.shutdown_timeout(Duration::from_secs(20));
    std::process::exit(7);
}

async fn all() {
    let mut tasks = JoinSet::new();
    (0..10_000u64).for_each(|n| {
        tasks.spawn(async move {
            tokio::task::yield_now().await;
            n * 2
        });
    });
    println!("tasks {}", tasks.join_all().await.iter().sum::<u64>());
    println!("locks {:?}", locks().await);
    println!("channels {:?}", channels().await);
    println!("timers {:?}", timers().await);
    println!("blocking {}", blocking().await);
    println!("file {:?}", file().await.unwrap());
    println!("stream {:?}", stream().await.unwrap());
    println!("signal {}", signals().await.unwrap());
    println!("input {:?}", input().await.unwrap());
    let failed = tokio::spawn(async { std::panic::resume_unwind(Box::new("on purpose")) }).await;
    println!("panic {}", failed.is_err_and(|error: tokio::task::JoinError| error.is_panic()));
}

async fn locks() -> (usize, usize, usize, usize) {
    let (mutex, lock) = (Arc::new(Mutex::new(0)), Arc::new(RwLock::new(0)));
    let (barrier, semaphore) = (Arc::new(Barrier::new(100)), Arc::new(Semaphore::new(3)));
    let (leaders, inside, most) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let (mutex, lock, barrier, semaphore) =
            (mutex.clone(), lock.clone(), barrier.clone(), semaphore.clone());
        let (leaders, inside, most) = (leaders.clone(), inside.clone(), most.clone());
        tasks.spawn(async move {
            for _ in 0..50 {
                *mutex.lock().await += 1;
                *lock.write().await += 1;
            }
            if barrier.wait().await.is_leader() {
                leaders.fetch_add(1, Ordering::SeqCst);
            }
            let _permit = semaphore.acquire().await.unwrap();
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(Duration::from_millis(1)).await;
            inside.fetch_sub(1, Ordering::SeqCst);
        });
    }
    tasks.join_all().await;
    let (locked, written) = (*mutex.lock().await, *lock.read().await);
    (locked, written, leaders.load(Ordering::SeqCst), most.load(Ordering::SeqCst).min(3))
}

async fn channels() -> (usize, usize, usize, &'static str) {
    let (sender, mut receiver) = mpsc::channel(8);
    for id in 0..10 {
        let sender = sender.clone();
        tokio::spawn(async move {
            for n in 0..200 {
                sender.send(id * 200 + n).await.unwrap();
            }
        });
    }
    drop(sender);
    let mut sum = 0;
    while let Some(n) = receiver.recv().await {
        sum += n;
    }
    let (all, _) = broadcast::channel(64);
    let listeners: Vec<_> = (0..20).map(|_| all.subscribe()).collect();
    (0..50).for_each(|n| drop(all.send(n)));
    let mut heard = 0;
    for mut listener in listeners {
        for _ in 0..50 {
            heard += listener.recv().await.unwrap();
        }
    }
    let (state, mut watcher) = watch::channel(0);
    let watching = tokio::spawn(async move { *watcher.wait_for(|&n| n == 5).await.unwrap() });
    (1..=5).for_each(|n| state.send(n).unwrap());
    let (one, answer) = oneshot::channel();
    tokio::spawn(async move { one.send("answer").unwrap() });
    (sum, heard, watching.await.unwrap(), answer.await.unwrap())
}

async fn timers() -> (bool, usize, bool) {
    let begin = Instant::now();
    let mut sleepers = JoinSet::new();
    (0..1000).for_each(|n| drop(sleepers.spawn(sleep(Duration::from_millis(n % 40)))));
    sleepers.join_all().await;
    let late_enough = begin.elapsed() >= Duration::from_millis(39);
    let mut ticker = interval(Duration::from_millis(2));
    let mut ticks = 0;
    while ticks < 10 {
        ticker.tick().await;
        ticks += 1;
    }
    let never = timeout(Duration::from_millis(10), std::future::pending::<()>()).await;
    (late_enough, ticks, never.is_err())
}

async fn blocking() -> usize {
    let mut tasks = JoinSet::new();
    for n in 0..50 {
        tasks.spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(5));
            n
        });
    }
    tasks.join_all().await.iter().sum()
}

async fn file() -> std::io::Result<(String, u64, bool)> {
    let name = std::env::temp_dir().join(format!("tokio-{}", std::process::id()));
    let mut file = tokio::fs::File::create_new(&name).await?;
    for n in 0..100 {
        file.write_all(format!("line {n}\n").as_bytes()).await?;
    }
    file.sync_all().await?;
    let length = tokio::fs::metadata(&name).await?.len();
    let mut file = tokio::fs::File::open(&name).await?;
    file.seek(std::io::SeekFrom::End(-8)).await?;
    let mut text = String::new();
    file.read_to_string(&mut text).await?;
    tokio::fs::remove_file(&name).await?;
    Ok((text, length, tokio::fs::try_exists(&name).await?))
}

/// A pair of connected Unix sockets.
async fn stream() -> std::io::Result<(usize, String)> {
    let (mut left, right) = tokio::net::UnixStream::pair()?;
    let counting = tokio::spawn(async move {
        let mut lines = BufReader::new(right).lines();
        let (mut count, mut last) = (0, String::new());
        while let Some(line) = lines.next_line().await? {
            (count, last) = (count + 1, line);
        }
        Ok((count, last))
    });
    for n in 0..20_000 {
        left.write_all(format!("line {n}\n").as_bytes()).await?;
    }
    left.shutdown().await?;
    drop(left);
    counting.await.unwrap()
}

async fn signals() -> std::io::Result<usize> {
    let mut caught = signal(SignalKind::user_defined1())?;
    let mut count = 0;
    for _ in 0..10 {
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1)?;
        count += usize::from(timeout(Duration::from_secs(20), caught.recv()).await.is_ok());
    }
    Ok(count)
}

async fn input() -> std::io::Result<Vec<String>> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut all = Vec::new();
    while let Some(line) = lines.next_line().await? {
        all.push(line);
    }
    Ok(all)
}
