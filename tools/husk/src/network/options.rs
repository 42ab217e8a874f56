//! The values of the network options.

use husk_abi::network::{Address, Host};
use std::net::{IpAddr, Ipv4Addr};

/// An Ethernet address.
pub type Mac = [u8; 6];

/// A value of `--net`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Net {
    /// No network device.
    None,
    /// QEMU's user network: needs no rights, and lets nobody in but through `-p`.
    User,
    /// An interface of the host.
    Tap(Tap),
}

/// A tap interface of the host, and the guest's end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tap {
    /// The interface's name on the host.
    pub name: String,
    /// The guest's Ethernet address; by chance if not given.
    pub mac: Option<Mac>,
    /// The guest's addresses; if there are none it asks for them.
    pub addresses: Vec<Address>,
    /// Gateways of the guest.
    pub gateways: Vec<IpAddr>,
    /// Name servers of the guest.
    pub name_servers: Vec<IpAddr>,
    /// Pairs of queues; the interface must have been made with `multi_queue` for more than one.
    pub queues: Option<u16>,
}

/// Reads `user`, `none` or `tap=NAME[,ip=ADDR/BITS][,gateway=ADDR][,dns=ADDR][,mac=MAC][,queues=N]`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_net(text: &str) -> Result<Net, String> {
    match text {
        "none" => return Ok(Net::None),
        "user" => return Ok(Net::User),
        _ => {}
    }
    let mut tap = Tap::default();
    for (number, part) in text.split(',').enumerate() {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        match (number, key) {
            (0, "tap") => tap.name = interface_name(value)?,
            (0, _) => return Err("write user, none, or tap=NAME".into()),
            (_, "mac") => tap.mac = Some(mac(value)?),
            (_, "ip") => tap.addresses.push(address(value)?),
            (_, "gateway") => tap.gateways.push(ip(value)?),
            (_, "dns") => tap.name_servers.push(ip(value)?),
            (_, "queues") => tap.queues = Some(queues(value)?),
            _ => return Err(format!("`{key}` is none of ip, gateway, dns, mac and queues")),
        }
    }
    if let Some(bad) = tap.gateways.iter().find(|gateway| !reachable(**gateway, &tap.addresses)) {
        return Err(format!("the gateway {bad} is in the network of none of the addresses given with ip="));
    }
    if [true, false].iter().any(|v4| tap.gateways.iter().filter(|ip| ip.is_ipv4() == *v4).count() > 1) {
        return Err("more than one gateway of a family".into());
    }
    Ok(Net::Tap(tap))
}

fn interface_name(text: &str) -> Result<String, String> {
    // IFNAMSIZ is 16 with the zero at the end; these characters cannot be in a name, or mean something to QEMU.
    let valid = (1..16).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:,".contains(&byte));
    if valid { Ok(text.into()) } else { Err(format!("`{text}` is not the name of an interface")) }
}

fn mac(text: &str) -> Result<Mac, String> {
    let bytes: Option<Vec<u8>> = text
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).ok().filter(|_| byte.len() == 2 && !byte.starts_with('+')))
        .collect();
    let mac: Mac = bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| format!("`{text}` is not an Ethernet address such as 52:54:00:12:34:56"))?;
    if mac[0] & 1 != 0 || mac == [0; 6] {
        return Err(format!("{text} is not the address of one interface: its first byte must be even"));
    }
    Ok(mac)
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an IP address"))
}

fn address(text: &str) -> Result<Address, String> {
    let (address, prefix) =
        text.split_once('/').ok_or_else(|| format!("`{text}` has no prefix length: write ADDR/BITS"))?;
    let ip = ip(address)?;
    let most = if ip.is_ipv4() { 32 } else { 128 };
    match prefix.parse() {
        Ok(prefix) if (1..=most).contains(&prefix) => {
            if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() {
                return Err(format!("{ip} cannot be the address of an interface"));
            }
            Ok(Address { ip, prefix })
        }
        _ => Err(format!("`{prefix}` is not a prefix length from 1 to {most}")),
    }
}

fn queues(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(number @ 1..=64) => Ok(number),
        _ => Err(format!("`{text}` is not a number of queues from 1 to 64")),
    }
}

/// Whether a gateway is in the network of an address. Those of IPv6 are often known by their link-local addresses.
fn reachable(gateway: IpAddr, addresses: &[Address]) -> bool {
    addresses.iter().any(|address| match (gateway, address.ip) {
        (IpAddr::V4(gateway), IpAddr::V4(own)) => {
            (gateway.to_bits() ^ own.to_bits()).leading_zeros() >= address.prefix.into()
        }
        (IpAddr::V6(gateway), IpAddr::V6(own)) => {
            gateway.is_unicast_link_local()
                || (gateway.to_bits() ^ own.to_bits()).leading_zeros() >= address.prefix.into()
        }
        _ => false,
    })
}

/// A value of `-p`: what arrives at a port of the host goes to one of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Where the host listens.
    pub address: Ipv4Addr,
    /// Its port.
    pub host: u16,
    /// The guest's port.
    pub guest: u16,
    /// UDP instead of TCP.
    pub udp: bool,
}

/// Reads `[ADDR:]HOST:GUEST[/udp]`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_forward(text: &str) -> Result<Forward, String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let udp = match protocol {
        "tcp" => false,
        "udp" => true,
        _ => return Err(format!("`{protocol}` is neither tcp nor udp")),
    };
    let (rest, guest) = ports.rsplit_once(':').ok_or("write [ADDR:]HOST:GUEST, such as 8080:80")?;
    let (address, host) = match rest.rsplit_once(':') {
        Some((address, host)) => (Some(address), host),
        None => (None, rest),
    };
    let address = match address {
        None => Ipv4Addr::LOCALHOST,
        Some(address) if address.starts_with('[') || address.contains(':') => {
            return Err("QEMU's user network forwards from IPv4 addresses only".into());
        }
        Some(address) => address.parse().map_err(|_| format!("`{address}` is not an IPv4 address"))?,
    };
    Ok(Forward { address, host: port(host)?, guest: port(guest)?, udp })
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port @ 1..) => Ok(port),
        _ => Err(format!("`{text}` is not a port from 1 to 65535")),
    }
}

/// Reads `NAME:IP`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_host(text: &str) -> Result<Host, String> {
    let (name, address) = text.split_once(':').ok_or("write NAME:IP, such as db:10.0.0.5")?;
    let address = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
    Ok(Host { name: host_name(name)?.into(), ip: ip(address)? })
}

/// Reads a host's name, which may have dots.
///
/// # Errors
/// What is wrong with it.
pub fn host_name(text: &str) -> Result<String, String> {
    // HOST_NAME_MAX of Linux.
    if text.len() > 64 {
        return Err("a host's name has 64 characters at most".into());
    }
    let label = |label: &str| {
        let valid = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        !label.is_empty() && label.chars().all(valid) && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.split('.').all(label) {
        Ok(text.into())
    } else {
        Err(format!("`{text}` is not a host's name: letters, digits, `-`, `_` and dots"))
    }
}

#[cfg(test)]
mod tests;
