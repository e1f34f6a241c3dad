//! What is kept of networks: in files of the administrator's, across reboots, and while they run.
//!
//! | file | knows |
//! |---|---|
//! | [`definitions`] | the networks there are, and what describes each |
//! | [`live_changes`] | what is remembered of a network across reboots |
//! | [`run_record`] | the record of a running network, from which `down` works |

pub mod definitions;
pub mod live_changes;
pub mod run_record;
