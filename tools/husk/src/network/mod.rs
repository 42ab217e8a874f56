//! The machine's network: from the options to QEMU's arguments and to what the kernel is told.

mod options;

pub use options::{Forward, Mac, Net, Tap, host_name, parse_forward, parse_host, parse_net};

use crate::error::failure;
use crate::monitor::Machine;
use anyhow::{Context, Result};
use husk_abi::network::{Address, Host, Interface, Network};
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};

/// The guest's Ethernet address in a user network, where nobody else is.
const USER_MAC: Mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
// What QEMU's user network always looks like: known, it need not be asked for.
const USER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const USER_PREFIX: u8 = 24;
const USER_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const USER_NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// A network device of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its Ethernet address.
    pub mac: Mac,
    /// What is behind it.
    pub backend: Backend,
}

/// What is behind a network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// QEMU's user network with these ports let in.
    User(Vec<Forward>),
    /// An interface of the host, with so many pairs of queues.
    Tap(String, u16),
}

/// What the options ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The devices.
    pub nics: Vec<Nic>,
    /// For the kernel.
    pub network: Network,
}

/// Puts the options together.
///
/// # Errors
/// When they contradict each other, or ask for more than there is.
pub fn plan(nets: &[Net], forwards: &[Forward], hosts: &[Host], machine: Machine) -> Result<Plan> {
    let mut plan =
        Plan { network: Network { hosts: hosts.to_vec(), ..Network::default() }, ..Plan::default() };
    if nets.len() > 1 && nets.contains(&Net::None) {
        return Err(failure("--net none stands beside another --net", "leave one of them out"));
    }
    if nets.iter().filter(|net| **net == Net::User).count() > 1 {
        return Err(failure("there is more than one --net user", "one lets the program reach everything"));
    }
    let user = nets.contains(&Net::User) || nets.is_empty() && !forwards.is_empty();
    if !forwards.is_empty() && !user {
        return Err(failure(
            "-p needs a user network",
            "add --net user; at a tap interface the guest has an address of its own, and nothing to be forwarded",
        ));
    }
    if let Some(twice) =
        duplicate(forwards.iter().map(|forward| (forward.address, forward.host, forward.udp)))
    {
        let (address, port, _) = twice;
        return Err(failure(format!("-p names port {port} of {address} twice"), "give each its own port"));
    }
    if user {
        plan.add_user(forwards);
    }
    for net in nets {
        if let Net::Tap(tap) = net {
            plan.add_tap(tap)?;
        }
    }
    let most = most_nics(machine);
    if plan.nics.len() > most {
        let message = format!(
            "{} network devices are more than the {most} for which this machine has room",
            plan.nics.len()
        );
        return Err(failure(message, "leave some out, or try --machine q35"));
    }
    if duplicate(plan.nics.iter().map(|nic| nic.mac)).is_some() {
        return Err(failure(
            "two network devices have the same Ethernet address",
            "give each its own with mac=",
        ));
    }
    Ok(plan)
}

/// What is there twice.
fn duplicate<T: PartialEq>(items: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = Vec::new();
    for item in items {
        if seen.contains(&item) {
            return Some(item);
        }
        seen.push(item);
    }
    None
}

fn most_nics(machine: Machine) -> usize {
    match machine {
        // Of 8 slots for virtio devices, the disk, the ports and the random numbers take three.
        Machine::Microvm => 5,
        Machine::Q35 => 16,
    }
}

impl Plan {
    fn add_user(&mut self, forwards: &[Forward]) {
        self.nics.push(Nic { mac: USER_MAC, backend: Backend::User(forwards.to_vec()) });
        self.network.interfaces.push(Interface {
            mac: USER_MAC,
            addresses: vec![Address { ip: USER_ADDRESS.into(), prefix: USER_PREFIX }],
            gateways: vec![USER_GATEWAY.into()],
        });
        self.network.name_servers.push(IpAddr::from(USER_NAME_SERVER));
    }

    fn add_tap(&mut self, tap: &Tap) -> Result<()> {
        let mac = match tap.mac {
            Some(mac) => mac,
            None => random_mac()?,
        };
        self.nics.push(Nic { mac, backend: Backend::Tap(tap.name.clone(), tap.queues.unwrap_or(1)) });
        if !tap.addresses.is_empty() {
            let (addresses, gateways) = (tap.addresses.clone(), tap.gateways.clone());
            self.network.interfaces.push(Interface { mac, addresses, gateways });
        }
        self.network.name_servers.extend(&tap.name_servers);
        Ok(())
    }

    /// Sees before the monitor starts whether it will get what it needs, as its own messages say little.
    ///
    /// # Errors
    /// When a port is in use or may not be used, or an interface is missing.
    pub fn check_host(&self) -> Result<()> {
        for nic in &self.nics {
            match &nic.backend {
                Backend::User(forwards) => forwards.iter().try_for_each(check_port)?,
                Backend::Tap(name, _) => check_tap(name)?,
            }
        }
        Ok(())
    }

    /// QEMU's arguments for the devices; `suffix` makes virtio-net-... the device of the machine's bus.
    #[must_use]
    pub fn arguments(&self, suffix: &str) -> Vec<String> {
        let mut args = Vec::new();
        for (number, nic) in self.nics.iter().enumerate() {
            let id = format!("net{number}");
            let mut device =
                format!("virtio-net-{suffix},netdev={id},mac={},rx_queue_size=1024", shown(nic.mac));
            let backend = match &nic.backend {
                Backend::User(forwards) => {
                    let rules: String = forwards.iter().map(rule).collect();
                    format!("user,id={id}{rules}")
                }
                Backend::Tap(name, queues) => {
                    if *queues > 1 {
                        device.push_str(",mq=on");
                    }
                    format!("tap,id={id},ifname={name},script=no,downscript=no,queues={queues}")
                }
            };
            if suffix.starts_with("pci") {
                // A pair of queues and the rest have an interrupt each; and nothing is to be booted from the network.
                let vectors = match nic.backend {
                    Backend::Tap(_, queues) => queues + 1,
                    Backend::User(_) => 2,
                };
                device.push_str(&format!(",vectors={vectors},romfile="));
            }
            args.extend(["-netdev".into(), backend, "-device".into(), device]);
        }
        args
    }
}

fn rule(forward: &Forward) -> String {
    let protocol = if forward.udp { "udp" } else { "tcp" };
    let Forward { address, host, guest, .. } = forward;
    format!(",hostfwd={protocol}:{address}:{host}-:{guest}")
}

fn shown(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// An address by chance, with the prefix that stands for virtual machines.
fn random_mac() -> Result<Mac> {
    let mut mac = USER_MAC;
    let mut source = std::fs::File::open("/dev/urandom").context("cannot open /dev/urandom")?;
    source.read_exact(&mut mac[3..]).context("cannot read /dev/urandom")?;
    Ok(mac)
}

/// Tries the port. Another program may still take it before the monitor does.
fn check_port(forward: &Forward) -> Result<()> {
    let Forward { address, host, udp, .. } = *forward;
    let tried = match udp {
        true => UdpSocket::bind((address, host)).map(drop),
        false => TcpListener::bind((address, host)).map(drop),
    };
    let Err(error) = tried else { return Ok(()) };
    let protocol = if udp { "UDP" } else { "TCP" };
    let (what, hint) = match error.kind() {
        ErrorKind::AddrInUse => {
            ("is in use on this host".into(), "choose another port, or end the program that has it")
        }
        ErrorKind::PermissionDenied => {
            ("may not be used".into(), "ports below 1024 are for root; choose a higher one")
        }
        ErrorKind::AddrNotAvailable => {
            ("cannot be used: the address is none of this host's".into(), "0.0.0.0 stands for all of them")
        }
        _ => (format!("cannot be used: {error}"), "choose another"),
    };
    Err(failure(format!("-p: {protocol} port {host} of {address} {what}"), hint))
}

fn check_tap(name: &str) -> Result<()> {
    // Of this process's network namespace, which /sys need not be.
    let known = std::fs::read_to_string("/proc/self/net/dev").context("cannot read /proc/self/net/dev")?;
    let mut names = known.lines().filter_map(|line| Some(line.split_once(':')?.0.trim()));
    if names.any(|known| known == name) {
        return Ok(());
    }
    let hint = format!("make it: ip tuntap add dev {name} mode tap user $USER; ip link set {name} up");
    Err(failure(format!("--net: there is no interface {name} on this host"), hint))
}

#[cfg(test)]
mod tests;
