//! One port for one caller: rules, bridge, TAP. The helper's middle, and whatever else hands out
//! ports later asks the same functions. This room prints nothing and reads no argv and no TOML.
//!
//! | file | step |
//! |---|---|
//! | [`accounts`] | names of users and groups, without NSS |
//! | [`policy`] | the rule files of this host, and what they say to a caller |
//! | [`bridge`] | the bridge of that name, started if it is a network of ours and down |
//! | [`grant`] | the TAP, attached and counted |
//! | [`refusal`] | every way it can fail, in words |

#![forbid(unsafe_code)]

pub mod accounts;
pub mod bridge;
pub mod grant;
pub mod policy;
pub mod refusal;
