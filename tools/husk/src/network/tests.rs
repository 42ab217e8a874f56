use super::*;

fn tap(name: &str, mac: Option<Mac>) -> Net {
    Net::Tap(Tap { name: name.into(), mac, ..Tap::default() })
}

#[test]
fn nothing_is_asked_for() {
    for nets in [&[][..], &[Net::None]] {
        let plan = plan(nets, &[], &[], Machine::Microvm).unwrap();
        assert_eq!(plan, Plan::default());
        assert!(plan.arguments("device").is_empty());
    }
}

#[test]
fn a_user_network_and_a_tap_interface() {
    let forwards = [parse_forward("8080:80").unwrap(), parse_forward("0.0.0.0:53:5353/udp").unwrap()];
    let nets = [
        parse_net("user").unwrap(),
        parse_net("tap=t0,ip=10.9.0.2/24,mac=52:54:00:00:00:07,queues=2,dns=9.9.9.9").unwrap(),
    ];
    let hosts = [parse_host("db:10.9.0.1").unwrap()];
    let plan = plan(&nets, &forwards, &hosts, Machine::Q35).unwrap();
    let user = "user,id=net0,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:0.0.0.0:53-:5353";
    let first = "virtio-net-pci,netdev=net0,mac=52:54:00:12:34:56,rx_queue_size=1024,vectors=2,romfile=";
    let second =
        "virtio-net-pci,netdev=net1,mac=52:54:00:00:00:07,rx_queue_size=1024,mq=on,vectors=3,romfile=";
    let tap = "tap,id=net1,ifname=t0,script=no,downscript=no,queues=2";
    assert_eq!(plan.arguments("pci"), ["-netdev", user, "-device", first, "-netdev", tap, "-device", second]);
    let macs: Vec<Mac> = plan.network.interfaces.iter().map(|interface| interface.mac).collect();
    assert_eq!(macs, [USER_MAC, [0x52, 0x54, 0, 0, 0, 7]]);
    let servers: Vec<String> = plan.network.name_servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["10.0.2.3", "9.9.9.9"]);
    assert_eq!(plan.network.hosts, hosts);
}

#[test]
fn ports_alone_mean_the_user_network_and_a_tap_without_address_asks() {
    let forward = [parse_forward("8080:80").unwrap()];
    let with_port = plan(&[], &forward, &[], Machine::Microvm).unwrap();
    assert_eq!(with_port.nics[0].backend, Backend::User(forward.to_vec()));
    let asks = plan(&[tap("t0", None), tap("t1", None)], &[], &[], Machine::Microvm).unwrap();
    assert!(asks.network.interfaces.is_empty());
    assert!(asks.nics.iter().all(|nic| nic.mac[..3] == [0x52, 0x54, 0]));
}

#[test]
fn contradictions() {
    let forward = parse_forward("8080:80").unwrap();
    let mac = Some([2, 0, 0, 0, 0, 1]);
    let many: Vec<Net> = (0..6).map(|number| tap(&format!("t{number}"), None)).collect();
    let cases: [(&[Net], &[Forward], &str); 6] = [
        (&[Net::None, Net::User], &[], "beside another"),
        (&[Net::User, Net::User], &[], "more than one --net user"),
        (&[Net::None], &[forward], "needs a user network"),
        (&[Net::User], &[forward, forward], "port 8080 of 127.0.0.1 twice"),
        (&[tap("a", mac), tap("b", mac)], &[], "the same Ethernet address"),
        (&many, &[], "more than the 5"),
    ];
    for (nets, forwards, part) in cases {
        let error = plan(nets, forwards, &[], Machine::Microvm).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(plan(&many, &[], &[], Machine::Q35).is_ok());
}

#[test]
fn the_host_is_looked_at_first() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let forward = |udp| Forward { address: Ipv4Addr::LOCALHOST, host: port, guest: 80, udp };
    let checked = |forward| plan(&[], &[forward], &[], Machine::Microvm).unwrap().check_host();
    let error = checked(forward(false)).unwrap_err();
    assert!(error.to_string().contains(&format!("TCP port {port} of 127.0.0.1 is in use")), "{error}");
    let foreign = Forward { address: Ipv4Addr::new(192, 0, 2, 1), ..forward(false) };
    assert!(checked(foreign).unwrap_err().to_string().contains("none of this host's"));
    drop(taken);
    let missing = plan(&[tap("husk-no-such", None)], &[], &[], Machine::Microvm).unwrap().check_host();
    assert!(missing.unwrap_err().to_string().contains("no interface husk-no-such on this host"));
    assert!(plan(&[tap("lo", None)], &[], &[], Machine::Microvm).unwrap().check_host().is_ok());
}
