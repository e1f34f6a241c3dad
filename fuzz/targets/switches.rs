//! What VDE switches say, and what is said of them.

use crate::{first_line, is_one_line};
use vmnet_access::vde::{ANSWER_SIZE, DESCRIPTION_MAX, REQUEST_SIZE, answer as answered, request};
use vmnet_access::vde_port_tag::{DATA_ENDING, HOLD_ENDING, PLUGS_DIR, held};
use vmnet_model::vde_switch::Switch;
use vmnet_vswitch::console_text::{PROMPT, addresses, data, port, status, switch, tells_of_a_port};

/// A switch's answer to whoever asks for a port, then what the asker calls himself.
#[must_use]
pub fn answer(bytes: &[u8]) -> bool {
    let mut whole = [0; ANSWER_SIZE];
    for (to, from) in whole.iter_mut().zip(bytes) {
        *to = *from;
    }
    let path = answered(&whole);
    assert!(path.is_none_or(|path| path.starts_with(b"/") && !path.contains(&0)));
    let own = path.unwrap_or(b"/run/vmnet/x");
    let words = String::from_utf8_lossy(bytes.get(ANSWER_SIZE..).unwrap_or_default());
    let asked = request(own, 0, &words);
    assert_eq!(asked.is_some(), own.len() < 108, "room for a NUL");
    if let Some(asked) = asked {
        assert!((REQUEST_SIZE..=REQUEST_SIZE + DESCRIPTION_MAX).contains(&asked.len()));
        assert!(asked.iter().skip(REQUEST_SIZE).all(|byte| (b' '..=b'~').contains(byte)));
    }
    path.is_some()
}

/// What a console says. No client's words about himself change what is told of his port.
#[must_use]
pub fn console(bytes: &[u8]) -> bool {
    assert!(status(bytes).is_none_or(|status| (1000..2000).contains(&status)));
    assert!(data(bytes).iter().all(|line| is_one_line(line)));
    let told = tells_of_a_port(bytes);
    let seen = port(bytes);
    if let Some(port) = &seen {
        assert!(port.user.as_deref().is_none_or(is_one_line));
        assert!(port.endpoints.iter().all(|endpoint| is_one_line(&endpoint.description)));
    }
    cannot_be_forged(bytes);
    told || seen.is_some() || !addresses(bytes).is_empty() || switch(bytes).is_some()
}

/// What stands in front of a client's words, and behind.
const HEAD: &[u8] = b"0000 DATA END WITH '.'\nPort 0002 untagged_vlan=0007 ACTIVE - Unnamed Allocatable\n \
    Current User: alice Access Control: (User: NONE - Group: NONE)\n IN:  pkts 1 bytes 64\n \
    OUT: pkts 2 bytes 128\n  -- endpoint ID 0007 module unix prog   : ";
const TAIL: &[u8] = b"\n.\n1000 Success\n";

fn cannot_be_forged(words: &[u8]) {
    let answer = [HEAD, words, TAIL, PROMPT].concat();
    assert_eq!(status(&answer), Some(1000));
    let port = port(&answer);
    let is_so = port.as_ref().is_some_and(|port| {
        (port.number, port.vlan, port.active, port.user.as_deref()) == (2, 7, true, Some("alice"))
            && (port.came.frames, port.came.bytes, port.went.frames, port.went.bytes) == (1, 64, 2, 128)
            && port.endpoints.first().is_some_and(|endpoint| endpoint.id == 7)
    });
    assert!(is_so, "{port:?}");
}

/// The record of a switch: what is read is what would be written.
#[must_use]
pub fn record(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(switch) = Switch::parse(text) else { return false };
    assert_eq!(Switch::parse(&switch.render()).as_ref(), Ok(&switch));
    let words = switch.arguments().unwrap_or_default();
    assert!(words.iter().all(|word| is_one_line(word)));
    true
}

/// The kernel's list of sockets, behind a line with the directory: who is said to hold a port has both sockets in it.
#[must_use]
pub fn sockets(bytes: &[u8]) -> bool {
    let (directory, list) = first_line(bytes);
    let (Ok(directory), Ok(list)) = (std::str::from_utf8(directory), std::str::from_utf8(list)) else {
        return false;
    };
    let plugs = format!("{directory}/{PLUGS_DIR}");
    let held = held(list, &plugs);
    for one in &held {
        for (ending, inode) in [(DATA_ENDING, one.data), (HOLD_ENDING, one.hold)] {
            let end = format!(" {plugs}/{}{ending}", one.tag.name());
            let line = list.lines().find(|line| line.ends_with(&end) && line.contains(&inode.to_string()));
            assert!(line.is_some(), "{one:?}");
        }
    }
    !held.is_empty()
}
