//! A thousand hostile callers of several users: an honest user's requests are served as before, and what
//! the hostile ones leave behind goes with them.

use std::time::{Duration, Instant};

use rig::catch::Caught;
use rig::house::{HELPER, House};
use rig::process::Process;

const RULES: &str = "allow br0\n";
/// A helper with rights of its own, for comparison.
const SETUID: &str = "/tmp/house/setuid-helper";
const REQUESTS: usize = 30;
/// How much later an honest user may be served.
const LATER: Duration = Duration::from_millis(50);

/// How long honest requests took: of the broker, and in turns with them of a setuid helper, which the
/// attack meets only where it keeps the whole machine busy.
struct Took {
    broker: Vec<Duration>,
    setuid: Vec<Duration>,
}

fn requests(house: &House, count: usize) -> Took {
    let ask = |helper: &str| {
        let caught: Caught = house.catch("alice", &[helper, "--br=br0", "--fd={fd}"]);
        caught.tap();
        caught.took
    };
    let (mut broker, mut setuid): (Vec<_>, Vec<_>) = (0..count).map(|_| (ask(HELPER), ask(SETUID))).unzip();
    broker.sort_unstable();
    setuid.sort_unstable();
    Took { broker, setuid }
}

fn show(what: &str, took: &Took) {
    let ms = |took: &[Duration], at: usize| took[at].as_secs_f64() * 1000.0;
    let line = |took: &[Duration]| {
        let last = took.len() - 1;
        format!("{:.1} {:.1} {:.1}", ms(took, last / 2), ms(took, last * 9 / 10), ms(took, last))
    };
    println!("{what}: median, 90 %, most: {} ms; setuid: {} ms", line(&took.broker), line(&took.setuid));
}

#[track_caller]
fn assert_not_delayed(house: &House, what: &str, before: &Took, crowds: Vec<Process>) {
    let during = requests(house, REQUESTS);
    show(what, &during);
    drop(crowds);
    // On a machine that is busy with other things too, the last ones say more about those.
    for (at, blur) in [(REQUESTS / 2, 1), (REQUESTS * 9 / 10, 2)] {
        let expected = before.broker[at].max(during.setuid[at]) * blur;
        assert!(during.broker[at] < expected + LATER, "{what}: {:?}", during.broker);
    }
}

const WAYS: [(&str, usize); 8] = [
    ("silent", 300),
    ("slow", 200),
    ("large", 100),
    ("closing", 100),
    ("descriptors", 10),
    ("lingering", 1),
    ("asking", 200),
    ("deaf", 100),
];

#[test]
fn a_thousand_hostile_callers_do_not_delay_an_honest_one() {
    let name = "a_thousand_hostile_callers_do_not_delay_an_honest_one";
    let Some((house, mut broker)) = House::with_broker(name, RULES) else { return };
    house.sh(&format!("cp {HELPER} {SETUID}; chmod 4755 {SETUID}"));
    requests(&house, 3);
    let before = requests(&house, REQUESTS);
    show("before", &before);
    for (at, (way, count)) in WAYS.into_iter().enumerate() {
        let crowd = house.crowd(3000 + u32::try_from(at).expect("few"), way, count);
        assert_not_delayed(&house, way, &before, vec![crowd]);
        assert!(broker.is_running(), "{}", broker.said());
    }
    let uids = 3000..;
    let all = uids.zip(WAYS).map(|(uid, (way, count))| house.crowd(uid, way, count)).collect();
    assert_not_delayed(&house, "all", &before, all);
    assert!(broker.is_running(), "{}", broker.said());
    // Nor its own end.
    let _crowd = house.crowd(3000, "lingering", 5);
    house.run(&["kill", "-TERM", &house.broker()]).success();
    let started = Instant::now();
    let status = broker.wait(Duration::from_secs(20));
    assert!(
        status.success() && started.elapsed() < Duration::from_secs(5),
        "{status} {:?}",
        started.elapsed()
    );
    assert_eq!(broker.said(), "");
}
