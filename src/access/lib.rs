//! What the setuid helper and the companion agree on: names, access rules, the request for a port and the
//! record of what a port must look like.
//!
//! Nothing here reads a file, a clock or the environment, and nothing here depends on another room or
//! another crate, because the setuid helper links it.
//!
//! | file | knows |
//! |---|---|
//! | [`accounts`] | the lines of /etc/passwd and /etc/group |
//! | [`name`] | legal interface and network names, and how one becomes the other |
//! | [`mac`] | MAC addresses and the stable one of a bridge |
//! | [`paths`] | where things live, fixed when the program is built |
//! | [`rules`] | the access rules: grammar, and one verdict |
//! | [`port_record`] | what a port on a bridge must look like, and the record the helper reads |
//! | [`request`] | what is asked of whoever may make ports, and the answer |
//! | [`vde`] | what is said to a VDE switch |
//! | [`vde_port_tag`] | the name by which a port on a VDE switch is known |

#![forbid(unsafe_code)]

pub mod accounts;
pub mod mac;
pub mod name;
pub mod paths;
pub mod port_record;
pub mod request;
pub mod rules;
pub mod vde;
pub mod vde_port_tag;
