//! `vmnet account user|group NAME`: for the helper, which is linked statically and so has no NSS.

use crate::args::AccountKind;
use crate::exit::Exit;
use crate::say;
use vmnet_access::rules::Accounts;
use vmnet_model::error::Error;
use vmnet_sys::caller::Database;

/// Print the number, or `none`.
pub fn run(kind: AccountKind, name: &str) -> Result<Exit, Error> {
    let found = match kind {
        AccountKind::User => Database.user(name),
        AccountKind::Group => Database.group(name),
    };
    match found {
        Ok(number) => say::line(&number.map_or_else(|| "none".to_owned(), |number| number.to_string())),
        Err(down) => return Err(Error::new("look up", format!("account '{}'", name.escape_debug()), down)),
    }
    Ok(Exit::Done)
}
