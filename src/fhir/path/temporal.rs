//! Dates, date-times and times of any precision (<http://hl7.org/fhirpath/#literals>), and how they compare.

use super::decimal::Decimal;
use std::{cmp::Ordering, fmt};

/// Which of the three it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TemporalKind {
    Date,
    DateTime,
    Time,
}

/// A date, a date-time or a time, as far as it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Temporal {
    pub(crate) kind: TemporalKind,
    /// Year, month, day, hour, minute.
    fields: [i32; 5],
    /// Seconds with their fraction, in nanoseconds.
    nanoseconds: i64,
    /// Digits of the fraction as written.
    fraction: u32,
    /// How many of year, month, day, hour, minute, second are told; a time begins with its hour.
    told: usize,
    /// Minutes east of UTC.
    zone: Option<i32>,
}

const YEAR: usize = 0;
const DAY: usize = 2;
const HOUR: usize = 3;
const MINUTE: usize = 4;
const SECOND: i64 = 1_000_000_000;

/// Units that a temporal value can be moved by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Years,
    Months,
    Days,
    Nanoseconds(i64),
}

impl Step {
    /// A calendar word or its UCUM code. UCUM's years and months are no calendar's: they do not move a date.
    pub(crate) fn named(unit: &str) -> Option<Self> {
        Some(match unit {
            "year" | "years" => Self::Years,
            "month" | "months" => Self::Months,
            "week" | "weeks" | "wk" => Self::Nanoseconds(7 * 86_400 * SECOND),
            "day" | "days" | "d" => Self::Days,
            "hour" | "hours" | "h" => Self::Nanoseconds(3_600 * SECOND),
            "minute" | "minutes" | "min" => Self::Nanoseconds(60 * SECOND),
            "second" | "seconds" | "s" => Self::Nanoseconds(SECOND),
            "millisecond" | "milliseconds" | "ms" => Self::Nanoseconds(SECOND / 1_000),
            _ => return None,
        })
    }
}

/// How two dates, date-times or times as FHIR writes them follow each other; `None` where their precision does not tell.
pub(crate) fn order_of_dates(one: &str, other: &str) -> Option<Ordering> {
    let read = |text: &str| Temporal::date_time(text).or_else(|| Temporal::time(text));
    read(one)?.compare(&read(other)?)
}

impl Temporal {
    /// `2015`, `2015-02`, `2015-02-07`.
    pub(crate) fn date(text: &str) -> Option<Self> {
        let mut value = Self::nothing(TemporalKind::Date);
        value.read_date(text)?;
        Some(value)
    }

    /// A date, or with a time: `2015-02-07T14:28+01:00`; `2015T` says that a date is meant as a date-time.
    pub(crate) fn date_time(text: &str) -> Option<Self> {
        let mut value = Self::nothing(TemporalKind::DateTime);
        let (date, time) = text.split_once('T').unwrap_or((text, ""));
        value.read_date(date)?;
        if !time.is_empty() {
            value.read_time(time, true).filter(|()| date.len() == 10)?;
        }
        Some(value)
    }

    /// `14`, `14:28`, `14:28:09.5`.
    pub(crate) fn time(text: &str) -> Option<Self> {
        let mut value = Self::nothing(TemporalKind::Time);
        value.read_time(text, false)?;
        Some(value)
    }

    const fn nothing(kind: TemporalKind) -> Self {
        Self { kind, fields: [0, 1, 1, 0, 0], nanoseconds: 0, fraction: 0, told: 0, zone: None }
    }

    fn read_date(&mut self, text: &str) -> Option<()> {
        for (place, part) in text.split('-').enumerate() {
            let length = if place == YEAR { 4 } else { 2 };
            let number = digits(part, length)?;
            let fits = match place {
                0 => true,
                1 => (1..=12).contains(&number),
                2 => (1..=days_in(self.fields[0], self.fields[1])).contains(&number),
                _ => false,
            };
            if !fits {
                return None;
            }
            self.fields[place] = number;
            self.told = place + 1;
        }
        Some(())
    }

    fn read_time(&mut self, text: &str, zoned: bool) -> Option<()> {
        let zone = if zoned { text.find(['Z', '+', '-']) } else { None };
        let (clock, zone) = text.split_at(zone.unwrap_or(text.len()));
        for (place, part) in clock.split(':').enumerate() {
            match place {
                0 => self.fields[HOUR] = digits(part, 2).filter(|hour| *hour < 24)?,
                1 => self.fields[MINUTE] = digits(part, 2).filter(|minute| *minute < 60)?,
                2 => {
                    let (whole, fraction) = part.split_once('.').unwrap_or((part, ""));
                    let whole = digits(whole, 2).filter(|second| *second <= 60)?;
                    let written = u32::try_from(fraction.len()).ok()?;
                    let kept: String = fraction.chars().chain("000000000".chars()).take(9).collect();
                    let fraction = digits(&kept, 9)?;
                    (self.nanoseconds, self.fraction) = (i64::from(whole) * SECOND + i64::from(fraction), written);
                }
                _ => return None,
            }
            self.told = HOUR + place + 1;
        }
        self.zone = match zone {
            "" => None,
            "Z" => Some(0),
            offset => {
                let (hours, minutes) = offset[1..].split_once(':')?;
                let minutes = digits(hours, 2)? * 60 + digits(minutes, 2)?;
                Some(if offset.starts_with('-') { -minutes } else { minutes })
            }
        };
        Some(())
    }

    /// A date-time that tells the same and no time.
    pub(crate) const fn as_date_time(mut self) -> Self {
        self.kind = TemporalKind::DateTime;
        self
    }

    /// The date of a date-time.
    pub(crate) fn as_date(mut self) -> Self {
        (self.kind, self.zone, self.told) = (TemporalKind::Date, None, self.told.min(DAY + 1));
        self
    }

    /// Before, equal or after; `None` where that is not decided by what is told.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        if (self.kind == TemporalKind::Time) != (other.kind == TemporalKind::Time) {
            return None;
        }
        let (mut left, mut right) = (*self, *other);
        if left.zone.is_some() && right.zone.is_some() {
            (left, right) = (left.in_utc(), right.in_utc());
        } else if left.zone != right.zone && left.told > HOUR && right.told > HOUR {
            return None;
        }
        let first = if self.kind == TemporalKind::Time { HOUR } else { YEAR };
        for place in first..left.told.max(right.told) {
            if place >= left.told || place >= right.told {
                return None;
            }
            let order = if place < left.fields.len() {
                left.fields[place].cmp(&right.fields[place])
            } else {
                left.nanoseconds.cmp(&right.nanoseconds)
            };
            if order != Ordering::Equal {
                return Some(order);
            }
        }
        Some(Ordering::Equal)
    }

    /// The same instant without its zone; of what has no time the zone says nothing.
    fn in_utc(self) -> Self {
        match self.zone {
            Some(minutes) if minutes != 0 && self.told > HOUR => {
                let moved = self.moved_by(-i64::from(minutes) * 60 * SECOND);
                Self { told: self.told, fraction: self.fraction, zone: Some(0), ..moved }
            }
            _ => self,
        }
    }

    fn moved_by(mut self, nanoseconds: i64) -> Self {
        let clock =
            (i64::from(self.fields[HOUR]) * 60 + i64::from(self.fields[MINUTE])) * 60 * SECOND + self.nanoseconds;
        let clock = clock.saturating_add(nanoseconds);
        let (days, rest) = (clock.div_euclid(86_400 * SECOND), clock.rem_euclid(86_400 * SECOND));
        let minutes = rest / (60 * SECOND);
        self.nanoseconds = rest % (60 * SECOND);
        self.fields[HOUR] = i32::try_from(minutes / 60).unwrap_or(0);
        self.fields[MINUTE] = i32::try_from(minutes % 60).unwrap_or(0);
        if self.kind != TemporalKind::Time && days != 0 {
            let number = days_from_civil(self.fields) + days;
            let (year, month, day) = civil_from_days(number);
            (self.fields[0], self.fields[1], self.fields[2]) = (year, month, day);
        }
        self
    }

    /// Moved by so many units; what is less precise than the unit is moved by whole units of its own.
    pub(crate) fn moved(self, amount: Decimal, step: Step) -> Option<Self> {
        let whole = i64::try_from(amount.truncate()).ok()?;
        let moved = match step {
            Step::Years | Step::Months => {
                if self.kind == TemporalKind::Time {
                    return None;
                }
                let months = if step == Step::Years { whole.checked_mul(12)? } else { whole };
                let months = if self.told == 1 { months / 12 * 12 } else { months };
                let total = i64::from(self.fields[0]) * 12 + i64::from(self.fields[1]) - 1 + months;
                let mut moved = self;
                moved.fields[0] = i32::try_from(total.div_euclid(12)).ok()?;
                moved.fields[1] = i32::try_from(total.rem_euclid(12)).ok()? + 1;
                moved.fields[2] = moved.fields[2].min(days_in(moved.fields[0], moved.fields[1]));
                moved
            }
            Step::Days => return self.moved_by_days(whole),
            Step::Nanoseconds(unit) => {
                let days = i128::from(unit) * i128::from(whole) / i128::from(86_400 * SECOND);
                if self.kind == TemporalKind::Date || self.told <= DAY + 1 && self.kind == TemporalKind::DateTime {
                    return self.moved_by_days(i64::try_from(days).ok()?);
                }
                let exact = amount.multiply(Decimal::whole(unit))?;
                self.moved_by(i64::try_from(exact.truncate()).ok()?)
            }
        };
        Some(moved).filter(|moved| (1..=9999).contains(&moved.fields[0]) || moved.kind == TemporalKind::Time)
    }

    fn moved_by_days(mut self, days: i64) -> Option<Self> {
        match (self.kind, self.told) {
            (TemporalKind::Time, _) => return None,
            (_, 1) => self.fields[0] += i32::try_from(days / 365).ok()?,
            (_, 2) => return self.moved(Decimal::whole(days / 30), Step::Months),
            _ => {
                let (year, month, day) = civil_from_days(days_from_civil(self.fields).checked_add(days)?);
                (self.fields[0], self.fields[1], self.fields[2]) = (year, month, day);
            }
        }
        Some(self).filter(|moved| (1..=9999).contains(&moved.fields[0]))
    }
}

impl PartialEq for Temporal {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other) == Some(Ordering::Equal)
    }
}

impl fmt::Display for Temporal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day, hour, minute] = self.fields;
        if self.kind != TemporalKind::Time {
            write!(f, "{year:04}")?;
            for (place, part) in [(1, month), (2, day)] {
                if place < self.told {
                    write!(f, "-{part:02}")?;
                }
            }
            if self.told > HOUR {
                f.write_str("T")?;
            }
        }
        if self.told > HOUR {
            write!(f, "{hour:02}")?;
        }
        if self.told > MINUTE {
            write!(f, ":{minute:02}")?;
        }
        if self.told > MINUTE + 1 {
            write!(f, ":{:02}", self.nanoseconds / SECOND)?;
            if self.fraction > 0 {
                let fraction = format!("{:09}", self.nanoseconds % SECOND);
                write!(f, ".{}", &fraction[..(self.fraction as usize).min(9)])?;
            }
        }
        match self.zone {
            None => Ok(()),
            Some(0) => f.write_str("Z"),
            Some(zone) => {
                write!(f, "{}{:02}:{:02}", if zone < 0 { '-' } else { '+' }, zone.abs() / 60, zone.abs() % 60)
            }
        }
    }
}

fn digits(text: &str, length: usize) -> Option<i32> {
    let sound = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if sound { text.parse().ok() } else { None }
}

const fn days_in(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar; the year is taken to begin in March.
fn days_from_civil(fields: [i32; 5]) -> i64 {
    let [year, month, day, ..] = fields.map(i64::from);
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i32, i32, i32) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let narrow = |number: i64| i32::try_from(number).unwrap_or(0);
    (narrow(year), narrow(month), narrow(of_year - (153 * shifted + 2) / 5 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Temporal {
        Temporal::date_time(text).unwrap()
    }

    #[test]
    fn values_compare_as_far_as_they_are_told() {
        for (left, right, expected) in [
            ("2012-03-04", "2012-03-05", Some(Ordering::Less)),
            ("2012-03-04", "2012-03", None),
            ("2012-05-01", "2012-03", Some(Ordering::Greater)),
            ("2012", "2012", Some(Ordering::Equal)),
            ("2012-01-01T10:00:00+01:00", "2012-01-01T09:00:00Z", Some(Ordering::Equal)),
            ("2012-01-01T00:30:00+01:00", "2011-12-31T23:30:00Z", Some(Ordering::Equal)),
            ("2012-01-01T10:00:00.0Z", "2012-01-01T10:00:00Z", Some(Ordering::Equal)),
            ("2012-01-01T10:00:00", "2012-01-01T10:00:00Z", None),
            ("2012-01-01", "2012-01-01T10:00:00Z", None),
            ("2012-01-01", "2012-01-02T10:00:00Z", Some(Ordering::Less)),
        ] {
            assert_eq!(at(left).compare(&at(right)), expected, "{left} {right}");
        }
    }

    #[test]
    fn values_move_along_the_calendar() {
        let moved = |text: &str, amount: &str, unit: &str| {
            at(text).moved(Decimal::parse(amount).unwrap(), Step::named(unit).unwrap()).unwrap().to_string()
        };
        assert_eq!(moved("2012-01-31", "1", "month"), "2012-02-29");
        assert_eq!(moved("2012-02-29", "1", "year"), "2013-02-28");
        assert_eq!(moved("2012-12-31", "1", "day"), "2013-01-01");
        assert_eq!(moved("2012-12-31T23:59:59Z", "1.5", "s"), "2013-01-01T00:00:00Z");
        assert_eq!(moved("2012-12-31T23:30:00.000+02:00", "-24", "hours"), "2012-12-30T23:30:00.000+02:00");
        assert_eq!(moved("2012", "24", "months"), "2014");
        assert_eq!(moved("2012-03-01", "-1", "week"), "2012-02-23");
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for bad in ["201", "2012-13", "2012-02-30", "2012-01-01T25", "2012-01-01T10:60", "2012-01T10:00"] {
            assert!(Temporal::date_time(bad).is_none(), "{bad}");
        }
        assert!(Temporal::time("10:00:00.123").is_some() && Temporal::time("10:00Z").is_none());
    }
}
