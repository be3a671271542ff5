//! Natural numbers of any length, as far as exact comparison needs them.

use std::cmp::Ordering;

/// More digits (to the base 2^32) are beyond all measure.
const MOST_LENGTH: usize = 1_000;

/// To the base 2^32, the lowest digit first, no zeros on top.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Natural(Vec<u32>);

impl Natural {
    /// Of decimal digits; other characters do not count.
    pub(super) fn of_digits(text: &str) -> Self {
        let mut number = Self(Vec::new());
        for digit in text.chars().filter_map(|character| character.to_digit(10)) {
            let mut carry = u64::from(digit);
            for place in &mut number.0 {
                let sum = u64::from(*place) * 10 + carry;
                *place = low(sum);
                carry = sum >> 32;
            }
            if carry > 0 {
                number.0.push(low(carry));
            }
        }
        number
    }

    /// `None` beyond all measure.
    pub(super) fn power_of_ten(exponent: u32) -> Option<Self> {
        let ten = Self(vec![10]);
        (exponent <= 8_000).then(|| (0..exponent).fold(Self(vec![1]), |power, _| power.times(&ten)))
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        let mut product = vec![0_u32; self.0.len() + other.0.len()];
        for (start, one) in self.0.iter().enumerate() {
            let mut carry = 0;
            for (place, other) in other.0.iter().enumerate() {
                let sum = u64::from(*one) * u64::from(*other) + u64::from(product[start + place]) + carry;
                product[start + place] = low(sum);
                carry = sum >> 32;
            }
            product[start + other.0.len()] = low(carry);
        }
        while product.last() == Some(&0) {
            product.pop();
        }
        Self(product)
    }

    pub(super) const fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) const fn is_short(&self) -> bool {
        self.0.len() <= MOST_LENGTH
    }
}

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Natural {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the upper half is carried")]
const fn low(sum: u64) -> u32 {
    sum as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        let number = Natural::of_digits;
        assert_eq!(number("4294967296").times(&number("4294967296")), number("18446744073709551616"));
        assert!(number("18446744073709551616") > number("18446744073709551615"));
        assert!(number("0").is_zero() && number("000").times(&number("7")).is_zero());
        assert_eq!(Natural::power_of_ten(30).unwrap(), number("1000000000000000000000000000000"));
        assert!(Natural::power_of_ten(9_000).is_none());
    }
}
