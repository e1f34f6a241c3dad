//! What wakes the keeper: the kernel's announcements about links and addresses, the
//! server's end.

use tokio::io::unix::AsyncFd;
use vmnet_host::links::{Event, LinkError, Watch};
use vmnet_model::keeper::KeeperEvent;
use vmnet_sys::process::Process;

/// The next announcement, as far as it concerns the bridge of this number.
pub async fn next_event(watch: &mut Watch, bridge: u32) -> Result<KeeperEvent, LinkError> {
    Ok(match watch.next().await {
        Some(Event::LinkGone { index }) if index == bridge => KeeperEvent::Lost("the bridge"),
        Some(Event::LinkChanged(link)) if link.index == bridge && !link.up => {
            KeeperEvent::Lost("the bridge's up state")
        }
        Some(Event::AddressGone(address)) if address.index == bridge => {
            KeeperEvent::Lost("the bridge's address")
        }
        Some(Event::Address6Gone(address)) if address.index == bridge => {
            KeeperEvent::Lost("the bridge's IPv6 address")
        }
        Some(Event::PortChanged { bridge: of, port }) if of == bridge => {
            KeeperEvent::PortChanged { bridge, port }
        }
        Some(Event::PortGone { bridge: of, port }) if of == bridge => KeeperEvent::PortGone { port },
        Some(Event::Missed) => KeeperEvent::Lost("an announcement of the kernel"),
        Some(_) => KeeperEvent::Stirred,
        None => {
            *watch = Watch::open()?;
            // Whatever was announced meanwhile.
            KeeperEvent::Lost("an announcement of the kernel")
        }
    })
}

/// Pending until the server ends; for ever where there is none.
pub async fn ended(server: Option<&AsyncFd<Process>>) {
    match server {
        Some(server) => drop(server.readable().await),
        None => std::future::pending().await,
    }
}
