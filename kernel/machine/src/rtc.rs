//! What the registers of a PC's battery-backed clock (MC146818) mean.

/// The registers as read while no update was going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registers {
    pub(crate) second: u8,
    pub(crate) minute: u8,
    pub(crate) hour: u8,
    pub(crate) day: u8,
    pub(crate) month: u8,
    pub(crate) year: u8,
    /// Register 0x32, which not all have.
    pub(crate) century: u8,
    /// Register B: bit 1 says 24-hour, bit 2 says binary.
    pub(crate) mode: u8,
}

const MODE_24_HOURS: u8 = 1 << 1;
const MODE_BINARY: u8 = 1 << 2;
const AFTERNOON: u8 = 0x80;

/// Seconds since 1970, taking the clock as UTC; `None` if the registers hold no date (there is no clock: all ones).
pub(crate) fn decode(registers: Registers) -> Option<u64> {
    let number = |byte: u8| -> Option<u64> {
        if registers.mode & MODE_BINARY != 0 {
            return Some(byte.into());
        }
        let (tens, ones) = (byte >> 4, byte & 0xf);
        (tens < 10 && ones < 10).then_some(u64::from(tens) * 10 + u64::from(ones))
    };
    let hour = if registers.mode & MODE_24_HOURS != 0 {
        number(registers.hour)?
    } else {
        // 12 in the morning is 0.
        let hour = number(registers.hour & !AFTERNOON)?;
        let afternoon = registers.hour & AFTERNOON != 0;
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour % 12 + if afternoon { 12 } else { 0 }
    };
    let (second, minute) = (number(registers.second)?, number(registers.minute)?);
    let (day, month, year) = (number(registers.day)?, number(registers.month)?, number(registers.year)?);
    let century = number(registers.century).filter(|century| (20..=99).contains(century)).unwrap_or(20);
    if second > 60 || minute > 59 || hour > 23 || year > 99 {
        return None;
    }
    let days = days_since_1970(century * 100 + year, month, day)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Days of the Gregorian calendar; the year is 1970 or later.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let february = if leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month.checked_sub(1)?).ok()?;
    if !(1..=*months.get(before)?).contains(&day) {
        return None;
    }
    // Leap years before this one, counted from year 1.
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let years = (year.checked_sub(1970)?) * 365 + leaps(year - 1) - leaps(1969);
    Some(years + months[..before].iter().sum::<u64>() + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: u8, month: u8, day: u8, hour: u8, mode: u8) -> Registers {
        Registers { second: 0x56, minute: 0x34, hour, day, month, year, century: 0x20, mode }
    }

    #[test]
    fn bcd_and_binary_and_both_kinds_of_hours() {
        // date -u -d '2026-11-23 12:34:56' +%s
        let expected = Some(1_795_437_296);
        assert_eq!(decode(at(0x26, 0x11, 0x23, 0x12, 2)), expected);
        let binary = Registers {
            second: 56,
            minute: 34,
            hour: 12,
            day: 23,
            month: 11,
            year: 26,
            century: 20,
            mode: 6,
        };
        assert_eq!(decode(binary), expected);
        assert_eq!(decode(at(0x26, 0x11, 0x23, 0x92, 0)), expected, "12 PM is noon");
        assert_eq!(
            decode(at(0x26, 0x11, 0x23, 0x12, 0)),
            expected.map(|s| s - 12 * 3600),
            "12 AM is midnight"
        );
        assert_eq!(decode(Registers { century: 0xff, ..at(0x26, 0x11, 0x23, 0x12, 2) }), expected);
    }

    #[test]
    fn leap_years() {
        assert_eq!(days_since_1970(1970, 1, 1), Some(0));
        assert_eq!(days_since_1970(2000, 3, 1), Some(11017));
        assert_eq!(days_since_1970(2024, 2, 29), Some(19782));
        assert_eq!(days_since_1970(2023, 2, 29), None);
        assert_eq!(days_since_1970(2100, 3, 1), Some(47541));
    }

    #[test]
    fn no_clock_is_no_date() {
        assert_eq!(
            decode(Registers {
                second: 0xff,
                minute: 0xff,
                hour: 0xff,
                day: 0xff,
                month: 0xff,
                year: 0xff,
                century: 0xff,
                mode: 0xff
            }),
            None
        );
        assert_eq!(decode(Registers::default()), None);
        assert_eq!(decode(at(0x26, 0x13, 0x01, 0x12, 2)), None);
        assert_eq!(decode(at(0x26, 0x1a, 0x01, 0x12, 2)), None);
    }
}
