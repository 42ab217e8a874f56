//! What is tried.

use super::frames;
use super::listener::Listener;
use alloc::sync::Arc;
use husk_machine::net::{NetDevice, Outgoing};
use husk_machine::time::monotonic_ns;

/// Frames sent to the peer that sends them back.
const NUMBERED: u32 = 20_000;
const ECHOES: u16 = 500;
/// Echoes under way at most: QEMU's user network drops what it has no room for.
const WINDOW: u32 = 32;
/// Frames that are queued before the device is told.
const BATCH: u32 = 16;

/// Tries all devices.
///
/// # Panics
/// If anything is not as it should be.
pub(crate) fn run() {
    let nets = husk_machine::devices::nets();
    assert!(!nets.is_empty(), "no network device");
    for net in nets {
        log::info!(
            "nic-probe: {} {:02x?} mtu {} link {} {:?}",
            net.name(),
            net.mac(),
            net.mtu(),
            net.link_up(),
            net.offloads()
        );
        let listener = Arc::new(Listener::default());
        net.clone().start(listener.clone()).expect("memory to start the device");
        let start = monotonic_ns();
        match net.mac()[0] {
            0x02 => user_network(&*net, &listener),
            0x06 => reflected(&*net, &listener),
            other => panic!("what stands behind address {other:#x}?"),
        }
        let took_us = (monotonic_ns() - start) / 1000;
        let counters = net.counters();
        assert_eq!((counters.rx_errors, counters.tx_errors, counters.tx_dropped), (0, 0, 0));
        let (batches, rooms) = listener.seen(|seen| (seen.batches, seen.rooms));
        log::info!(
            "nic-probe: {} {took_us} us, {batches} batches, {rooms} times full, {counters:?}",
            net.name()
        );
        let links = listener.seen(|seen| seen.links);
        log::info!("nic-probe: {} waits for its link to change", net.name());
        listener.wait_for("link down", |seen| (seen.links > links).then_some(()));
        assert!(!net.link_up());
        listener.wait_for("link up", |seen| (seen.links > links + 1).then_some(()));
        assert!(net.link_up());
    }
    log::info!("nic-probe: passed");
}

fn send(net: &dyn NetDevice, listener: &Listener, frame: &[u8]) {
    let (first, rest) = frame.split_at(14);
    let outgoing = Outgoing { pieces: &[first, rest], ..Outgoing::default() };
    loop {
        let rooms = listener.seen(|seen| seen.rooms);
        if net.transmit(&outgoing).is_ok() {
            return;
        }
        listener.wait_for("room", |seen| (seen.rooms > rooms).then_some(()));
    }
}

fn user_network(net: &dyn NetDevice, listener: &Listener) {
    send(net, listener, &frames::who_is_the_gateway(net.mac()));
    net.flush();
    let gateway = listener.wait_for("answer from the gateway", |seen| seen.gateway);
    let mut sum = 0;
    for number in 0..ECHOES {
        let len = usize::from(number) * 37 % usize::from(net.mtu() - 28);
        send(net, listener, &frames::echo(gateway, net.mac(), number, len));
        net.flush();
        sum += u64::from(number);
        let sent = u32::from(number) + 1;
        listener.wait_for("echo", |seen| (seen.echoed.0 + WINDOW > sent).then_some(()));
    }
    let all =
        listener.wait_for("the last echoes", |seen| (seen.echoed.0 >= ECHOES.into()).then_some(seen.echoed));
    assert_eq!(all, (ECHOES.into(), sum));
}

fn reflected(net: &dyn NetDevice, listener: &Listener) {
    let most = usize::from(net.mtu()) + 14;
    let mut sum = 0;
    for number in 0..NUMBERED {
        let len = frames::NUMBERED + 42 + number as usize * 131 % (most - 59);
        send(net, listener, &frames::numbered(net.mac(), number, len));
        if number % BATCH == BATCH - 1 {
            net.flush();
        }
        sum += u64::from(number);
    }
    net.flush();
    let all =
        listener.wait_for("the last frames", |seen| (seen.numbered.0 >= NUMBERED).then_some(seen.numbered));
    assert_eq!(all, (NUMBERED, sum));
    assert_eq!(listener.seen(|seen| seen.others), 0);
    let counters = net.counters();
    assert_eq!((counters.rx_packets, counters.rx_bytes), (counters.tx_packets, counters.tx_bytes));
}
