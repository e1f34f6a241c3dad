//! Where the requests are done.

use super::*;
use tokio::runtime::Builder;

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

/// The threads of this process in the network namespace of the thread that asks.
fn threads_here() -> usize {
    let space = |task: &str| std::fs::read_link(format!("/proc/{task}/ns/net")).ok();
    let here = space("thread-self");
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let spaces = tasks.map(|task| space(&format!("self/task/{}", task.file_name().display())));
    spaces.filter(|there| *there == here).count()
}

#[test]
fn nothing_is_left_running_between_requests_or_afterwards() {
    alone(|links| {
        let alone = threads_here();
        links.links().unwrap();
        assert_eq!(threads_here(), alone, "a caller that has no runtime waits itself");
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let inner = Links::open().unwrap();
            inner.links().unwrap();
        });
        assert_eq!(threads_here(), alone, "the one that waited within a runtime has ended");
    });
}
