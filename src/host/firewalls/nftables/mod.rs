//! nf_tables asked and heard directly, because starting nft(8) costs a hundred times more: which
//! chains there are, what their rules come to, and when somebody changes them. Changes themselves
//! are made by nft.

mod events;
mod read;

use std::io;
use vmnet_model::other_firewalls::{Chain, Family, Place, Rule};
use vmnet_sys::netlink::{Netlink, Request};

pub use events::{Changes, Events};

// include/uapi/linux/netfilter/nf_tables.h
const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_GETTABLE: u16 = 1;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_GETCHAIN: u16 = 4;
const NFT_MSG_NEWRULE: u16 = 6;
const NFT_MSG_GETRULE: u16 = 7;
const NFT_MSG_DELRULE: u16 = 8;
const NFTA_TABLE_NAME: u16 = 1;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
/// NFNL_SUBSYS_NFTABLES, in the upper half of a message's kind (nfnetlink.h).
const SUBSYSTEM: u16 = 10 << 8;
/// struct nfgenmsg
const NFGENMSG: usize = 4;
/// A dump that changes under us is begun again so many times.
const DUMPS_MAX: usize = 20;

/// A socket for questions to nf_tables, in the network namespace where it was opened.
#[derive(Debug)]
pub struct Nftables {
    netlink: Netlink,
}

impl Nftables {
    /// Open a socket to nf_tables.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn open() -> io::Result<Self> {
        Ok(Self { netlink: Netlink::open_to_netfilter()? })
    }

    /// Every chain of the families that [`vmnet_model::other_firewalls::Family`] knows, in tables that more
    /// than one process may change.
    ///
    /// # Errors
    /// The kernel's answer; EPERM for all but root.
    pub fn chains(&mut self) -> io::Result<Vec<Chain>> {
        let ask = |kind| move || Request::new(SUBSYSTEM | kind, dump(), &[0; NFGENMSG]);
        let mut chains = self.list(ask(NFT_MSG_GETCHAIN), NFT_MSG_NEWCHAIN, read::chain)?;
        if !chains.is_empty() {
            let owned = self.list(ask(NFT_MSG_GETTABLE), NFT_MSG_NEWTABLE, read::owned_table)?;
            chains.retain(|chain| {
                !owned
                    .iter()
                    .any(|(family, table)| *family == chain.place.family && *table == chain.place.table)
            });
        }
        Ok(chains)
    }

    /// The rules of one chain in order; none where there is no such chain.
    ///
    /// # Errors
    /// As [`Nftables::chains`].
    pub fn rules(&mut self, place: &Place) -> io::Result<Vec<Rule>> {
        let request = || {
            let mut header = [0; NFGENMSG];
            header[0] = read::family_number(place.family);
            let mut request = Request::new(SUBSYSTEM | NFT_MSG_GETRULE, dump(), &header);
            request.attribute(NFTA_RULE_TABLE, &terminated(&place.table));
            request.attribute(NFTA_RULE_CHAIN, &terminated(&place.chain));
            request
        };
        // The kernel filters; what it lets through is looked at all the same.
        let read = |payload: &[u8]| read::rule(payload, place);
        match self.list(request, NFT_MSG_NEWRULE, read) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(Vec::new()),
            result => result,
        }
    }

    /// A table as it is, in the form of nft(8)'s listing but with a mark in place of each rule's
    /// text and of each chain's type: the same as long as nobody changes a chain or a rule. What
    /// counts and what sets learn is not in it. None where there is no such table.
    ///
    /// # Errors
    /// As [`Nftables::chains`].
    pub fn marks(&mut self, family: Family, table: &str) -> io::Result<Option<String>> {
        if !self.has_table(family, table)? {
            return Ok(None);
        }
        let ask = |kind| {
            let mut header = [0; NFGENMSG];
            header[0] = read::family_number(family);
            let mut request = Request::new(SUBSYSTEM | kind, dump(), &header);
            request.attribute(NFTA_RULE_TABLE, &terminated(table));
            request
        };
        let chains = self.list(
            || ask(NFT_MSG_GETCHAIN),
            NFT_MSG_NEWCHAIN,
            |payload| read::chain_mark(payload, family, table),
        )?;
        let rules = self.list(
            || ask(NFT_MSG_GETRULE),
            NFT_MSG_NEWRULE,
            |payload| read::rule_mark(payload, family, table),
        )?;
        let mut text = format!("table {table} {{\n");
        for (chain, mark) in chains {
            let own = rules.iter().filter(|(of, _)| *of == chain).map(|(_, mark)| format!("\t\t{mark}\n"));
            text.push_str(&format!("\tchain {chain} {{\n\t\t{mark}\n{}\t}}\n", own.collect::<String>()));
        }
        Ok(Some(text + "}\n"))
    }

    /// Is there a table of this name?
    ///
    /// # Errors
    /// As [`Nftables::chains`].
    pub fn has_table(&mut self, family: Family, table: &str) -> io::Result<bool> {
        let mut header = [0; NFGENMSG];
        header[0] = read::family_number(family);
        let mut request = Request::new(SUBSYSTEM | NFT_MSG_GETTABLE, 0, &header);
        request.attribute(NFTA_TABLE_NAME, &terminated(table));
        match self.netlink.ask(request, &mut |_, _| {}) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn list<T>(
        &mut self,
        request: impl Fn() -> Request,
        wanted: u16,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        for _ in 0..DUMPS_MAX {
            let mut found = Vec::new();
            let mut each = |kind, payload: &[u8]| {
                if kind == SUBSYSTEM | wanted {
                    found.extend(payload.get(NFGENMSG..).and_then(|_| read(payload)));
                }
            };
            match self.netlink.ask(request(), &mut each) {
                Ok(()) => return Ok(found),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("the firewall's rules keep changing"))
    }
}

fn dump() -> u16 {
    u16::try_from(libc::NLM_F_DUMP).unwrap_or(0)
}

/// A string as netlink has it, with its final NUL.
fn terminated(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

#[cfg(test)]
mod tests;
