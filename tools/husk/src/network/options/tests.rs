use super::*;

#[test]
fn networks() {
    assert_eq!(parse_net("none"), Ok(Net::None));
    assert_eq!(parse_net("user"), Ok(Net::User));
    let plain = Tap { name: "tap0".into(), ..Tap::default() };
    assert_eq!(parse_net("tap=tap0"), Ok(Net::Tap(plain.clone())));
    let text = "tap=tap0,mac=52:54:00:ab:CD:ef,ip=10.0.0.2/24,ip=fd00::2/64,gateway=10.0.0.1,gateway=fe80::1,dns=1.1.1.1,queues=4";
    let full = Tap {
        mac: Some([0x52, 0x54, 0, 0xab, 0xcd, 0xef]),
        addresses: vec![
            Address { ip: "10.0.0.2".parse().unwrap(), prefix: 24 },
            Address { ip: "fd00::2".parse().unwrap(), prefix: 64 },
        ],
        gateways: vec!["10.0.0.1".parse().unwrap(), "fe80::1".parse().unwrap()],
        name_servers: vec!["1.1.1.1".parse().unwrap()],
        queues: Some(4),
        ..plain
    };
    assert_eq!(parse_net(text), Ok(Net::Tap(full)));
}

#[test]
fn mistakes_in_networks() {
    for (text, part) in [
        ("", "write user, none"),
        ("bridge", "write user, none"),
        ("user,mac=52:54:00:00:00:01", "write user, none"),
        ("tap", "`` is not the name"),
        ("tap=", "`` is not the name"),
        ("tap=a/b", "`a/b` is not the name"),
        ("tap=sixteen-letters-", "is not the name"),
        ("tap=t,ip", "has no prefix length"),
        ("tap=t,ip=10.0.0.2", "has no prefix length"),
        ("tap=t,ip=10.0.0/24", "`10.0.0` is not an IP address"),
        ("tap=t,ip=10.0.0.2/33", "from 1 to 32"),
        ("tap=t,ip=fd00::1/0", "from 1 to 128"),
        ("tap=t,ip=127.0.0.1/8", "cannot be the address"),
        ("tap=t,gateway=10.0.0.1", "in the network of none"),
        ("tap=t,ip=10.0.0.2/24,gateway=10.0.1.1", "the gateway 10.0.1.1"),
        ("tap=t,ip=10.0.0.2/24,gateway=10.0.0.1,gateway=10.0.0.3", "more than one gateway"),
        ("tap=t,mac=52:54:00:12:34", "is not an Ethernet address"),
        ("tap=t,mac=52:54:00:12:34:+6", "is not an Ethernet address"),
        ("tap=t,mac=53:54:00:12:34:56", "must be even"),
        ("tap=t,queues=0", "from 1 to 64"),
        ("tap=t,typo=1", "`typo` is none of"),
    ] {
        let error = parse_net(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn forwarded_ports() {
    let forward = Forward { address: Ipv4Addr::LOCALHOST, host: 8080, guest: 80, udp: false };
    assert_eq!(parse_forward("8080:80"), Ok(forward));
    assert_eq!(parse_forward("8080:80/tcp"), Ok(forward));
    assert_eq!(parse_forward("8080:80/udp"), Ok(Forward { udp: true, ..forward }));
    let any = Forward { address: Ipv4Addr::UNSPECIFIED, ..forward };
    assert_eq!(parse_forward("0.0.0.0:8080:80"), Ok(any));
    for (text, part) in [
        ("80", "write [ADDR:]HOST:GUEST"),
        ("0:80", "`0` is not a port"),
        ("80:65536", "`65536` is not a port"),
        ("80:", "`` is not a port"),
        ("host:80:80", "`host` is not an IPv4 address"),
        ("[::1]:80:80", "IPv4 addresses only"),
        ("80:80/sctp", "neither tcp nor udp"),
    ] {
        let error = parse_forward(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn hosts() {
    let host = |name: &str, ip: &str| Host { name: name.into(), ip: ip.parse().unwrap() };
    assert_eq!(parse_host("db:10.0.0.5"), Ok(host("db", "10.0.0.5")));
    assert_eq!(parse_host("db.example:fd00::5"), Ok(host("db.example", "fd00::5")));
    assert_eq!(parse_host("db:[fd00::5]"), Ok(host("db", "fd00::5")));
    for bad in ["db", "db:", ":10.0.0.5", "a b:10.0.0.5", "-a:10.0.0.5", "a..b:10.0.0.5", "db:host"] {
        assert!(parse_host(bad).is_err(), "{bad}");
    }
    assert!(host_name(&"a".repeat(64)).is_ok());
    assert!(host_name(&"a".repeat(65)).is_err());
}
