//! A moment as people write it: seconds since 1970 as date and time of day, in UTC (RFC 3339).

const DAY: u64 = 86_400;

/// `2026-11-21T14:46:26Z`
#[must_use]
pub fn utc(seconds: u64) -> String {
    let (mut days, time) = (seconds / DAY, seconds % DAY);
    // 400 years are a whole cycle of leap years; what is left is counted year by year.
    let mut year = 1970 + days / CYCLE * 400;
    days %= CYCLE;
    while days >= length(year) {
        days -= length(year);
        year += 1;
    }
    let mut month = 1;
    for days_of_month in [31, if length(year) == 366 { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < days_of_month {
            break;
        }
        days -= days_of_month;
        month += 1;
    }
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}

/// Days in 400 years.
const CYCLE: u64 = 146_097;

/// Days in a year.
fn length(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right sides are what `date -u -d @N` prints.
    #[test]
    fn moments_are_those_of_date() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_272_386, "2026-11-21T14:46:26Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (13_574_563_200, "2400-02-29T00:00:00Z"),
        ] {
            assert_eq!(utc(seconds), date);
        }
    }
}
