//! nft's language: rules with their intentions, chains, names that cannot break out of their quotes.

use std::fmt::Display;
use vmnet_access::name::IfName;

/// Can nft name this interface and no other? Its strings know no escape for `"`, and read `*` and
/// `\` as a pattern. Of an uplink for which this is false, no packet is ever let out.
#[must_use]
pub fn can_name(interface: &IfName) -> bool {
    interface.as_bytes().iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'*' | b'\\'))
}

/// The name as an nft string. A byte that [`can_name`] refuses becomes `?`: then the rule matches
/// nothing, instead of too much.
#[must_use]
pub fn quoted(interface: &IfName) -> String {
    let safe =
        |b: &u8| if b.is_ascii_graphic() && !matches!(b, b'"' | b'*' | b'\\') { char::from(*b) } else { '?' };
    let name: String = interface.as_bytes().iter().map(safe).collect();
    format!("\"{name}\"")
}

/// One rule, with its intention as the comment that `nft list` shows.
#[must_use]
pub fn rule(text: impl Display, intention: &str) -> String {
    format!("{text} comment \"{intention}\"")
}

/// The rule that ends a chain.
#[must_use]
pub fn refuse(intention: &str) -> String {
    rule("reject with icmpx admin-prohibited", intention)
}

/// No chain bears a word of nft's own: `fwd` and `in`, for example, are syntax errors as names.
#[must_use]
pub fn chain(name: &str, hook: Option<&str>, rules: &[String]) -> String {
    let head = hook.map(|hook| format!("\t\ttype {hook}; policy accept;\n")).unwrap_or_default();
    let rules: String = rules.iter().map(|rule| format!("\t\t{rule}\n")).collect();
    format!("\tchain {name} {{\n{head}{rules}\t}}\n")
}

/// One value as it is, several as a set.
#[must_use]
pub fn any_of<T: Display>(values: &[T]) -> String {
    match values {
        [one] => one.to_string(),
        several => {
            let words: Vec<String> = several.iter().map(ToString::to_string).collect();
            format!("{{ {} }}", words.join(", "))
        }
    }
}
