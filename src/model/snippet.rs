//! What to copy into other programs' command lines and files so that they use a network. Each text is
//! complete for that network, and one of docs/ explains it.

use vmnet_access::mac::MacAddr;
use vmnet_access::name::{NameError, NetName};
use vmnet_access::paths;

/// For whom a text is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet {
    bridge: NetName,
    network: Option<NetName>,
    mac: MacAddr,
}

impl Snippet {
    /// Texts for this bridge, which may be a network's, and for a guest with this MAC where the program
    /// has none of its own. MACs that are chosen anew each time keep two guests apart that were copied
    /// from the same text.
    ///
    /// # Errors
    /// The bridge's name holds a byte that means something to shells, to XML or to QEMU.
    pub fn new(bridge: &[u8], network: Option<NetName>, mac: MacAddr) -> Result<Self, NameError> {
        let text = std::str::from_utf8(bridge).map_err(|error| {
            NameError::BadByte(bridge.get(error.valid_up_to()).copied().unwrap_or_default())
        })?;
        Ok(Self { bridge: NetName::new(text)?, network, mac })
    }

    /// QEMU's options.
    #[must_use]
    pub fn qemu(&self) -> String {
        let Self { bridge, mac, .. } = self;
        let helper = paths::HELPER;
        format!(
            "-netdev bridge,id=net0,br={bridge},helper={helper} -device virtio-net-pci,netdev=net0,mac={mac}\n"
        )
    }

    /// An interface in a domain's XML, and the line that a plain user's libvirt needs besides.
    #[must_use]
    pub fn libvirt(&self) -> String {
        let Self { bridge, .. } = self;
        let helper = paths::HELPER;
        format!(
            "<!-- in the domain's XML -->\n\
             <interface type='bridge'>\n  <source bridge='{bridge}'/>\n  <model type='virtio'/>\n</interface>\n\
             \n\
             # for qemu:///session, in ~/.config/libvirt/qemu.conf\n\
             bridge_helper = \"{helper}\"\n"
        )
    }

    /// A TAP that stays, and the lines of Firecracker's file that name it.
    #[must_use]
    pub fn firecracker(&self) -> String {
        let Self { bridge, mac, .. } = self;
        let MacAddr([_, _, _, a, b, c]) = mac;
        let tap = format!("vmtap-{a:02x}{b:02x}{c:02x}");
        format!(
            "# before each start, as the user who runs Firecracker; 'vmnet tap rm {tap}' removes it\n\
             vmnet tap add {bridge} --name {tap}\n\
             \n\
             # in the file of --config-file\n\
             \"network-interfaces\": [\n\
             \x20 {{ \"iface_id\": \"eth0\", \"host_dev_name\": \"{tap}\", \"guest_mac\": \"{mac}\" }}\n\
             ]\n"
        )
    }

    /// The start of a command line.
    #[must_use]
    pub fn cloud_hypervisor(&self) -> String {
        let Self { bridge, mac, .. } = self;
        format!("vmnet exec {bridge} -- cloud-hypervisor --net fd={{fd}},mac={mac}\n")
    }

    /// The start of a command line.
    #[must_use]
    pub fn crosvm(&self) -> String {
        let Self { bridge, mac, .. } = self;
        format!("vmnet exec {bridge} -- crosvm run --net tap-fd={{fd}},mac={mac}\n")
    }

    /// Lines of a container's configuration, lxc.container.conf(5). Of a network, root's containers bring
    /// it up.
    #[must_use]
    pub fn lxc(&self) -> String {
        let Self { bridge, network, mac } = self;
        let vmnet = paths::VMNET;
        let up = network.as_ref().map(|name| {
            format!("lxc.hook.pre-start = sh -c 'test \"$(id -u)\" != 0 || exec {vmnet} up {name}'\n")
        });
        format!(
            "lxc.net.0.type = veth\nlxc.net.0.link = {bridge}\nlxc.net.0.flags = up\nlxc.net.0.name = eth0\n\
             lxc.net.0.hwaddr = {mac}\n{}",
            up.unwrap_or_default()
        )
    }

    /// An option of systemd-nspawn(1), which makes a MAC of the machine's name.
    #[must_use]
    pub fn nspawn(&self) -> String {
        format!("--network-bridge={}\n", self.bridge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::guest_mac;

    #[test]
    fn a_name_that_would_need_quoting_gets_no_text() {
        let mac = guest_mac([1, 2, 3]);
        assert!(Snippet::new(b"br-lan.7", None, mac).is_ok());
        for (name, byte) in [(&b"a,b"[..], b','), (b"a'b", b'\''), (b"a$b", b'$'), (b"a\xffb", 0xff)] {
            assert_eq!(Snippet::new(name, None, mac), Err(NameError::BadByte(byte)), "{name:?}");
        }
    }

    #[test]
    fn every_text_names_the_bridge_and_ends_its_last_line() {
        let snippet = Snippet::new(b"lab", None, guest_mac([1, 2, 3])).unwrap();
        let texts = [
            snippet.qemu(),
            snippet.libvirt(),
            snippet.firecracker(),
            snippet.cloud_hypervisor(),
            snippet.crosvm(),
            snippet.lxc(),
            snippet.nspawn(),
        ];
        for text in texts {
            assert!(text.contains("lab") && text.ends_with('\n') && !text.contains("\n\n\n"), "{text}");
        }
    }

    #[test]
    fn a_container_brings_up_the_network_and_no_bridge_that_is_none() {
        let long = NetName::new("a-rather-long-project-name").unwrap();
        let (bridge, mac) = (long.bridge(), guest_mac([1, 2, 3]));
        let ours = Snippet::new(bridge.as_bytes(), Some(long.clone()), mac).unwrap().lxc();
        assert!(
            ours.contains(&format!(" up {long}'\n")) && ours.contains(&format!("link = {bridge}\n")),
            "{ours}"
        );
        assert!(!Snippet::new(b"br0", None, mac).unwrap().lxc().contains("hook"));
    }

    #[test]
    fn texts_for_two_guests_share_neither_mac_nor_tap() {
        let [one, two] =
            [[1, 2, 3], [1, 2, 4]].map(|own| Snippet::new(b"lab", None, guest_mac(own)).unwrap());
        assert_ne!(one.qemu(), two.qemu());
        assert!(one.firecracker().contains("--name vmtap-010203\n"), "{}", one.firecracker());
        assert!(two.firecracker().contains("\"vmtap-010204\""), "{}", two.firecracker());
    }
}
