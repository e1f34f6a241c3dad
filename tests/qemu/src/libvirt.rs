//! A real libvirt in a house: a plain user's session daemon, which virsh starts by itself, or the system's,
//! started by hand. Neither needs systemd or D-Bus. Their guests have a serial line that a test can use.

use std::path::Path;
use std::time::Duration;

use crate::command::Outcome;
use crate::guest::{self, INITRAMFS, KERNEL, QEMU, Starting};
use crate::house::{As, HELPER, House};
use crate::process::Process;

/// How long virsh may take: the first call waits until libvirt has asked QEMU what it can do.
const PATIENCE: Duration = Duration::from_secs(180);

/// Where a network's file for libvirt, or a domain's, is put.
const FOLDER: &str = "/tmp/house/libvirt";

/// Accounts that libvirt's packages make, directories that are the machine's own, and no guest or network
/// of the machine's. `stdio_handler` and root spare it virtlogd and the ownership of the guest's kernel.
const SYSTEM: &str = r#"
mount -t tmpfs log /var/log
mount -t tmpfs cache /var/cache
grep -q ^libvirt-qemu: /etc/passwd || echo 'libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin' >>/etc/passwd
grep -q ^libvirt-qemu: /etc/group || echo 'libvirt-qemu:x:64055:' >>/etc/group
grep -q ^libvirt: /etc/group || echo 'libvirt:x:64056:' >>/etc/group
rm -rf /etc/libvirt/qemu /var/lib/libvirt
mkdir -p /etc/libvirt
printf '%s\n' 'user = "root"' 'group = "root"' 'security_driver = "none"' 'cgroup_controllers = []' \
    'namespaces = []' 'stdio_handler = "file"' >/etc/libvirt/qemu.conf
"#;

/// A domain to be defined: QEMU without KVM, and one guest of [`crate::guest`] in it.
#[derive(Clone, Debug)]
pub struct Domain {
    name: String,
    interfaces: String,
    metadata: String,
    boot: String,
}

impl Domain {
    /// A domain called `name`, as is its guest, without an interface.
    pub fn new(name: &str) -> Self {
        let line = format!("console=ttyS0 quiet panic=-1 no_timer_check vmnet.host={name}");
        let boot = format!("<kernel>{KERNEL}</kernel><initrd>{INITRAMFS}</initrd><cmdline>{line}</cmdline>");
        Self { name: name.to_owned(), interfaces: String::new(), metadata: String::new(), boot }
    }

    /// With one more interface on this bridge, its MAC made of the domain's name.
    #[must_use]
    pub fn on_bridge(self, bridge: &str, model: &str) -> Self {
        self.with_interface("bridge", &format!("bridge='{bridge}'"), model)
    }

    /// With one more interface on this network of libvirt's.
    #[must_use]
    pub fn on_network(self, network: &str) -> Self {
        self.with_interface("network", &format!("network='{network}'"), "virtio")
    }

    fn with_interface(mut self, kind: &str, source: &str, model: &str) -> Self {
        self.interfaces.push_str(&format!(
            "<interface type='{kind}'><mac address='{}'/><source {source}/><model type='{model}'/>{}</interface>",
            self.mac(),
            if model == "virtio" { "<rom enabled='no'/>" } else { "" }
        ));
        self
    }

    /// With these words in its metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: &str) -> Self {
        self.metadata.push_str(metadata);
        self
    }

    /// Without a kernel: its network card's own program boots.
    #[must_use]
    pub fn booting_from_network(mut self) -> Self {
        self.boot = "<boot dev='network'/>".to_owned();
        self
    }

    /// The MAC of its interfaces.
    pub fn mac(&self) -> String {
        guest::mac(&self.name)
    }

    /// Its UUID, made of its name.
    pub fn uuid(&self) -> String {
        format!("08c9cdfb-35ee-44a2-bd60-{}", guest::mac(&self.name).replace(':', ""))
    }

    /// Its XML.
    pub fn xml(&self) -> String {
        let Self { name, interfaces, metadata, boot } = self;
        let uuid = self.uuid();
        format!(
            "<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>128</memory>
             <metadata>{metadata}</metadata>
             <os><type arch='x86_64' machine='pc'>hvm</type>{boot}</os><features><acpi/></features>
             <on_reboot>destroy</on_reboot>
             <devices>{interfaces}
             <serial type='tcp'><source mode='connect' host='127.0.0.1' service='4000'/>
             <protocol type='raw'/></serial><memballoon model='none'/></devices></domain>"
        )
    }
}

/// Whether libvirt can run here; says [`crate::skip::skip`] if not.
pub fn available(test: &str) -> bool {
    guest::available(test) && crate::skip::have(test, &["libvirtd", "virsh", "ss", QEMU])
}

impl House {
    /// Has this user's session use our helper.
    #[track_caller]
    pub fn prepare_session(&self, user: &str) {
        guest::prepare(self);
        self.sh(&format!(
            "mkdir -p /run/user; install -d -o {user} -g {user} -m 700 /run/user/$(id -u {user})"
        ));
        let shown = crate::page::blocks("libvirt.md", "").swap_remove(0);
        assert!(shown.contains(HELPER), "{shown}");
        let lines = format!("{shown}\nstdio_handler = \"file\"\n");
        self.write_file(&format!("/tmp/{user}/.config/libvirt/qemu.conf"), lines);
        self.sh(&format!("chown -R {user}:{user} /tmp/{user}"));
    }

    /// virsh as a plain user, with the session daemon that it starts.
    #[track_caller]
    pub fn virsh_as(&self, user: &str, words: &[&str]) -> Outcome {
        let id = self.sh(&format!("id -u {user}"));
        let place = format!("XDG_RUNTIME_DIR=/run/user/{}", id.trim());
        let mut argv = vec!["env", &place, "virsh", "-c", "qemu:///session"];
        argv.extend(words);
        self.run_with(As::User(user), &argv, None, PATIENCE)
    }

    /// Installs our hooks, as `make install` does.
    #[track_caller]
    pub fn install_hooks(&self) {
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/libvirt-hook.in");
        let text = std::fs::read_to_string(template).expect("the hook");
        for driver in ["qemu", "network"] {
            let text = text.replace("@PREFIX@", "/usr/local").replace("@DRIVER@", driver);
            self.write_file_for(&format!("/etc/libvirt/hooks/{driver}.d/vmnet"), 0o755, (0, 0), text);
        }
    }

    /// Starts the system's libvirt. Hooks must be in place before: it looks for them once.
    #[track_caller]
    pub fn start_libvirt(&self) -> Process {
        guest::prepare(self);
        self.sh(SYSTEM);
        let daemon = self.spawn(As::Root, &["libvirtd"]);
        let there = || self.outside_path("/run/libvirt/libvirt-sock").exists();
        assert!(self.wait_until(PATIENCE, there), "libvirtd made no socket\n{}", daemon.said());
        daemon
    }

    /// virsh as root, with the system's daemon.
    #[track_caller]
    pub fn virsh(&self, words: &[&str]) -> Outcome {
        let mut argv = vec!["virsh", "-c", "qemu:///system"];
        argv.extend(words);
        self.run_with(As::Root, &argv, None, PATIENCE)
    }

    /// Writes a file for libvirt; answers its place.
    #[track_caller]
    pub fn write_xml(&self, name: &str, xml: &str) -> String {
        let place = format!("{FOLDER}/{name}.xml");
        self.write_file(&place, xml);
        place
    }

    /// Waits at the other end of a domain's serial line; start the domain after this.
    ///
    /// # Panics
    /// If nobody listens there in time.
    #[track_caller]
    pub fn serial_line(&self, domain: &Domain) -> Starting {
        let line = self.spawn(As::Root, &["busybox", "nc", "-l", "-p", "4000"]);
        let listens = || !self.run(&["ss", "-Hltn", "sport = :4000"]).stdout.is_empty();
        assert!(self.wait_until(Duration::from_secs(20), listens), "nc did not start\n{}", line.said());
        Starting::on_line(line, &domain.name)
    }
}
