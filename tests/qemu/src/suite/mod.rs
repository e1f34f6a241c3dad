//! The suite: every test of the project, each in a process of its own, many side by side. Driven by
//! `src/bin/side-by-side.rs`, which is `make test`. Table of contents:
//!
//! - [`programs`]: the test programs that cargo built, and the tests in each
//! - [`lanes`]: how a test uses the processors, and so how many of its kind go side by side
//! - [`queue`]: which test starts next
//! - [`run`]: one test run to its end
//! - [`outcome`]: how it went, by its exit status and by its words
//! - [`tally`]: how they all went: unsteady tests, and the closing line

pub mod lanes;
pub mod outcome;
pub mod programs;
pub mod queue;
pub mod run;
pub mod tally;
