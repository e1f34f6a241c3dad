use super::*;
use proptest::prelude::*;

fn if_name() -> impl Strategy<Value = IfName> {
    "[!-.0-9;-~]{3,15}".prop_map(|name| IfName::new(name.as_bytes()).unwrap())
}

fn wish() -> impl Strategy<Value = PortKind> {
    let kept = (proptest::option::of(if_name()), any::<Option<u32>>(), any::<bool>());
    prop_oneof![
        (any::<bool>(), 1..=QUEUES_MAX)
            .prop_map(|(vnet_header, queues)| PortKind::Tap { vnet_header, queues }),
        kept.prop_map(|(name, owner, many_queues)| PortKind::Kept(KeptTap { name, owner, many_queues })),
        if_name().prop_map(|tap| PortKind::Remove { tap }),
        (if_name(), any::<[u8; 5]>()).prop_map(|(interface, [a, b, c, d, e])| {
            PortKind::Veth { interface, mac: MacAddr([2, a, b, c, d, e]) }
        }),
        Just(PortKind::Plug),
    ]
}

#[test]
fn bytes_that_mean_nothing_must_be_zero() {
    let mut message = PortRequest::tap(IfName::new(b"br0").unwrap(), true).render();
    assert!(PortRequest::parse(&message).is_ok());
    message[ASK_SIZE - 1] = 1;
    assert_eq!(PortRequest::parse(&message), Err(BadMessage::Value(USED)));
    message[ASK_SIZE - 1] = 0;
    message[BRIDGE + 5] = b'x';
    assert_eq!(PortRequest::parse(&message), Err(BadMessage::Value(BRIDGE + 5)));
    assert_eq!(PortRequest::parse(&message[1..]), Err(BadMessage::Length(ASK_SIZE - 1)));
}

#[test]
fn an_answer_is_one_printable_line_and_a_hint_and_never_too_long() {
    let long = "é\n\x1b[31m".repeat(900);
    let refused = PortReply::Refused { sentence: long.clone(), hint: Some(long) };
    let message = refused.render();
    assert!(message.len() <= ANSWER_MAX, "{}", message.len());
    let Ok(PortReply::Refused { sentence, hint: Some(hint) }) = PortReply::parse(&message) else { panic!() };
    assert!(!sentence.chars().chain(hint.chars()).any(char::is_control), "{sentence} {hint}");
    assert!(sentence.len() > 900);
}

proptest! {
    #[test]
    fn a_request_reads_back(bridge in if_name(), for_itself: bool, wish in wish()) {
        let ask = PortRequest { bridge, for_itself, wish };
        prop_assert_eq!(PortRequest::parse(&ask.render()), Ok(ask));
    }

    #[test]
    fn an_answer_reads_back(port in if_name(), mtu: u32, sentence in "[ -~é]{0,100}", hint in proptest::option::of("[ -~]{0,50}")) {
        let done = PortReply::Done { port, mtu };
        prop_assert_eq!(PortReply::parse(&done.render()), Ok(done));
        let refused = PortReply::Refused { sentence, hint };
        prop_assert_eq!(PortReply::parse(&refused.render()), Ok(refused));
    }

    #[test]
    fn no_bytes_make_a_reader_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..100), kind in 0u8..7) {
        let _ = PortRequest::parse(&bytes);
        let _ = PortReply::parse(&bytes);
        let mut message = [0; ASK_SIZE];
        message[..4].copy_from_slice(&MAGIC);
        for (to, from) in message[4..].iter_mut().zip(&bytes) {
            *to = *from;
        }
        message[KIND] = kind;
        if let Ok(ask) = PortRequest::parse(&message) {
            prop_assert_eq!(ask.render(), message);
        }
    }
}

/// What stands where in a message.
type Pieces = [(usize, &'static [u8])];

/// A request by its bytes, as another program may write it.
fn layout(pieces: &Pieces) -> [u8; ASK_SIZE] {
    let mut message = [0; ASK_SIZE];
    for (at, bytes) in [(0, &b"vmn\x01"[..])].iter().chain(pieces) {
        message[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    message
}

fn named(name: &str) -> IfName {
    IfName::new(name.as_bytes()).unwrap()
}

fn kept(name: Option<IfName>, owner: Option<u32>, many_queues: bool) -> PortKind {
    PortKind::Kept(KeptTap { name, owner, many_queues })
}

#[test]
fn each_request_has_its_bytes_which_programs_of_other_versions_know() {
    let mac = MacAddr([2, 3, 4, 5, 6, 7]);
    let table: [(PortKind, &Pieces); 10] = [
        (PortKind::Tap { vnet_header: false, queues: 1 }, &[(4, &[1, 0, 1])]),
        (PortKind::Tap { vnet_header: true, queues: 64 }, &[(4, &[1, 1, 64])]),
        (kept(None, None, false), &[(4, &[2])]),
        (kept(Some(named("vmtap0")), None, false), &[(4, &[2, 4]), (24, b"vmtap0")]),
        (kept(None, Some(0), false), &[(4, &[2, 8])]),
        (kept(None, Some(0x0102_0304), false), &[(4, &[2, 8]), (40, &[4, 3, 2, 1])]),
        (kept(None, None, true), &[(4, &[2, 16])]),
        (PortKind::Remove { tap: named("vmtap01234567x9") }, &[(4, &[3]), (24, b"vmtap01234567x9")]),
        (
            PortKind::Veth { interface: named("eth0"), mac },
            &[(4, &[4]), (24, b"eth0"), (44, &[2, 3, 4, 5, 6, 7])],
        ),
        (PortKind::Plug, &[(4, &[5])]),
    ];
    for (wish, pieces) in table {
        let mut expected = layout(pieces);
        expected[8..11].copy_from_slice(b"br0");
        let ask = PortRequest { bridge: named("br0"), for_itself: false, wish };
        assert_eq!(ask.render(), expected, "{ask:?}");
        assert_eq!(ask.descriptors(), usize::from(expected[4] == 4), "only a veth pair brings a namespace");
        assert_eq!(PortRequest::parse(&expected), Ok(ask.clone()));
        expected[5] |= 2;
        assert_eq!(PortRequest { for_itself: true, ..ask }.render(), expected);
    }
    let tap = PortKind::Tap { vnet_header: true, queues: 1 };
    assert_eq!(
        PortRequest::tap(named("br0"), true),
        PortRequest { bridge: named("br0"), for_itself: false, wish: tap }
    );
}

#[test]
fn a_request_with_a_bad_value_says_where() {
    let with = |pieces: &Pieces| {
        let mut message = layout(&[(8, b"br0")]);
        for (at, bytes) in pieces {
            message[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        PortRequest::parse(&message)
    };
    for (pieces, error) in [
        (&[(0, &b"vmn\x02"[..])][..], BadMessage::Magic),
        (&[(4, &[0])], BadMessage::Kind(0)),
        (&[(4, &[6])], BadMessage::Kind(6)),
        (&[(4, &[1, 0, 0])], BadMessage::Value(6)),
        (&[(4, &[1, 0, 65])], BadMessage::Value(6)),
        (&[(4, &[1, 4, 1])], BadMessage::Value(5)),
        (&[(4, &[5, 1])], BadMessage::Value(5)),
        (&[(4, &[2, 32])], BadMessage::Value(5)),
        (&[(4, &[2, 4])], BadMessage::Value(24)),
        (&[(4, &[2]), (24, b"tap0")], BadMessage::Value(24)),
        (&[(4, &[3]), (24, b"vmtap0123456789x")], BadMessage::Value(24)),
        (&[(4, &[4]), (24, b"eth0"), (44, &[1, 0, 0, 0, 0, 1])], BadMessage::Value(44)),
        (&[(4, &[5]), (8, b"b/0")], BadMessage::Value(8)),
        (&[(4, &[5]), (49, &[1])], BadMessage::Value(49)),
        (&[(4, &[5]), (50, &[1])], BadMessage::Value(50)),
        (&[(4, &[5]), (51, &[1])], BadMessage::Value(50)),
    ] {
        assert_eq!(with(pieces), Err(error), "{pieces:?}");
    }
    assert_eq!(PortRequest::parse(&[0; 65]), Err(BadMessage::Length(65)));
    for (error, words) in [
        (BadMessage::Length(3), "3 bytes are no message"),
        (BadMessage::Magic, "a message of another program or version"),
        (BadMessage::Kind(6), "no such kind of request: 6"),
        (BadMessage::Value(44), "bad value at byte 44"),
    ] {
        assert_eq!(error.to_string(), words);
    }
}

#[test]
fn each_answer_has_its_bytes_and_any_other_is_none() {
    let done = PortReply::Done { port: named("vmtap7"), mtu: 0x0102_0304 };
    assert_eq!(done.render(), b"vmn\x01\x00\x04\x03\x02\x01vmtap7");
    let refused =
        |hint: Option<&str>| PortReply::Refused { sentence: "no".into(), hint: hint.map(Into::into) };
    assert_eq!(refused(None).render(), b"vmn\x01\x01no");
    assert_eq!(refused(Some("a\tb")).render(), b"vmn\x01\x01no\na?b");
    assert_eq!(
        PortReply::parse(b"vmn\x01\x01n\x1bo\na\nb"),
        Ok(PortReply::Refused { sentence: "n?o".into(), hint: Some("a?b".into()) })
    );
    for (bytes, error) in [
        (&b"vmn\x01"[..], BadMessage::Length(4)),
        (b"vmn\x01\x02no", BadMessage::Length(7)),
        (b"vmn\x02\x01no", BadMessage::Magic),
        (b"vmn\x01\x00\x04\x03\x02", BadMessage::Length(8)),
        (b"vmn\x01\x00\x04\x03\x02\x01", BadMessage::Value(9)),
        (b"vmn\x01\x00\x04\x03\x02\x01a b", BadMessage::Value(9)),
    ] {
        assert_eq!(PortReply::parse(bytes), Err(error), "{bytes:?}");
    }
    let long = |length: usize| [b"vmn\x01\x01".to_vec(), vec![b'x'; length - 5]].concat();
    assert!(PortReply::parse(&long(ANSWER_MAX)).is_ok());
    assert_eq!(PortReply::parse(&long(ANSWER_MAX + 1)), Err(BadMessage::Length(ANSWER_MAX + 1)));
}

#[test]
fn words_are_cut_at_a_characters_end_and_no_earlier() {
    let told = |sentence: String| {
        let Ok(PortReply::Refused { sentence, hint: None }) =
            PortReply::parse(&PortReply::Refused { sentence, hint: None }.render())
        else {
            panic!()
        };
        sentence
    };
    let most = "x".repeat(960);
    assert_eq!(told(most.clone()), most);
    assert_eq!(told(format!("{most}y")), most);
    assert_eq!(told(format!("x{}", "é".repeat(480))), format!("x{}", "é".repeat(479)));
}
