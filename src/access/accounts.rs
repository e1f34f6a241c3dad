//! The lines of /etc/passwd and /etc/group (passwd(5), group(5)), which both begin with a name, a
//! password and a number. The helper reads them itself: it is linked statically and has no NSS.

/// The number of the account called `name`.
#[must_use]
pub fn number_of(file: &[u8], name: &str) -> Option<u32> {
    entries(file).find(|(of, _)| *of == name.as_bytes()).map(|(_, number)| number)
}

/// The name of the account with this number, printable.
#[must_use]
pub fn name_of(file: &[u8], number: u32) -> Option<String> {
    entries(file).find(|(_, of)| *of == number).map(|(name, _)| name.escape_ascii().to_string())
}

/// Names and numbers, in order; a line that is no account is passed over, and so are the `+` and
/// `-` lines of the compat service, which name accounts that are elsewhere.
fn entries(file: &[u8]) -> impl Iterator<Item = (&[u8], u32)> {
    file.split(|b| *b == b'\n').filter_map(|line| {
        let mut fields = line.split(|b| *b == b':');
        let name = fields
            .next()
            .filter(|name| !name.is_empty() && !name.starts_with(b"+") && !name.starts_with(b"-"))?;
        let number = std::str::from_utf8(fields.nth(1)?).ok()?;
        fields.next()?;
        if number.bytes().all(|b| b.is_ascii_digit()) { Some((name, number.parse().ok()?)) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/bash\n# x\n+nis:x:7:7:::\nalice:x:1000:1000::/:/bin/sh\nbad:x:+5:1::\nshort:x:9";

    #[test]
    fn accounts_are_found_by_name_and_number() {
        assert_eq!(number_of(PASSWD, "alice"), Some(1000));
        assert_eq!(number_of(b"kvm:x:104:a,b\n", "kvm"), Some(104));
        assert_eq!(name_of(PASSWD, 0).as_deref(), Some("root"));
        assert_eq!(name_of(PASSWD, 1001), None);
    }

    #[test]
    fn what_is_no_account_is_passed_over() {
        for name in ["", "nis", "+nis", "# x", "bad", "short", "ali"] {
            assert_eq!(number_of(PASSWD, name), None, "{name}");
        }
    }
}
