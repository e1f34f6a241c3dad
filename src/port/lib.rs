//! One port for one caller: rules, bridge, link. The helper's middle and the broker's. This room prints
//! nothing and reads no argv and no TOML.
//!
//! | file | step |
//! |---|---|
//! | [`answer`] | a request from a socket, and its answer |
//! | [`acquire`] | asking whoever may make ports for one |
//! | [`client`] | the other end of that socket |
//! | [`serve`] | one request from beginning to end |
//! | [`accounts`] | names of users and groups, without NSS |
//! | [`policy`] | the rule files of this host, and what they say to a caller |
//! | [`bridge`] | the bridge of that name, started if it is a network of ours and down |
//! | [`grant`] | the TAP or veth pair, attached and counted |
//! | [`vde`] | the same on the bridge's VDE switch |
//! | [`audit`] | the line in the system log |
//! | [`refusal`] | every way it can fail, in words |
//! | [`refusal_special`] | those of ports that stay, or are in a namespace, or on a switch |

#![forbid(unsafe_code)]

pub mod accounts;
pub mod acquire;
pub mod answer;
pub mod audit;
pub mod bridge;
pub mod client;
pub mod grant;
pub mod policy;
pub mod refusal;
pub mod refusal_special;
pub mod serve;
pub mod vde;
