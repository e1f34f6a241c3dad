//! firewalld, by D-Bus (its interface: firewalld.dbus(5)): a network's bridge goes into the zone
//! `trusted` for as long as it is up, at run time only, so that firewalld refuses nothing and our own
//! table decides. Where an administrator has put the bridge into a zone, that is left as it is.

use crate::runtime::apart;
use futures_util::stream::{Stream, StreamExt, select};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::timeout;
use vmnet_access::name::IfName;
use zbus::proxy::MethodFlags;
use zbus::{Connection, MatchRule, MessageStream, Proxy, message};

/// Its name on the bus, and of its interface.
const NAME: &str = "org.fedoraproject.FirewallD1";
const PATH: &str = "/org/fedoraproject/FirewallD1";
/// A zone that lets everything in (firewalld.zones(5)).
const ZONE: &str = "trusted";
/// How long one answer may take: firewalld is slow while it loads its rules.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where the bus listens (dbus-daemon(1)); where nothing does, there is no firewalld.
const SOCKETS: [&str; 2] = ["/run/dbus/system_bus_socket", "/var/run/dbus/system_bus_socket"];

/// How the bus says that nobody has that name.
const ABSENT: [&str; 2] =
    ["org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner"];

/// What firewalld does with a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Zone {
    /// It does not run.
    Absent,
    /// The bridge is in none, so the default one holds.
    None,
    /// It is in this one.
    Some(String),
}

/// What came of telling firewalld of a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It does not run.
    Absent,
    /// The bridge was in a zone already.
    Before,
    /// Now it is in ours.
    Now,
}

/// A connection to the system's bus.
#[derive(Clone, Debug)]
pub struct Bus {
    connection: Connection,
}

impl Bus {
    /// Connect; none where there is no bus, or none that answers in time.
    pub async fn connect() -> Option<Self> {
        if !has_bus() {
            return None;
        }
        let connection = timeout(PATIENCE, Connection::system()).await.ok()?.ok()?;
        Some(Self { connection })
    }

    /// The zone that a bridge is in.
    pub async fn zone(&self, bridge: &IfName) -> Result<Zone, String> {
        Ok(match self.ask("getZoneOfInterface", &(text(bridge),)).await? {
            None => Zone::Absent,
            Some(zone) if zone.is_empty() => Zone::None,
            Some(zone) => Zone::Some(zone),
        })
    }

    /// Put a bridge into our zone, unless it is in one. The file `mark` then says that we did.
    pub async fn open(&self, bridge: &IfName, mark: &Path) -> Result<Told, String> {
        match self.zone(bridge).await? {
            Zone::Absent => return Ok(Told::Absent),
            Zone::Some(_) => return Ok(Told::Before),
            Zone::None => {}
        }
        // First the mark: killed in between, `down` takes out what is not in.
        std::fs::write(mark, "").map_err(|error| error.to_string())?;
        let answer = self.ask("addInterface", &(ZONE, text(bridge))).await?;
        Ok(if answer.is_some() { Told::Now } else { Told::Absent })
    }

    /// Take it out again.
    async fn remove(&self, bridge: &IfName) -> Result<(), String> {
        if self.zone(bridge).await? != Zone::Some(ZONE.to_owned()) {
            return Ok(());
        }
        self.ask("removeInterface", &(ZONE, text(bridge))).await.map(drop)
    }

    /// A word to firewalld about zones, and its answer; none where it does not run.
    async fn ask<B>(&self, method: &str, arguments: &B) -> Result<Option<String>, String>
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        let call = async {
            let proxy = Proxy::new(&self.connection, NAME, PATH, format!("{NAME}.zone")).await?;
            // Never have the bus start it: whoever stopped it meant that.
            let flags = MethodFlags::NoAutoStart.into();
            proxy.call_with_flags::<_, _, String>(method, flags, arguments).await
        };
        match timeout(PATIENCE, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(zbus::Error::MethodError(name, ..))) if ABSENT.contains(&name.as_str()) => Ok(None),
            Ok(Err(error)) => Err(plain(&error)),
            Err(_) => Err("firewalld does not answer".to_owned()),
        }
    }

    /// What may mean that firewalld forgot the bridge: it came or went, or read its files again.
    async fn listen(&self) -> zbus::Result<News> {
        let kind = message::Type::Signal;
        let owner = MatchRule::builder()
            .msg_type(kind)
            .sender("org.freedesktop.DBus")?
            .member("NameOwnerChanged")?
            .arg(0, NAME)?
            .build();
        let reloaded =
            MatchRule::builder().msg_type(kind).path(PATH)?.interface(NAME)?.member("Reloaded")?.build();
        let owner = MessageStream::for_match_rule(owner, &self.connection, None).await?;
        let reloaded = MessageStream::for_match_rule(reloaded, &self.connection, None).await?;
        Ok(Box::pin(select(owner, reloaded).map(drop)))
    }
}

type News = Pin<Box<dyn Stream<Item = ()> + Send>>;

/// A connection that hears of firewalld.
pub struct Listener {
    /// The connection on which questions are answered.
    pub bus: Bus,
    news: News,
}

impl Listener {
    /// Begin to listen; none where there is no bus.
    pub async fn open() -> Option<Self> {
        let bus = Bus::connect().await?;
        let news = timeout(PATIENCE, bus.listen()).await.ok()?.ok()?;
        Some(Self { bus, news })
    }

    /// Waits for news; false when the bus is gone. May be dropped while it waits.
    pub async fn changed(&mut self) -> bool {
        self.news.next().await.is_some()
    }
}

/// Take the bridge out of our zone, if this network's keeper put it there. For `down`, which asks
/// no bus where there is no mark.
pub fn close(bridge: &IfName, mark: &Path) -> Result<(), String> {
    if !mark.exists() {
        return Ok(());
    }
    on_bus(async { Some(Bus::connect().await?.remove(bridge).await) })
        .unwrap_or(Ok(()))
        .map_err(|error| format!("cannot tell firewalld: {error}"))?;
    std::fs::remove_file(mark).map_err(|error| format!("cannot remove {}: {error}", mark.display()))
}

/// The zone that a bridge is in, for `doctor`; none where there is no bus.
pub fn zone(bridge: &IfName) -> Option<Result<Zone, String>> {
    on_bus(async { Some(Bus::connect().await?.zone(bridge).await) })
}

/// For `status`: which zone the bridge should be in, and is; none where firewalld does not run.
pub fn zones(bridge: &IfName) -> Option<(String, String)> {
    let zone = match zone(bridge)? {
        Ok(Zone::Absent) => return None,
        Ok(Zone::None) => "zone by default".to_owned(),
        Ok(Zone::Some(zone)) => return Some((format!("zone {zone}"), format!("zone {zone}"))),
        Err(error) => error,
    };
    Some((format!("zone {ZONE}"), zone))
}

/// Ask, and wait for the answer, which is none where there is no bus.
fn on_bus<T: Send>(ask: impl Future<Output = Option<Result<T, String>>> + Send) -> Option<Result<T, String>> {
    if !has_bus() {
        return None;
    }
    apart(ask).unwrap_or_else(|error| Some(Err(error.to_string())))
}

fn has_bus() -> bool {
    SOCKETS.iter().any(|socket| Path::new(socket).exists())
}

fn text(bridge: &IfName) -> String {
    String::from_utf8_lossy(bridge.as_bytes()).into_owned()
}

/// firewalld's own words, one line.
fn plain(error: &zbus::Error) -> String {
    let text = match error {
        zbus::Error::MethodError(name, words, _) => words.clone().unwrap_or_else(|| name.to_string()),
        other => other.to_string(),
    };
    text.lines().next().unwrap_or_default().to_owned()
}
