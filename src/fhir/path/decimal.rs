//! Exact decimals: digits and where the point stands. 1.10 stays 1.10, and equals 1.1.

use std::{cmp::Ordering, fmt};

/// A number of at most 38 digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal {
    digits: i128,
    /// How many of them stand behind the point.
    scale: u32,
}

/// Digits behind the point that a division makes.
const DIVISION_SCALE: u32 = 16;

impl Decimal {
    pub(crate) const fn whole(number: i64) -> Self {
        Self { digits: number as i128, scale: 0 }
    }

    /// Of a text as FHIR and FHIRPath write decimals; an exponent is read too.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (text, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits_of = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
        if unsigned.is_empty() || !digits_of(unsigned) || !digits_of(fraction) || text.ends_with('.') {
            return None;
        }
        let mut digits: i128 = 0;
        for byte in unsigned.bytes().chain(fraction.bytes()) {
            digits = digits.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
        }
        let digits = if whole.starts_with('-') { -digits } else { digits };
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        if scale >= 0 {
            return Some(Self { digits, scale: scale.unsigned_abs() }).filter(|number| number.scale <= 38);
        }
        let factor = 10_i128.checked_pow(scale.unsigned_abs())?;
        Some(Self { digits: digits.checked_mul(factor)?, scale: 0 })
    }

    /// Digits behind the point, as written.
    pub(crate) const fn scale(self) -> u32 {
        self.scale
    }

    pub(crate) const fn is_zero(self) -> bool {
        self.digits == 0
    }

    pub(crate) const fn negative(self) -> Self {
        Self { digits: -self.digits, scale: self.scale }
    }

    pub(crate) const fn abs(self) -> Self {
        Self { digits: self.digits.abs(), scale: self.scale }
    }

    /// Both with the same number of digits behind the point.
    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let scale = self.scale.max(other.scale);
        Some((self.at(scale)?, other.at(scale)?, scale))
    }

    fn at(self, scale: u32) -> Option<i128> {
        self.digits.checked_mul(10_i128.checked_pow(scale - self.scale)?)
    }

    pub(crate) fn add(self, other: Self) -> Option<Self> {
        let (left, right, scale) = self.aligned(other)?;
        Some(Self { digits: left.checked_add(right)?, scale })
    }

    pub(crate) fn subtract(self, other: Self) -> Option<Self> {
        self.add(other.negative())
    }

    pub(crate) fn multiply(self, other: Self) -> Option<Self> {
        let number = Self { digits: self.digits.checked_mul(other.digits)?, scale: self.scale + other.scale };
        Some(number).filter(|number| number.scale <= 38)
    }

    /// `None` for a division by zero and for what has too many digits.
    pub(crate) fn divide(self, other: Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        let scale = DIVISION_SCALE + other.scale;
        let raised = if scale >= self.scale { self.at(scale)? } else { self.digits };
        let quotient = Self { digits: raised.checked_div(other.digits)?, scale: scale.max(self.scale) - other.scale };
        Some(quotient.trimmed())
    }

    /// The whole part of a division, and what is left.
    pub(crate) fn divide_whole(self, other: Self) -> Option<(i128, Self)> {
        let (left, right, scale) = self.aligned(other)?;
        Some((left.checked_div(right)?, Self { digits: left.checked_rem(right)?, scale }))
    }

    /// Without zeros at the end.
    fn trimmed(mut self) -> Self {
        while self.scale > 0 && self.digits % 10 == 0 {
            self.digits /= 10;
            self.scale -= 1;
        }
        self
    }

    /// Rounded half away from zero.
    pub(crate) fn round(self, scale: u32) -> Self {
        if scale >= self.scale {
            return self;
        }
        let factor = 10_i128.pow(self.scale - scale);
        let half = if self.digits < 0 { -(factor / 2) } else { factor / 2 };
        Self { digits: (self.digits + half) / factor, scale }.trimmed()
    }

    pub(crate) fn floor(self) -> i128 {
        self.digits.div_euclid(10_i128.pow(self.scale))
    }

    pub(crate) fn ceiling(self) -> i128 {
        -self.negative().floor()
    }

    pub(crate) fn truncate(self) -> i128 {
        self.digits / 10_i128.pow(self.scale)
    }

    /// The number as an integer, where it is one.
    pub(crate) fn integer(self) -> Option<i64> {
        let trimmed = self.trimmed();
        if trimmed.scale == 0 { i64::try_from(trimmed.digits).ok() } else { None }
    }

    pub(crate) fn to_float(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The nearest decimal with at most eight digits behind the point.
    pub(crate) fn from_float(number: f64) -> Option<Self> {
        number.is_finite().then(|| format!("{number:.8}")).and_then(|text| Self::parse(&text)).map(Self::trimmed)
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.aligned(*other) {
            Some((left, right, _)) => Some(left.cmp(&right)),
            // one has far more digits before the point than fit with the other's behind it
            None => self.to_float().partial_cmp(&other.to_float()),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits.unsigned_abs().to_string();
        let scale = self.scale as usize;
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.digits < 0 { "-" } else { "" };
        if scale == 0 { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{fraction}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn decimals_are_exact_and_keep_their_digits() {
        assert_eq!(decimal("1.10").to_string(), "1.10");
        assert_eq!(decimal("1.10"), decimal("1.1"));
        assert_eq!(decimal("0.1").add(decimal("0.2")).unwrap(), decimal("0.3"));
        assert_eq!(decimal("-0.05").to_string(), "-0.05");
        assert_eq!(decimal("1e2"), Decimal::whole(100));
        assert_eq!(decimal("1").divide(decimal("8")).unwrap().to_string(), "0.125");
        assert_eq!(decimal("1.2").divide(decimal("0.4")).unwrap(), Decimal::whole(3));
        assert_eq!(decimal("2.5").round(0).to_string(), "3");
        assert_eq!((decimal("-2.5").floor(), decimal("-2.5").ceiling(), decimal("-2.5").truncate()), (-3, -2, -2));
        for bad in ["", ".5", "1.", "a", "1.2.3", "--1"] {
            assert!(Decimal::parse(bad).is_none(), "{bad}");
        }
        assert!(decimal("1").divide(decimal("0")).is_none());
    }
}
