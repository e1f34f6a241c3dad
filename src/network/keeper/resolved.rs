//! The host itself finds guests by name: systemd-resolved is told, over D-Bus, to ask a network's
//! server about the network's own names and about nothing else. It forgets what it was told with the
//! bridge, or when it starts anew without its state; then it is told again. A host without D-Bus or
//! without resolved lacks nothing here.

use futures_util::StreamExt;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use vmnet_host::log::Log;
use vmnet_model::dns_delegation::Delegation;
use vmnet_sys::trust::plain;
use zbus::fdo::{DBusProxy, NameOwnerChangedStream};
use zbus::names::BusName;
use zbus::proxy::{CacheProperties, MethodFlags};
use zbus::zvariant::{DynamicDeserialize, DynamicType, OwnedObjectPath};
use zbus::{Connection, Proxy, connection, proxy};

/// Its name on the system bus (org.freedesktop.resolve1(5)).
const RESOLVED: &str = "org.freedesktop.resolve1";
/// The longest that one exchange may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Address family IPv4, as the kernel numbers it.
const INET: i32 = 2;
/// Questions by unicast, among a link's scopes (`SD_RESOLVED_DNS` in org.freedesktop.resolve1(5)).
const DNS: u64 = 1;
/// A bus that was lost is looked for so often, once a second: it is being restarted.
const LOOKS: u32 = 60;
const SECOND: Duration = Duration::from_secs(1);
/// resolved may learn of a new link a moment after us.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// What resolved shall know of one bridge. It asks nobody on a link without a carrier, so a bridge
/// without ports needs none; it would only put the server into the `resolv.conf` that it writes for
/// programs which ask for every name (the limits below keep it out, but only of a link in use).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The bridge's number.
    pub index: u32,
    /// Which names its server answers for.
    pub delegation: Delegation,
}

/// Sees to it, beside everything else, that resolved knows what it shall. Dropping it ends that;
/// what resolved knows then goes with the bridge.
pub struct Registrar {
    wish: watch::Sender<Option<Registration>>,
    work: JoinHandle<()>,
}

impl Registrar {
    /// Start, with nothing to tell yet; troubles go to the log.
    pub fn start(log: Log) -> Self {
        let (wish, wishes) = watch::channel(None);
        Self { wish, work: tokio::spawn(serve(wishes, log)) }
    }

    /// What resolved shall know from now on; none: nothing. To say the same again costs nothing, and
    /// where there was no bus it is looked for again: say it whenever something happened.
    pub fn want(&self, registration: Option<Registration>) {
        self.wish.send_replace(registration);
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        self.work.abort();
    }
}

type Wishes = watch::Receiver<Option<Registration>>;

async fn serve(mut wishes: Wishes, log: Log) {
    let mut looks = 0;
    while wishes.wait_for(Option::is_some).await.is_ok() {
        if let Ok(Ok(mut bus)) = timeout(PATIENCE, Bus::open()).await {
            if bus.serve(&mut wishes, log).await.is_none() {
                return;
            }
            looks = LOOKS;
        } else if looks == 0 {
            if wishes.changed().await.is_err() {
                return;
            }
            continue;
        } else {
            looks -= 1;
        }
        sleep(SECOND).await;
    }
}

/// The system bus, resolved's place on it, and word of who comes there.
struct Bus {
    manager: Proxy<'static>,
    owners: NameOwnerChangedStream,
    is_running: bool,
    told: Option<Registration>,
}

impl Bus {
    async fn open() -> zbus::Result<Self> {
        let connection = connection::Builder::system()?.method_timeout(PATIENCE).build().await?;
        let dbus = DBusProxy::new(&connection).await?;
        // Listened to before it is asked, so that no change falls between.
        let owners = dbus.receive_name_owner_changed_with_args(&[(0, RESOLVED)]).await?;
        let is_running = dbus.name_has_owner(BusName::try_from(RESOLVED)?).await?;
        Ok(Self { manager: manager(&connection).await?, owners, is_running, told: None })
    }

    /// Until the bus goes; none when nobody has wishes any more.
    async fn serve(&mut self, wishes: &mut Wishes, log: Log) -> Option<()> {
        loop {
            let wish = wishes.borrow_and_update().clone();
            if self.is_running && self.told != wish {
                if let Err(error) = self.tell_at_last(wish.as_ref()).await {
                    log.trouble(&format!("cannot tell systemd-resolved of a network's names: {error}"));
                }
                // After so many tries only something new can help.
                self.told = wish;
            }
            tokio::select! {
                changed = wishes.changed() => changed.ok()?,
                owner = self.owners.next() => match owner {
                    Some(signal) => {
                        self.is_running = signal.args().is_ok_and(|change| change.new_owner.is_some());
                        self.told = None;
                    }
                    None => return Some(()),
                },
            }
        }
    }

    async fn tell_at_last(&self, wish: Option<&Registration>) -> Result<(), String> {
        let mut done = self.tell(wish).await;
        for pause in PAUSES {
            if matches!(done, Ok(true)) {
                break;
            }
            sleep(pause).await;
            done = self.tell(wish).await;
        }
        // A carrier that went again is no trouble.
        done.map(|_| ()).map_err(|error| words(&error))
    }

    /// Answers whether resolved goes by it.
    async fn tell(&self, wish: Option<&Registration>) -> zbus::Result<bool> {
        if let Some(earlier) = self.told.as_ref().filter(|told| wish.map(|w| w.index) != Some(told.index)) {
            // The bridge may be gone, and all that was known of it.
            let _ = revert(&self.manager, earlier.index).await;
        }
        match wish {
            Some(wish) => {
                register(&self.manager, wish).await?;
                is_in_use(&self.manager, wish.index).await
            }
            None => Ok(true),
        }
    }
}

async fn manager(connection: &Connection) -> zbus::Result<Proxy<'static>> {
    proxy::Builder::new(connection)
        .destination(RESOLVED)?
        .path("/org/freedesktop/resolve1")?
        .interface("org.freedesktop.resolve1.Manager")?
        .cache_properties(CacheProperties::No)
        .build()
        .await
}

/// The server last: before it stands, none is asked, and when it does, all limits are set.
async fn register(manager: &Proxy<'_>, wish: &Registration) -> zbus::Result<()> {
    let index = wish.index.cast_signed();
    // Other names go elsewhere, and the server stays out of the resolv.conf that resolved writes.
    call::<_, ()>(manager, "SetLinkDefaultRoute", &(index, false)).await?;
    // Nobody signs private names, and our server speaks no TLS.
    call::<_, ()>(manager, "SetLinkDNSSEC", &(index, "no")).await?;
    call::<_, ()>(manager, "SetLinkDNSOverTLS", &(index, "no")).await?;
    // Guests could answer these, for any name.
    call::<_, ()>(manager, "SetLinkLLMNR", &(index, "no")).await?;
    call::<_, ()>(manager, "SetLinkMulticastDNS", &(index, "no")).await?;
    // Where to ask, not where to search: a guest may call itself as it likes, and a name without a
    // domain must not come to mean it.
    let domains: Vec<(&str, bool)> = wish.delegation.zones().map(|zone| (zone, true)).collect();
    call::<_, ()>(manager, "SetLinkDomains", &(index, domains)).await?;
    let server: Ipv4Addr = wish.delegation.server;
    call(manager, "SetLinkDNS", &(index, vec![(INET, server.octets().to_vec())])).await
}

async fn revert(manager: &Proxy<'_>, index: u32) -> zbus::Result<()> {
    call(manager, "RevertLink", &(index.cast_signed(),)).await
}

/// Does resolved ask servers on this link? A moment after a link got its carrier, not yet.
async fn is_in_use(manager: &Proxy<'_>, index: u32) -> zbus::Result<bool> {
    let path: OwnedObjectPath = call(manager, "GetLink", &(index.cast_signed(),)).await?;
    let link = proxy::Builder::new(manager.connection())
        .destination(RESOLVED)?
        .path(path)?
        .interface("org.freedesktop.resolve1.Link")?
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    let scopes: u64 = Proxy::get_property(&link, "ScopesMask").await?;
    Ok(scopes & DNS != 0)
}

/// Never starts a resolved that its host does not run.
async fn call<B, R>(manager: &Proxy<'_>, method: &'static str, body: &B) -> zbus::Result<R>
where
    B: serde::Serialize + DynamicType,
    R: for<'d> DynamicDeserialize<'d>,
{
    let answer = manager.call_with_flags(method, MethodFlags::NoAutoStart.into(), body).await?;
    answer.ok_or(zbus::Error::InvalidReply)
}

/// The other side's own words, without the name of the error.
fn words(error: &zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(_, Some(words), _) => words.trim_end_matches('.').to_owned(),
        zbus::Error::InputOutput(error) => plain(error),
        other => other.to_string(),
    }
}
