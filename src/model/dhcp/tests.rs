//! The client against a server of a few lines, and against whatever a wire may carry.

use super::*;
use proptest::prelude::*;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 17);
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);

fn client() -> Client {
    Client::new(MAC, 7, Some("web".to_owned()))
}

/// What a server answers to a client's frame.
fn answer(frame: &[u8], kind: u8, more: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let body = ETHERNET + IP + UDP;
    frame[ETHERNET + IP..ETHERNET + IP + 4].copy_from_slice(&[0, 67, 0, 68]);
    frame[body] = 2;
    frame[body + 16..body + 20].copy_from_slice(&OWN.octets());
    frame.truncate(body + BOOTP + 4);
    frame.extend([PAD, KIND, 1, kind, SERVER, 4, 10, 0, 1, 1]);
    frame.extend_from_slice(more);
    frame.push(END);
    let ip_length = u16::try_from(frame.len() - ETHERNET).unwrap();
    frame[ETHERNET + 2..ETHERNET + 4].copy_from_slice(&ip_length.to_be_bytes());
    frame[ETHERNET + IP + 4..ETHERNET + IP + 6].copy_from_slice(&(ip_length - 20).to_be_bytes());
    frame
}

const GRANT: &[u8] = &[
    1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 1, 1, 6, 8, 10, 0, 1, 1, 10, 0, 1, 2, 15, 12, b'l', b'a', b'b',
    b'.', b'i', b'n', b't', b'e', b'r', b'n', b'a', b'l', 51, 4, 0, 0, 0x0e, 0x10, 58, 4, 0, 0, 0x07, 0x08,
];

fn said(frame: &[u8], code: u8) -> Option<Vec<u8>> {
    option(&frame[ETHERNET + IP + UDP + BOOTP + 4..], code).map(<[u8]>::to_vec)
}

#[test]
fn an_answer_with_rapid_commit_is_a_lease_at_once() {
    let mut client = client();
    let frame = client.frame();
    assert_eq!(said(&frame, KIND), Some(vec![DISCOVER]));
    assert_eq!(said(&frame, RAPID_COMMIT), Some(Vec::new()));
    assert_eq!(said(&frame, HOST_NAME), Some(b"web".to_vec()));
    let lease = Lease {
        address: OWN,
        length: 24,
        server: HOST,
        gateway: Some(HOST),
        resolvers: vec![HOST, Ipv4Addr::new(10, 0, 1, 2)],
        domain: Some("lab.internal".to_owned()),
        seconds: Some(3600),
        renewal: Some(1800),
    };
    assert_eq!(client.hear(&answer(&frame, ACK, GRANT)), Heard::Granted(lease));
}

#[test]
fn an_offer_is_asked_for_and_a_refused_one_begins_anew() {
    let mut client = client();
    let discover = client.frame();
    assert_eq!(client.hear(&answer(&discover, OFFER, GRANT)), Heard::GoOn);
    let request = client.frame();
    assert_eq!(said(&request, KIND), Some(vec![REQUEST]));
    assert_eq!(said(&request, WANTED_ADDRESS), Some(OWN.octets().to_vec()));
    assert_eq!(said(&request, SERVER), Some(HOST.octets().to_vec()));
    assert_eq!(client.hear(&answer(&request, NAK, &[])), Heard::Refused);
    let again = client.frame();
    assert_eq!(said(&again, KIND), Some(vec![DISCOVER]));
    // What is answered late to the first question is no answer to the second.
    assert_eq!(client.hear(&answer(&request, ACK, GRANT)), Heard::Nothing);
    assert!(matches!(client.hear(&answer(&again, ACK, GRANT)), Heard::Granted(_)));
}

#[test]
fn a_renewal_speaks_from_the_address_and_names_no_server() {
    let mut client = client().holding(OWN);
    let frame = client.frame();
    assert_eq!(said(&frame, KIND), Some(vec![REQUEST]));
    assert_eq!((said(&frame, SERVER), said(&frame, WANTED_ADDRESS)), (None, None));
    let body = ETHERNET + IP + UDP;
    assert_eq!(frame[body + 12..body + 16], OWN.octets());
    assert_eq!(frame[ETHERNET + 12..ETHERNET + 16], OWN.octets());
    assert_eq!(client.hear(&answer(&frame, NAK, &[])), Heard::Refused);
    assert_eq!(said(&client.frame(), KIND), Some(vec![DISCOVER]));
}

#[test]
fn what_is_for_others_or_makes_no_sense_is_passed_over() {
    let mut client = client();
    let frame = client.frame();
    let good = answer(&frame, ACK, GRANT);
    let changed = |at: usize, byte: u8| {
        let mut frame = good.clone();
        frame[at] = byte;
        frame
    };
    let body = ETHERNET + IP + UDP;
    let bad = [
        ("another's", changed(body + 33, 9)),
        ("another talk's", changed(body + 7, 9)),
        ("a request", changed(body, 1)),
        ("no IPv4", changed(12, 0x86)),
        ("a fragment", changed(ETHERNET + 7, 1)),
        ("from another port", changed(ETHERNET + IP + 1, 53)),
        ("longer than it is", changed(ETHERNET + 2, 0xff)),
        ("a loopback address", changed(body + 16, 127)),
        ("a NAK to a DISCOVER", answer(&frame, NAK, &[])),
        ("no mask, no time", answer(&frame, ACK, &[])),
        ("a mask with a hole", answer(&frame, ACK, &[1, 4, 255, 0, 255, 0, 51, 4, 0, 0, 1, 0])),
        ("no time at all", answer(&frame, ACK, &[1, 4, 255, 255, 255, 0, 51, 4, 0, 0, 0, 0])),
    ];
    for (what, frame) in bad {
        assert_eq!(client.hear(&frame), Heard::Nothing, "{what}");
    }
    assert!(matches!(client.hear(&good), Heard::Granted(_)));
}

#[test]
fn a_lease_for_ever_is_never_renewed_and_a_strange_domain_is_none() {
    let mut client = client();
    let grant = [1, 4, 255, 255, 255, 0, 51, 4, 255, 255, 255, 255, 15, 4, b'a', b'\n', b'b', b'c'];
    let Heard::Granted(lease) = client.hear(&answer(&client.frame(), ACK, &grant)) else { panic!() };
    assert_eq!((lease.seconds, lease.renewal, lease.domain), (None, None, None));
}

#[test]
fn a_header_sums_to_nothing_and_a_message_is_never_too_small() {
    for frame in [client().frame(), client().holding(OWN).frame(), release(MAC, 9, OWN, HOST)] {
        assert_eq!(Sum::default().plus(&frame[ETHERNET..ETHERNET + IP]).finish(), [0, 0]);
        assert!(frame.len() >= ETHERNET + IP + UDP + SMALLEST);
    }
}

proptest! {
    #[test]
    fn no_frame_makes_it_fall_over(mut bytes in proptest::collection::vec(any::<u8>(), 0..500), graft: bool) {
        let mut client = client();
        if graft {
            // Behind a header that is right, so that the options are read.
            let mut frame = answer(&client.frame(), ACK, &[]);
            frame.truncate(ETHERNET + IP + UDP + BOOTP + 4);
            frame.append(&mut bytes);
            let length = u16::try_from(frame.len() - ETHERNET).unwrap();
            frame[ETHERNET + 2..ETHERNET + 4].copy_from_slice(&length.to_be_bytes());
            frame[ETHERNET + IP + 4..ETHERNET + IP + 6].copy_from_slice(&(length - 20).to_be_bytes());
            bytes = frame;
        }
        let _ = client.hear(&bytes);
    }
}
