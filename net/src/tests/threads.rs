//! Many threads at once: loopback is entered from all of them.

use super::*;
use crate::tcp::RecvFlags;
use crate::{Events, Family, Stack, TcpSocket};
use husk_abi::Errno;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Wakes a thread that waits for a socket.
#[derive(Default)]
struct Gate {
    events: Mutex<u32>,
    changed: Condvar,
}

impl crate::Notify for Gate {
    fn notify(&self, events: Events) {
        *self.events.lock().unwrap() |= events.bits();
        self.changed.notify_all();
    }
}

impl Gate {
    /// Tries until it is done; between, waits to be told.
    fn wait<R>(&self, mut attempt: impl FnMut() -> Result<R, Errno>) -> R {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            *self.events.lock().unwrap() = 0;
            match attempt() {
                Ok(done) => return done,
                Err(error) if error == Errno::EAGAIN => {}
                Err(error) => panic!("{error:?}"),
            }
            let mut events = self.events.lock().unwrap();
            while *events == 0 {
                assert!(Instant::now() < end, "nobody told that it is ready");
                events = self.changed.wait_timeout(events, Duration::from_secs(1)).unwrap().0;
            }
        }
    }
}

fn echo(socket: &TcpSocket, gate: &Gate, clock: &dyn Fn() -> u64) {
    socket.set_options(clock(), |options| options.no_delay = true);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = gate.wait(|| {
            socket.recv(4000, RecvFlags::empty(), clock(), &mut |piece| {
                bytes.extend_from_slice(piece);
                Ok(piece.len())
            })
        });
        if read == 0 {
            break;
        }
        let mut at = 0;
        while at < read {
            at += gate.wait(|| {
                let mut from = at;
                socket.send(read - at, false, clock(), &mut |buffer| {
                    buffer.copy_from_slice(&bytes[from..from + buffer.len()]);
                    from += buffer.len();
                    Ok(buffer.len())
                })
            });
        }
    }
    socket.close(clock());
}

#[test]
fn echo_servers_and_clients() {
    const CLIENTS: usize = 6;
    let stack = Stack::new([3; 32], Arc::new(super::harness::Alarm::default()));
    let start = Instant::now();
    let clock = move || start.elapsed().as_nanos() as u64 + 1;
    let total = AtomicU64::new(0);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let listen_gate = Arc::new(Gate::default());
    let listener = stack.tcp_socket(Family::V4, 0, listen_gate.clone());
    listener.bind(addr("127.0.0.1", 80), 0).unwrap();
    listener.listen(64).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                stack.expire(clock());
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        scope.spawn(|| {
            for _ in 0..CLIENTS {
                let gate = Arc::new(Gate::default());
                let (server, _) = listen_gate.wait(|| listener.accept(0, gate.clone()));
                scope.spawn(move || echo(&server, &gate, &clock));
            }
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|i| {
                let (stack, total) = (&stack, &total);
                scope.spawn(move || {
                    let gate = Arc::new(Gate::default());
                    let client = stack.tcp_socket(Family::V4, 0, gate.clone());
                    gate.wait(|| match client.connect(addr("127.0.0.1", 80), clock()) {
                        Err(error) if error == Errno::EINPROGRESS || error == Errno::EALREADY => {
                            Err(Errno::EAGAIN)
                        }
                        result => result,
                    });
                    client.set_options(clock(), |options| options.no_delay = true);
                    for round in 0..300 {
                        let data = pattern(1 + (i * 7919 + round * 104_729) % 20_000);
                        let mut sent = 0;
                        let mut got = Vec::new();
                        while got.len() < data.len() {
                            gate.wait(|| {
                                let mut from = sent;
                                let written = client.send(data.len() - sent, false, clock(), &mut |buffer| {
                                    buffer.copy_from_slice(&data[from..from + buffer.len()]);
                                    from += buffer.len();
                                    Ok(buffer.len())
                                });
                                sent += *written.as_ref().unwrap_or(&0);
                                let read =
                                    client.recv(usize::MAX, RecvFlags::empty(), clock(), &mut |piece| {
                                        got.extend_from_slice(piece);
                                        Ok(piece.len())
                                    });
                                if sent == data.len() { read } else { written.or(read) }
                            });
                        }
                        assert!(got == data);
                        total.fetch_add(got.len() as u64, Ordering::Relaxed);
                    }
                    client.close(clock());
                })
            })
            .collect();
        let results: Vec<_> = clients.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok));
    });
    assert!(total.load(Ordering::Relaxed) > 1_000_000);
}
