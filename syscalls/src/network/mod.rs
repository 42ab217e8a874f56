//! The network: the stack, its cards, and the thread that works for it.
//!
//! The stack is made at boot if there is a card, else when the first socket is. One thread sleeps until its next deadline; each card
//! has threads of its own for what it receives.

mod nic;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use husk_abi::network::{Interface, Network};
use husk_machine::sync::{Once, WaitQueue};
use husk_machine::thread::{self, Attributes, Thread};
use husk_machine::time::monotonic_ns;
use husk_machine::{devices, random};
use husk_net::{Cidr, InterfaceIndex, Nanos, Route, RouteOrigin, Stack, Waker};

/// How long boot waits for an address by DHCP.
const LEASE_PATIENCE_NS: u64 = 3_000_000_000;

/// Brings up the cards that the machine has, as the host tool asks.
///
/// # Errors
/// What is wrong, for the user.
pub(crate) fn bring_up(network: &Network, host_name: &[u8]) -> Result<(), String> {
    for device in devices::nets() {
        let network_of = network.interfaces.iter().find(|interface| interface.mac == device.mac());
        let stack = stack().ok_or("out of memory while starting the network")?;
        let index = nic::add(stack, device.clone())
            .map_err(|_| format!("out of memory while starting network device {}", device.name()))?;
        match network_of {
            Some(interface) => configure(stack, index, interface)
                .map_err(|errno| format!("network device {}: {}", device.name(), errno.message()))?,
            None => ask_for_address(stack, index, host_name),
        }
    }
    Ok(())
}

fn configure(stack: &Stack, index: InterfaceIndex, interface: &Interface) -> husk_net::Result<()> {
    for address in &interface.addresses {
        stack.add_address(index, Cidr { addr: address.ip, prefix: address.prefix })?;
    }
    for gateway in &interface.gateways {
        let everywhere = if gateway.is_ipv4() {
            core::net::Ipv4Addr::UNSPECIFIED.into()
        } else {
            core::net::Ipv6Addr::UNSPECIFIED.into()
        };
        stack.add_route(Route {
            destination: Cidr { addr: everywhere, prefix: 0 },
            gateway: Some(*gateway),
            interface: index,
            metric: 0,
            source: None,
            origin: RouteOrigin::Static,
        })?;
    }
    Ok(())
}

/// Asks a DHCP server, and waits a while for the answer. If it comes later, it counts then.
fn ask_for_address(stack: &Stack, index: InterfaceIndex, host_name: &[u8]) {
    let now = monotonic_ns();
    let host_name = core::str::from_utf8(host_name).ok();
    if let Err(errno) = stack.start_dhcp(index, host_name, now) {
        log::error!("no DHCP on interface {index}: {}", errno.message());
        return;
    }
    let lease = || stack.dhcp_lease(index).map(|_| ());
    if CHANGED.wait_until_deadline(lease, now + LEASE_PATIENCE_NS).is_none() {
        log::warn!("interface {index} has no address: no DHCP server has answered");
    }
}

/// Told of changes of the stack's configuration.
static CHANGED: WaitQueue = WaitQueue::new();

/// The stack; `None` if there was no memory for its thread.
pub(crate) fn stack() -> Option<&'static Arc<Stack>> {
    static STACK: Once<Option<Arc<Stack>>> = Once::new();
    STACK.call_once(start).as_ref()
}

fn start() -> Option<Arc<Stack>> {
    let mut seed = [0; 32];
    random::fill(&mut seed);
    let clock = Arc::new(Clock { sleeps_until: AtomicU64::new(0), thread: Once::new() });
    let stack = Stack::new(seed, clock.clone());
    let for_thread = (stack.clone(), clock.clone());
    let started = thread::spawn_with("net timers", Attributes::SERVICE, move || {
        let (stack, clock) = for_thread;
        clock.run(&stack);
    });
    match started {
        Ok(_) => Some(stack),
        Err(_) => {
            log::error!("no memory for the network's thread: there are no Internet sockets");
            None
        }
    }
}

/// Calls the stack when something is due.
struct Clock {
    /// Until when the thread sleeps; 0 while it does not.
    sleeps_until: AtomicU64,
    thread: Once<Thread>,
}

impl Clock {
    fn run(&self, stack: &Stack) {
        self.thread.call_once(thread::current);
        loop {
            let next = stack.next_deadline().unwrap_or(u64::MAX);
            let now = monotonic_ns();
            if next <= now {
                stack.expire(now);
                continue;
            }
            self.sleeps_until.store(next, Ordering::SeqCst);
            // One that was set meanwhile found the thread awake.
            if stack.next_deadline().is_none_or(|newer| newer >= next) {
                if next == u64::MAX {
                    thread::park();
                } else {
                    thread::park_until(next);
                }
            }
            self.sleeps_until.store(0, Ordering::SeqCst);
        }
    }
}

impl Waker for Clock {
    fn deadline(&self, at: Nanos) {
        if at < self.sleeps_until.load(Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    fn configuration_changed(&self) {
        CHANGED.wake_all();
    }
}
