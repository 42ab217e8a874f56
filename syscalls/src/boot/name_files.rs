//! /etc/hosts and /etc/resolv.conf as the host tool asks for them. Like all changes to the root they are in memory.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use husk_abi::Errno;
use husk_abi::network::Network;
use husk_fs::io::{SliceSink, SliceSource};
use husk_fs::{Credentials, Location, LookupFlags, Namespace, NewKind, OpenFlags, WalkContext, WriteAt, ops};

const HOSTS: &[u8] = b"/etc/hosts";
const RESOLV_CONF: &[u8] = b"/etc/resolv.conf";
/// What every machine knows, should the image have no hosts at all.
const LOCALHOST: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";

/// Adds the names to /etc/hosts, and writes /etc/resolv.conf if there are name servers but no such file.
///
/// # Errors
/// What is wrong, for the user.
pub(super) fn write(namespace: &Arc<Namespace>, network: &Network) -> Result<(), String> {
    let root = namespace.root();
    let walk = WalkContext { root: root.clone(), cwd: root, credentials: Arc::new(Credentials::root()) };
    if !network.hosts.is_empty() {
        let mut lines = String::new();
        for host in &network.hosts {
            lines.push_str(&format!("{} {}\n", host.ip, String::from_utf8_lossy(&host.name)));
        }
        add_hosts(&walk, lines).map_err(|errno| failed(HOSTS, errno))?;
    }
    if !network.name_servers.is_empty() && !exists(&walk, RESOLV_CONF) {
        let lines: String = network.name_servers.iter().map(|ip| format!("nameserver {ip}\n")).collect();
        let file = open(&walk, RESOLV_CONF).map_err(|errno| failed(RESOLV_CONF, errno))?;
        append(&file, &lines).map_err(|errno| failed(RESOLV_CONF, errno))?;
    }
    Ok(())
}

fn failed(path: &[u8], errno: Errno) -> String {
    format!("{} cannot be written: {}", String::from_utf8_lossy(path), errno.message())
}

fn exists(walk: &WalkContext, path: &[u8]) -> bool {
    husk_fs::lookup(walk, None, path, LookupFlags::FOLLOW).is_ok()
}

fn add_hosts(walk: &WalkContext, mut lines: String) -> Result<(), Errno> {
    let file = open(walk, HOSTS)?;
    let size = file.inode().metadata().size;
    if size == 0 {
        lines.insert_str(0, LOCALHOST);
    } else {
        let mut last = [0];
        file.inode().read_at(size - 1, &mut SliceSink::new(&mut last))?;
        if last != *b"\n" {
            lines.insert(0, '\n');
        }
    }
    append(&file, &lines)
}

/// Opens a file in /etc, made if it is not there.
fn open(walk: &WalkContext, path: &[u8]) -> Result<Location, Errno> {
    if !exists(walk, b"/etc") {
        ops::make(walk, None, b"/etc", NewKind::Directory, 0o755)?;
    }
    let flags = OpenFlags::WRONLY | OpenFlags::CREAT;
    Ok(ops::open_or_create(walk, None, path, flags, LookupFlags::FOLLOW, 0o644)?.location)
}

fn append(file: &Location, lines: &str) -> Result<(), Errno> {
    let mut rest = lines.as_bytes();
    while !rest.is_empty() {
        let (written, _) = file.inode().write_at(WriteAt::Append, &mut SliceSource::new(rest))?;
        if written == 0 {
            return Err(Errno::ENOSPC);
        }
        rest = &rest[written..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::namespace;
    use alloc::vec::Vec;
    use husk_abi::network::Host;

    fn contents(namespace: &Arc<Namespace>, path: &[u8]) -> String {
        let root = namespace.root();
        let walk = WalkContext { root: root.clone(), cwd: root, credentials: Arc::new(Credentials::root()) };
        let file = husk_fs::lookup(&walk, None, path, LookupFlags::FOLLOW).unwrap();
        let mut bytes = alloc::vec![0; file.inode().metadata().size as usize];
        file.inode().read_at(0, &mut SliceSink::new(&mut bytes)).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn network() -> Network {
        let host = |name: &str, ip: &str| Host { name: name.into(), ip: ip.parse().unwrap() };
        Network {
            hosts: Vec::from([host("db", "10.0.0.5"), host("web.local", "fd00::7")]),
            name_servers: Vec::from(["10.0.2.3".parse().unwrap()]),
            ..Network::default()
        }
    }

    #[test]
    fn made_where_the_image_has_none() {
        let namespace = namespace();
        write(&namespace, &network()).unwrap();
        let expected = format!("{LOCALHOST}10.0.0.5 db\nfd00::7 web.local\n");
        assert_eq!(contents(&namespace, HOSTS), expected);
        assert_eq!(contents(&namespace, RESOLV_CONF), "nameserver 10.0.2.3\n");
    }

    #[test]
    fn added_to_what_the_image_has() {
        let namespace = namespace();
        let root = namespace.root();
        let walk = WalkContext { root: root.clone(), cwd: root, credentials: Arc::new(Credentials::root()) };
        append(&open(&walk, HOSTS).unwrap(), "127.0.0.1 here").unwrap();
        append(&open(&walk, RESOLV_CONF).unwrap(), "nameserver 9.9.9.9\n").unwrap();
        write(&namespace, &network()).unwrap();
        assert_eq!(contents(&namespace, HOSTS), "127.0.0.1 here\n10.0.0.5 db\nfd00::7 web.local\n");
        assert_eq!(contents(&namespace, RESOLV_CONF), "nameserver 9.9.9.9\n");
        write(&namespace, &Network { name_servers: Vec::new(), ..network() }).unwrap();
        assert!(contents(&namespace, HOSTS).ends_with("10.0.0.5 db\nfd00::7 web.local\n"));
    }
}
