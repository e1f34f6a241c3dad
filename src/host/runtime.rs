//! Where this program waits for a future, and the only runtimes that it has. What only an asynchronous
//! library does (rtnetlink, zbus) is done on a runtime of its own, so that it is an ordinary function to whoever
//! calls, also from within somebody else's runtime.

use std::panic::resume_unwind;
use std::thread;
use tokio::runtime::{Builder, Handle};
use vmnet_model::error::Error;
use vmnet_sys::trust::plain;

/// Do what waits for events itself, to its end: in this thread, or, where that is within somebody's runtime
/// already, in a thread that is there for that alone.
///
/// # Errors
/// The work's, or the kernel had no descriptors or no thread for it.
pub fn events<T: Send, F: Future<Output = Result<T, Error>>>(
    begin: impl FnOnce() -> F + Send,
) -> Result<T, Error> {
    let failed = |error: std::io::Error| Error::new("begin", "work", plain(&error));
    let work = || {
        let runtime = runtime().map_err(failed)?;
        runtime.block_on(begin())
    };
    if Handle::try_current().is_err() {
        return work();
    }
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("events".to_owned());
        let thread = thread.spawn_scoped(scope, work).map_err(failed)?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Do `work` to its end on a runtime of its own, and wait for that.
///
/// # Errors
/// The kernel had no thread or no descriptors for it; then nothing was done.
pub fn apart<T: Send>(work: impl Future<Output = T> + Send) -> std::io::Result<T> {
    Runtime::new()?.wait_for(work)
}

/// The runtime of one thing that needs one now and then, and that nobody else uses.
pub(crate) struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    /// One that does nothing yet.
    ///
    /// # Errors
    /// The kernel had no descriptors for it.
    pub(crate) fn new() -> std::io::Result<Self> {
        runtime().map(|runtime| Self(Some(runtime)))
    }

    /// Do `work` to its end, and what was begun before as far as it comes meanwhile: in this thread, or, where that is within somebody's runtime already, which may
    /// not wait for another one, in a thread that is there for that alone.
    ///
    /// # Errors
    /// The kernel had no thread for it.
    pub(crate) fn wait_for<T: Send>(&self, work: impl Future<Output = T> + Send) -> std::io::Result<T> {
        let Some(runtime) = &self.0 else { return Err(std::io::ErrorKind::BrokenPipe.into()) };
        if Handle::try_current().is_err() {
            return Ok(runtime.block_on(work));
        }
        thread::scope(|scope| {
            let thread = thread::Builder::new().name("wait".to_owned());
            let thread = thread.spawn_scoped(scope, || runtime.block_on(work))?;
            thread.join().map_or_else(|panic| resume_unwind(panic), Ok)
        })
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // It may end within another one, which may not wait.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
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
}
