//! Where the requests are done.

use super::*;
use tokio::runtime::Builder;

/// How many threads of this process are one of ours, in the network namespace of the thread that asks.
fn threads() -> usize {
    let space = |task: &std::path::Path| std::fs::read_link(task.join("ns/net")).ok();
    let here = space("/proc/thread-self".as_ref());
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let is_ours = |task: &std::path::Path| {
        let name = std::fs::read_to_string(task.join("comm")).unwrap_or_default();
        name.trim_end() == "rtnetlink" && space(task) == here
    };
    tasks.filter(|task| is_ours(&task.path())).count()
}

#[test]
fn verbs_work_from_within_a_runtime() {
    alone(|links| {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let index = runtime.block_on(async {
            let inner = Links::open().unwrap();
            let index = links.create_bridge(&name("br0"), MAC).unwrap();
            inner.raise(index).unwrap();
            index
        });
        assert_eq!(links.at(index).unwrap().map(|link| link.up), Some(true));
    });
}

#[test]
fn verbs_work_from_several_threads_at_once() {
    alone(|links| {
        crowd(50);
        let links = &links;
        std::thread::scope(|scope| {
            for n in 0..8 {
                scope.spawn(move || {
                    let index = links.create_bridge(&name(&format!("br{n}")), MAC).unwrap();
                    for _ in 0..10 {
                        let seen = links.snapshot().unwrap().links;
                        let veths = seen.iter().filter(|link| link.kind.as_deref() == Some("veth"));
                        assert_eq!(veths.count(), 100);
                        assert_eq!(find(links, &format!("br{n}")).index, index);
                    }
                });
            }
        });
    });
}

#[test]
fn each_has_one_thread_and_leaves_none_behind() {
    alone(|links| {
        let other = Links::open().unwrap();
        assert_eq!((other.links().unwrap().len(), threads()), (1, 2));
        let began = Instant::now();
        drop(links);
        drop(other);
        while threads() > 0 {
            assert!(began.elapsed() < Duration::from_secs(5), "{} threads are left", threads());
            std::thread::yield_now();
        }
    });
}
