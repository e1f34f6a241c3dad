//! `vmnet account user|group NAME`: for the helper, which is linked statically and so has no NSS.

use crate::args::AccountKind;
use crate::failure::{Exit, Failure};
use crate::say;
use vmnet_access::rules::Accounts;
use vmnet_sys::caller::Database;

/// Print the number, or `none`.
pub fn run(kind: AccountKind, name: &str) -> Result<Exit, Failure> {
    let found = match kind {
        AccountKind::User => Database.user(name),
        AccountKind::Group => Database.group(name),
    };
    match found {
        Ok(number) => say::line(&number.map_or_else(|| "none".to_owned(), |number| number.to_string())),
        Err(down) => return Err(Failure::new("look up", format!("account '{}'", name.escape_debug()), down)),
    }
    Ok(Exit::Done)
}
