//! What may be typed. Help, completions and the check of the man pages come from here.

mod plug;

use clap::{Args, Parser, Subcommand};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::{IfName, NetName};
use vmnet_access::paths;
use vmnet_model::cable::End;
use vmnet_model::forward::{Listen, Protocol, Target};
use vmnet_model::guest::{Who, is_host_name};

pub use plug::{AttachWords, ExecWords, HookVerb, Program, SpaceWords, Switch, TapVerb, WireVerb};

/// Networks for virtual machines: a bridge with DHCP, DNS, NAT and a firewall.
#[derive(Debug, Parser)]
#[command(name = "vmnet", version, about, max_term_width = 100, arg_required_else_help = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// Where.
    #[command(flatten)]
    pub directories: Directories,
}

/// The three directories, for tests and packaging.
#[derive(Debug, Args)]
pub struct Directories {
    /// Directory of the network files and access rules
    #[arg(long, global = true, value_name = "DIR", default_value = paths::CONFIG_DIR)]
    pub config_dir: PathBuf,
    /// Directory of what outlives a reboot
    #[arg(long, global = true, value_name = "DIR", default_value = paths::STATE_DIR)]
    pub state_dir: PathBuf,
    /// Directory of what does not
    #[arg(long, global = true, value_name = "DIR", default_value = paths::RUN_DIR)]
    pub run_dir: PathBuf,
}

/// `exec` and nothing else.
#[derive(Debug, Parser)]
#[command(name = "vmnet", version)]
struct ExecAlone {
    #[command(subcommand)]
    verb: ExecVerb,
    #[command(flatten)]
    directories: Directories,
}

/// Its only verb.
#[derive(Debug, Subcommand)]
enum ExecVerb {
    /// As in [`Verb`].
    Exec(ExecWords),
}

impl Arguments {
    /// What was typed. `exec` stands before the start of each VM, so the words of the other verbs, which take
    /// longer to build than all else that it does itself, are built only where it cannot be understood.
    pub fn typed() -> Result<Self, clap::Error> {
        let is_exec = std::env::args_os().nth(1).is_some_and(|word| word == "exec");
        if is_exec && let Ok(ExecAlone { verb: ExecVerb::Exec(words), directories }) = ExecAlone::try_parse()
        {
            return Ok(Self { verb: Verb::Exec(words), directories });
        }
        Self::try_parse()
    }
}

/// One verb, one file in `cmd/`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Bring a network up, or make it again what its file says
    Up {
        /// The network
        #[arg(value_parser = NetName::new)]
        name: NetName,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        /// The helper asks: refuse where the network's file says `on_demand = false`
        #[arg(long, hide = true)]
        on_demand: bool,
    },
    /// Take a network down; what was there before `up` is there again
    Down {
        /// The network
        #[arg(value_parser = NetName::new)]
        name: NetName,
        /// Even while guests are attached
        #[arg(long)]
        force: bool,
    },
    /// Bring a network up and keep it so, in the foreground
    Run {
        /// The network
        #[arg(value_parser = NetName::new)]
        name: NetName,
        /// Started by `up`: a session of its own, log to the system log
        #[arg(long, hide = true)]
        background: bool,
    },
    /// Show wanted beside actual; exit 0 as wanted, 3 not up, 4 drifted
    Status {
        /// The network; all that are up if none is named
        #[arg(value_parser = NetName::new)]
        name: Option<NetName>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the networks
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show who is plugged in, or take a port away
    Ports {
        /// The network
        #[arg(value_parser = NetName::new)]
        name: NetName,
        /// Delete this port: whoever holds it is off the network at once
        #[arg(long, value_name = "PORT", value_parser = interface, conflicts_with = "json")]
        revoke: Option<IfName>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the leases
    Leases {
        /// The network
        #[arg(value_parser = NetName::new)]
        name: NetName,
        /// Go on, and print each lease that is got, renewed or lost
        #[arg(long)]
        watch: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Lead ports of this host to guests
    #[command(subcommand)]
    Forward(ForwardVerb),
    /// Reserve names and addresses for guests
    #[command(subcommand)]
    Host(HostVerb),
    /// Run a program with a port of its own as an inherited descriptor
    Exec(ExecWords),
    /// Make TAPs for programs that open theirs by name
    #[command(subcommand)]
    Tap(TapVerb),
    /// Give a network namespace an interface on a network
    Attach(AttachWords),
    /// Take it away again
    Detach {
        /// The network, or a bridge
        #[arg(value_parser = bridge)]
        name: IfName,
        /// The namespace
        #[command(flatten)]
        space: SpaceWords,
        /// The interface in it
        #[arg(long, value_name = "IF", value_parser = interface, default_value = "eth0")]
        ifname: IfName,
    },
    /// Join a network with another one, or with a VDE switch
    Cable {
        /// The network
        #[arg(value_parser = NetName::new)]
        name: NetName,
        /// The other network, or vde://DIR
        #[arg(value_name = "NAME|vde://DIR")]
        to: End,
        /// Take the cable away again
        #[arg(long)]
        remove: bool,
    },
    /// The processes of a switch, started by `up` and the keeper
    #[command(subcommand, hide = true)]
    Wire(WireVerb),
    /// Print what makes a program use a network
    Snippet {
        /// The network, or a bridge
        #[arg(value_parser = bridge)]
        name: IfName,
        /// The program
        #[arg(long = "for", value_name = "PROGRAM")]
        program: Program,
    },
    /// Serve the helper where it has no rights of its own
    Broker,
    /// Be called by other programs when theirs start and end
    #[command(subcommand)]
    Hook(HookVerb),
    /// Write a commented file for a new network
    Init {
        /// The network
        #[arg(value_parser = NetName::new)]
        name: NetName,
    },
    /// Check the network files and the access rules
    Check {
        /// The network; everything if none is named
        #[arg(value_parser = NetName::new)]
        name: Option<NetName>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say who may plug in, and which line says so
    Access {
        /// The bridge, or a network
        #[arg(value_parser = bridge)]
        name: IfName,
        /// Ask for this user, by name or number, instead of yourself
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Find what on this host breaks guests' networking, and say what cures it
    Doctor {
        /// The network; all of them if none is named
        #[arg(value_parser = NetName::new)]
        name: Option<NetName>,
        /// Do the cures that take nothing from anybody
        #[arg(long)]
        fix: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The helper, which has no NSS, asks for an account's number
    #[command(hide = true)]
    Account {
        /// Which database
        kind: AccountKind,
        /// The account
        name: String,
    },
    /// Print the JSON Schema of the network files, for editors
    Schema,
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What to do about forwards.
#[derive(Debug, Subcommand)]
pub enum ForwardVerb {
    /// Lead a port of this host to a guest, at once and after each restart
    Add {
        /// The network
        #[arg(value_parser = NetName::new)]
        name: NetName,
        /// The port of this host, `ADDRESS:PORT` or `FIRST-LAST`; port 0 chooses a free one
        listen: Listen,
        /// GUEST[:PORT[-PORT]], by name, MAC or address
        to: Target,
        /// tcp, udp or tcp+udp
        #[arg(long, default_value = "tcp")]
        protocol: Protocol,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Close a forward that was added so
    Rm {
        /// The network
        #[arg(value_parser = NetName::new)]
        name: NetName,
        /// The port of this host, as it was added
        listen: Listen,
        /// Only the one of this protocol
        #[arg(long)]
        protocol: Option<Protocol>,
    },
    /// List forwards: where they lead and how often they were used
    List {
        /// The network; all of them if none is named
        #[arg(value_parser = NetName::new)]
        name: Option<NetName>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `vmnet host`
#[derive(Debug, Subcommand)]
pub enum HostVerb {
    /// Reserve a name and an address for the guest with this MAC
    Add {
        /// The network
        #[arg(value_parser = NetName::new)]
        name: NetName,
        /// The guest's name
        #[arg(value_parser = host_name)]
        host: String,
        /// The guest's MAC
        mac: MacAddr,
        /// The guest's address; a free one is chosen if none is given
        address: Option<Ipv4Addr>,
        /// The guest's IPv6 address
        #[arg(long, value_name = "ADDRESS")]
        address6: Option<Ipv6Addr>,
        /// A further name; may be given several times
        #[arg(long, value_name = "NAME", value_parser = host_name)]
        alias: Vec<String>,
    },
    /// Take a reservation back
    Rm {
        /// The network
        #[arg(value_parser = NetName::new)]
        name: NetName,
        /// The guest's name, MAC or address
        host: Who,
    },
    /// List the reservations, those of the network's file too
    List {
        /// The network
        #[arg(value_parser = NetName::new)]
        name: NetName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Names are the same in upper and lower case.
fn host_name(text: &str) -> Result<String, &'static str> {
    if is_host_name(text) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("not a host's name: up to 63 letters, digits and inner hyphens, no dots")
    }
}

/// Users or groups.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum AccountKind {
    /// The database of users.
    User,
    /// The database of groups.
    Group,
}

fn interface(text: &str) -> Result<IfName, vmnet_access::name::NameError> {
    IfName::new(text.as_bytes())
}

/// Any bridge may be asked about; a network with a long name means its bridge.
fn bridge(text: &str) -> Result<IfName, vmnet_access::name::NameError> {
    IfName::new(text.as_bytes())
        .or_else(|error| NetName::new(text).map(|net| net.bridge()).map_err(|_| error))
}
