//! The words of those verbs that plug something in.

use super::{bridge, interface};
use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::{IfName, NetName};
use vmnet_access::request::QUEUES_MAX;

/// `vmnet exec`
#[derive(Debug, Args)]
pub struct ExecWords {
    /// The network, or a bridge
    #[arg(value_parser = bridge)]
    pub name: IfName,
    /// So many queues, one descriptor each
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=i64::from(QUEUES_MAX)))]
    pub queues: u8,
    /// With virtio-net headers, or without
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub vnet_hdr: Switch,
    /// A port on the network's VDE switch instead of a TAP: raw frames on a datagram socket
    #[arg(long, conflicts_with_all = ["queues", "vnet_hdr"])]
    pub vde: bool,
    /// What stands for `{mac}`, instead of a random one
    #[arg(long)]
    pub mac: Option<MacAddr>,
    /// The program and its words, in which {fd}, {fds}, {fds,}, {netdev} and {mac} are replaced
    #[arg(required = true, last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// `vmnet tap`
#[derive(Debug, Subcommand)]
pub enum TapVerb {
    /// Make a TAP that stays: attached, up, and its owner's to open
    Add {
        /// The network, or a bridge
        #[arg(value_parser = bridge)]
        name: IfName,
        /// Whose it is, by name or number; yourself if you are not root
        #[arg(long, value_name = "USER")]
        owner: Option<String>,
        /// What it is called; a free name is chosen if none is given
        #[arg(long = "name", value_name = "IF", value_parser = interface)]
        interface: Option<IfName>,
        /// It may be opened several times, once for each queue
        #[arg(long)]
        queues: bool,
    },
    /// Remove one
    Rm {
        /// The TAP
        #[arg(value_parser = interface)]
        tap: IfName,
    },
}

/// `vmnet attach`
#[derive(Debug, Args)]
pub struct AttachWords {
    /// The network, or a bridge
    #[arg(value_parser = bridge)]
    pub name: IfName,
    /// The namespace.
    #[command(flatten)]
    pub space: SpaceWords,
    /// Its address there, `ADDRESS/LENGTH`; may be given several times
    #[arg(long, value_name = "CIDR", conflicts_with = "dhcp")]
    pub address: Vec<String>,
    /// An address by DHCP, also where nothing else is said
    #[arg(long)]
    pub dhcp: bool,
    /// The interface in it
    #[arg(long, value_name = "IF", value_parser = interface, default_value = "eth0")]
    pub ifname: IfName,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Which network namespace.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct SpaceWords {
    /// That of this process
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// The one at this path, or of this name in /run/netns
    #[arg(long, value_name = "PATH")]
    pub netns: Option<PathBuf>,
}

/// `vmnet wire`: the processes of a switch, which `vmnet` starts itself.
#[derive(Debug, Subcommand)]
pub enum WireVerb {
    /// Become the VDE switch of a record
    Switch {
        /// The record
        #[arg(long, value_name = "FILE")]
        record: PathBuf,
    },
    /// Carry frames between a bridge and the switch of a record
    Pump {
        /// The network
        #[arg(value_parser = NetName::new)]
        name: NetName,
        /// The record
        #[arg(long, value_name = "FILE")]
        record: PathBuf,
        /// It is this cable
        #[arg(long, value_name = "NAME")]
        cable: Option<String>,
    },
    /// Plug all that hold ports into the switch of a record again
    Plug {
        /// The record
        #[arg(long, value_name = "FILE")]
        record: PathBuf,
        /// The directory of their sockets
        #[arg(long, value_name = "DIR")]
        plugs: PathBuf,
    },
}

/// `vmnet hook`
#[derive(Debug, Subcommand)]
pub enum HookVerb {
    /// Be /etc/libvirt/hooks/qemu.d/vmnet or network.d/vmnet
    Libvirt {
        /// The domain's or network's name, and what libvirt adds to it
        #[arg(required = true, num_args = 1.., allow_hyphen_values = true, value_name = "WORD")]
        words: Vec<OsString>,
    },
}

/// Programs that `vmnet snippet` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Program {
    /// QEMU.
    Qemu,
    /// libvirt.
    Libvirt,
    /// Firecracker.
    Firecracker,
    /// Cloud Hypervisor.
    CloudHypervisor,
    /// crosvm.
    Crosvm,
    /// LXC.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
}
