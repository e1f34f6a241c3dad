//! What takes back what a step did, and the order in which a network is taken down. Every step says
//! what undoes it, every part has its turn, and who takes a network down matches the parts whole: a
//! step that nobody undoes does not compile.

use super::{BridgeStep, CableStep, FirewallStep, HostStep, PortStep, ServerStep, Step, SwitchStep};

/// The parts of taking down in their turns: each is named once, so none has no turn and none two.
macro_rules! taking_down {
    ($([$($(#[doc = $doc:literal])+ $part:ident,)+])+) => {
        /// A part of taking a network down. `down` works through all of them, whatever `up` did:
        /// from the network's record, which may be all that a run left that was killed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Part {
            $($($(#[doc = $doc])+ $part,)+)+
        }

        /// The turns of taking a network down: first what uses the bridge, then the bridge, last the
        /// record. The parts of one turn are worked on at the same time.
        pub const TAKING_DOWN: &[&[Part]] = &[$(&[$(Part::$part),+]),+];
    };
}

taking_down! {
    [
        /// Stop the pumps of its cables: each holds a TAP that is a port, and the server would see it go.
        CablePumps,
    ]
    [
        /// Stop its switch and the pump beside it, and remove what was made for it elsewhere.
        Switch,
    ]
    [
        /// Stop its server, to its end: one that still ends would keep the address from the next.
        Server,
    ]
    [
        /// Delete its links: the pairs of its cables, the bridge, and TAPs that stay and that nobody
        /// holds. Those that are held are left to their holders.
        Links,
        /// Remove its tables. As with the links, most of it is waiting for the kernel.
        Tables,
    ]
    [
        /// Remove our accepts from other firewalls.
        OtherFirewalls,
    ]
    [
        /// Put the host's forwarding back, or hand it on to a network that needs it.
        Forwarding,
    ]
    [
        /// The same for IPv6.
        Forwarding6,
    ]
    [
        /// Remove its files, the record last; only if nothing else is left to be undone.
        RunDirectory,
    ]
}

/// What takes back what a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// This part of taking down does, and nothing else would.
    By(Part),
    /// Nothing does of its own: it goes with what this part removes. The kernel forgets addresses and
    /// settings with their link, a program what it was told with its end.
    With(Part),
    /// Nothing has to: the step takes away what an earlier one made, and makes nothing.
    Removal,
    /// Nothing may: a TAP is its holder's, and it is as it was granted to him.
    Holder,
}

/// What takes back what this step did.
#[must_use]
pub fn undoing(step: &Step) -> Undo {
    match step {
        Step::Bridge(step) => bridge(step),
        Step::Host(HostStep::EnableForwarding) => Undo::By(Part::Forwarding),
        Step::Host(HostStep::EnableForwarding6) => Undo::By(Part::Forwarding6),
        Step::Firewall(step) => firewall(*step),
        Step::Server(step) => server(*step),
        Step::Switch(step) => switch(*step),
        Step::Cable(step) => cable(step),
        Step::Port(step) => port(step),
    }
}

fn bridge(step: &BridgeStep) -> Undo {
    match step {
        BridgeStep::Create(_) => Undo::By(Part::Links),
        BridgeStep::Set { .. }
        | BridgeStep::DisableIpv6
        | BridgeStep::PrepareIpv6
        | BridgeStep::Raise
        | BridgeStep::AddAddress(..)
        | BridgeStep::AllowLoopback => Undo::With(Part::Links),
        BridgeStep::RemoveAddress(..) => Undo::Removal,
    }
}

fn firewall(step: FirewallStep) -> Undo {
    match step {
        FirewallStep::LoadTables => Undo::By(Part::Tables),
        FirewallStep::LoadForwards | FirewallStep::LoadGuests => Undo::With(Part::Tables),
        FirewallStep::OpenOthers => Undo::By(Part::OtherFirewalls),
    }
}

fn server(step: ServerStep) -> Undo {
    match step {
        ServerStep::Start => Undo::By(Part::Server),
        ServerStep::Reread(_) => Undo::With(Part::Server),
        ServerStep::WriteFile | ServerStep::WriteNames | ServerStep::WriteReservations => {
            Undo::By(Part::RunDirectory)
        }
        ServerStep::Stop(_) | ServerStep::RemoveFile => Undo::Removal,
    }
}

fn switch(step: SwitchStep) -> Undo {
    match step {
        SwitchStep::Start | SwitchStep::StartPump => Undo::By(Part::Switch),
        // The sockets of those who hold ports, and the life of the switch that they were plugged into.
        SwitchStep::WriteRecord | SwitchStep::PlugAgain => Undo::By(Part::RunDirectory),
        SwitchStep::Stop(_) | SwitchStep::StopPump(_) | SwitchStep::RemoveRecord => Undo::Removal,
    }
}

fn cable(step: &CableStep) -> Undo {
    match step {
        CableStep::Make(..) => Undo::By(Part::Links),
        CableStep::Start(..) => Undo::By(Part::CablePumps),
        CableStep::Plug(_) => Undo::With(Part::CablePumps),
        CableStep::Remove(..) | CableStep::Stop(_) => Undo::Removal,
    }
}

fn port(step: &PortStep) -> Undo {
    match step {
        PortStep::WriteRecord => Undo::By(Part::RunDirectory),
        // To be a port and its flags go with the bridge; MTU and group are its holder's from then on.
        PortStep::Set(_) | PortStep::Attach(..) => Undo::With(Part::Links),
        PortStep::SetMac(..) => Undo::Holder,
        PortStep::Delete(..) => Undo::Removal,
    }
}

#[cfg(test)]
mod tests;
