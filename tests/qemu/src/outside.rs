//! An uplink for a house, and at its other end "the Internet": a namespace with a router's address, a
//! DNS server that knows one name, and a web server that tells its caller who it seems to be.

use std::time::Duration;

use crate::house::{As, House};
use crate::process::Process;

/// The uplink's name in the house.
pub const UPLINK: &str = "uplink0";
/// The house's own address on the uplink (documentation network 1, RFC 5737).
pub const HOST: &str = "192.0.2.2";
/// The router and DNS server at the other end; the house's default route.
pub const ROUTER: &str = "192.0.2.1";
/// A host of the Internet: a web server on port 80.
pub const SERVER: &str = "192.0.2.10";
/// The server's name, known to the DNS server.
pub const SERVER_NAME: &str = "example.test";
/// The house's own IPv6 address on the uplink (documentation prefix, RFC 3849).
pub const HOST6: &str = "2001:db8::2";
/// The router at the other end.
pub const ROUTER6: &str = "2001:db8::1";
/// A host of the Internet: the same web server.
pub const SERVER6: &str = "2001:db8::10";
/// Asked over HTTP, the server answers with the address that the caller seemed to have.
pub const WHO_AM_I: &str = "/cgi-bin/caller";

/// The other end, running until dropped (the namespace stays as long as the house).
pub struct Outside {
    _dns: Process,
    _web: Process,
}

impl House {
    /// Connects the house to an outside: `uplink0` with 192.0.2.2/24, a default route through
    /// 192.0.2.1, and `/etc/resolv.conf` naming that address.
    ///
    /// # Panics
    /// If a server there does not start.
    #[track_caller]
    pub fn with_outside(&self) -> Outside {
        self.sh(&format!(
            "ip netns add outside
             ip link add {UPLINK} type veth peer name wan netns outside
             ip address add {HOST}/24 dev {UPLINK}
             ip link set {UPLINK} up
             ip -n outside address add {ROUTER}/24 dev wan
             ip -n outside address add {SERVER}/24 dev wan
             ip -n outside link set lo up
             ip -n outside link set wan up
             ip route add default via {ROUTER}
             rm -f /etc/resolv.conf; echo nameserver {ROUTER} >/etc/resolv.conf
             mkdir -p /tmp/house/www/cgi-bin; echo hello >/tmp/house/www/index.html"
        ));
        let answer = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n%s\\n' \"$REMOTE_ADDR\"\n";
        self.write_file_for(&format!("/tmp/house/www{WHO_AM_I}"), 0o755, (0, 0), answer);

        let enter = ["ip", "netns", "exec", "outside"];
        let address = format!("--host-record={SERVER_NAME},{SERVER}");
        let listen = format!("--listen-address={ROUTER}");
        let mut dns = enter.to_vec();
        dns.extend(["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv"]);
        dns.extend(["--bind-interfaces", "--pid-file=", "--user=root", "--local=/#/", &listen, &address]);
        let port = format!("{SERVER}:80");
        let mut web = enter.to_vec();
        web.extend(["busybox", "httpd", "-f", "-p", &port, "-h", "/tmp/house/www"]);
        let outside = Outside { _dns: self.spawn(As::Root, &dns), _web: self.spawn(As::Root, &web) };

        let up = self
            .wait_until(Duration::from_secs(20), || self.fetch(SERVER_NAME, "/").as_deref() == Some("hello"));
        assert!(up, "the outside did not start\n{}\n{}", outside._dns.said(), outside._web.said());
        outside
    }

    /// Gives house and outside IPv6 on the uplink: a default route through [`ROUTER6`], and the web
    /// server listens there too.
    #[track_caller]
    pub fn with_ipv6_outside(&self) -> (Outside, Process) {
        let outside = self.with_outside();
        self.sh(&format!(
            "ip address add {HOST6}/64 dev {UPLINK} nodad
             ip -n outside address add {ROUTER6}/64 dev wan nodad
             ip -n outside address add {SERVER6}/64 dev wan nodad
             ip -6 route add default via {ROUTER6}"
        ));
        let place = format!("[{SERVER6}]:80");
        let argv = [
            "ip",
            "netns",
            "exec",
            "outside",
            "busybox",
            "httpd",
            "-f",
            "-p",
            &place,
            "-h",
            "/tmp/house/www",
        ];
        let web = self.spawn(As::Root, &argv);
        let up =
            self.wait_until(Duration::from_secs(20), || self.fetch(SERVER6, "/").as_deref() == Some("hello"));
        assert!(up, "the outside has no IPv6\n{}", web.said());
        (outside, web)
    }

    /// What a web server on port 80 answers to the house itself, without the header and the last newline.
    pub fn fetch(&self, host: &str, path: &str) -> Option<String> {
        let script =
            r#"exec 3<>"/dev/tcp/$0/80"; printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3; timeout 5 cat <&3"#;
        let answer = self.run(&["bash", "-c", script, host, path]);
        let (_, body) = answer.stdout.split_once("\r\n\r\n")?;
        Some(body.trim_end().to_owned())
    }
}
