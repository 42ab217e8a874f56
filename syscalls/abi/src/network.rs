//! What the host tool tells the kernel about the network, a part of the boot module.

use alloc::vec::Vec;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};

/// The network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Network devices whose addresses are given, by Ethernet address. The others ask for theirs (DHCP, SLAAC).
    pub interfaces: Vec<Interface>,
    /// Name servers, for /etc/resolv.conf if the image has none. (Those of a DHCP server's answer are not written there yet.)
    pub name_servers: Vec<IpAddr>,
    /// Names to be added to /etc/hosts.
    pub hosts: Vec<Host>,
}

/// A network device with fixed addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The Ethernet address of the device.
    pub mac: [u8; 6],
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// Where to send what is for other networks, at most one of each family.
    pub gateways: Vec<IpAddr>,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Bits of it that are the network's.
    pub prefix: u8,
}

/// A line of /etc/hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The host's name.
    pub name: Vec<u8>,
    /// Its address.
    pub ip: IpAddr,
}
