//! Where this program waits for a future, and the only runtimes that it has. What only an asynchronous
//! library does (rtnetlink, zbus) is done on a thread with a runtime of its own, so that it is an ordinary
//! function to whoever calls, also from within somebody else's runtime.

use std::panic::resume_unwind;
use std::thread;
use tokio::runtime::{Builder, Runtime};
use vmnet_model::error::Error;
use vmnet_sys::trust::plain;

/// For a verb that waits for events itself: do `work` to its end, on this thread.
///
/// # Errors
/// The work's, or the kernel had no descriptors for a runtime.
pub fn events<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    runtime().map_err(|error| Error::new("begin", "work", plain(&error)))?.block_on(work)
}

/// Do `work` to its end on a thread and a runtime of its own, and wait for that.
///
/// # Errors
/// The kernel had no thread or no descriptors for it; then nothing was done.
pub fn apart<T: Send>(work: impl Future<Output = T> + Send) -> std::io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("apart".to_owned());
        let thread = thread.spawn_scoped(scope, || runtime().map(|runtime| runtime.block_on(work)))?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Start a thread with a runtime of its own that does what `begin` made there. What that opens is opened in
/// this thread, so that it is known at once whether it could be.
///
/// # Errors
/// What `begin` failed with, or the kernel had no thread or no descriptors for it.
pub fn beside<F: Future<Output = ()> + Send + 'static>(
    name: &str,
    begin: impl FnOnce() -> std::io::Result<F>,
) -> std::io::Result<()> {
    let held = Held(Some(runtime()?));
    let within = held.0.as_ref().map(Runtime::enter);
    let work = begin()?;
    drop(within);
    let run = move || {
        if let Some(runtime) = &held.0 {
            runtime.block_on(work);
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
}

/// A runtime that may end anywhere, also within another one, which may not wait.
struct Held(Option<Runtime>);

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_apart_also_from_within_a_runtime() {
        let words = "borrowed".to_owned();
        let outer = runtime().unwrap();
        let length = outer.block_on(async {
            apart(async {
                tokio::task::yield_now().await;
                words.len()
            })
        });
        assert_eq!(length.unwrap(), words.len());
    }

    #[test]
    fn what_could_not_be_opened_is_told_and_leaves_no_thread() {
        let refuse = || Err::<std::future::Ready<()>, _>(std::io::ErrorKind::NotFound.into());
        let refused = |_| beside("refused", refuse).unwrap_err().kind();
        assert_eq!(refused(()), std::io::ErrorKind::NotFound);
        let outer = runtime().unwrap();
        assert_eq!(outer.block_on(async { refused(()) }), std::io::ErrorKind::NotFound);
    }
}
