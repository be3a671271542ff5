//! Units of measure by UCUM: the grammar, every atom and prefix, and exact comparison of values in different units.
//!
//! Codes are case-sensitive. `atoms.tsv` holds the facts (UCUM 2.2, table by table): which prefixes there are, and of each
//! atom whether it takes one, its exact factor to the base units m, s, g, rad, K, C, cd, and its dimension.
//! Spec: <https://ucum.org/ucum>.

mod atoms;
mod grammar;
mod number;

use number::Natural;
use std::cmp::Ordering;

/// Longer texts are no units that anybody measures in; they are valid or not, but never compared.
const MOST_TEXT: usize = 200;

/// The text is a unit of UCUM.
pub fn is_valid(unit: &str) -> bool {
    grammar::parse(unit, &mut |_| {})
}

/// Values in these units can be compared: the same unit, or units of the same dimension, none on a scale of its own.
pub fn comparable(one: &str, other: &str) -> bool {
    one == other
        || matches!((Measure::of(one), Measure::of(other)), (Some(one), Some(other)) if one.dimension == other.dimension)
}

/// Compares two values (decimals as FHIR writes them) with their units, exactly. `None` where the units have different
/// dimensions or scales of their own (`Cel`, `[pH]`; two values of the same unit can always be compared), or where a
/// text is no decimal, no unit, or beyond all measure.
pub fn compare(value: &str, unit: &str, other_value: &str, other_unit: &str) -> Option<Ordering> {
    let (one, other) = (Amount::of(value)?, Amount::of(other_value)?);
    if unit == other_unit {
        return one.compare(&other);
    }
    let (unit, other_unit) = (Measure::of(unit)?, Measure::of(other_unit)?);
    if unit.dimension != other_unit.dimension {
        return None;
    }
    one.times(&unit.above).times(&other_unit.below).compare(&other.times(&other_unit.above).times(&unit.below))
}

/// What a unit is in base units: `above` / `below`.
#[derive(Debug)]
struct Measure {
    above: Amount,
    below: Amount,
    /// Base and arbitrary units with their exponents, sorted, none of them 0.
    dimension: Vec<(&'static str, i32)>,
}

impl Measure {
    /// `None` where the text is no unit or has one with a scale of its own.
    fn of(unit: &str) -> Option<Self> {
        if unit.len() > MOST_TEXT {
            return None;
        }
        let mut measure = Self { above: Amount::one(), below: Amount::one(), dimension: Vec::new() };
        let mut sound = true;
        let valid = grammar::parse(unit, &mut |factor| sound = sound && measure.multiply(&factor));
        measure.dimension.retain(|(_, exponent)| *exponent != 0);
        measure.dimension.sort_unstable();
        (valid && sound).then_some(measure)
    }

    /// `false` where that cannot be done.
    fn multiply(&mut self, factor: &grammar::Factor<'_>) -> bool {
        match factor {
            grammar::Factor::Number { digits, inverse } => {
                let Some(amount) = Amount::of(digits).filter(|amount| !amount.natural.is_zero()) else { return false };
                let side = if *inverse { &mut self.below } else { &mut self.above };
                *side = side.times(&amount);
            }
            grammar::Factor::Unit { prefix, atom, exponent } => {
                if atom.special || exponent.unsigned_abs() > 30 {
                    return false;
                }
                let (above, below) = atoms::fraction(atom.factor);
                let (Some(above), Some(below)) = (Amount::of(above), Amount::of(below)) else { return false };
                let Some(prefix) = Amount::of(prefix.map_or("1", |prefix| prefix.factor)) else { return false };
                let (mut up, mut down) = (&mut self.above, &mut self.below);
                if *exponent < 0 {
                    std::mem::swap(&mut up, &mut down);
                }
                for _ in 0..exponent.unsigned_abs() {
                    *up = up.times(&above).times(&prefix);
                    *down = down.times(&below);
                }
                for (base, power) in atom.dimension() {
                    match self.dimension.iter_mut().find(|(known, _)| *known == base) {
                        Some((_, sum)) => *sum += power * exponent,
                        None => self.dimension.push((base, power * exponent)),
                    }
                }
            }
        }
        self.above.is_measured() && self.below.is_measured()
    }
}

/// A decimal without loss: sign, natural number, power of ten.
#[derive(Debug)]
struct Amount {
    negative: bool,
    natural: Natural,
    exponent: i32,
}

impl Amount {
    fn one() -> Self {
        Self { negative: false, natural: Natural::of_digits("1"), exponent: 0 }
    }

    /// `-12.50`, `1e-3`.
    fn of(text: &str) -> Option<Self> {
        if text.len() > MOST_TEXT {
            return None;
        }
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().ok().filter(|exponent: &i32| exponent.unsigned_abs() <= 1_000)?;
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{part}");
        if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let exponent = exponent - i32::try_from(part.len()).ok()?;
        Some(Self { negative, natural: Natural::of_digits(&digits), exponent })
    }

    fn times(&self, other: &Self) -> Self {
        Self {
            negative: self.negative != other.negative,
            natural: self.natural.times(&other.natural),
            exponent: self.exponent + other.exponent,
        }
    }

    /// Small enough to go on with.
    fn is_measured(&self) -> bool {
        self.exponent.unsigned_abs() <= 2_000 && self.natural.is_short()
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        let sign = |amount: &Self| match (amount.natural.is_zero(), amount.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        if sign(self) != sign(other) || sign(self) == 0 {
            return Some(sign(self).cmp(&sign(other)));
        }
        let apart = self.exponent - other.exponent;
        let power =
            Natural::power_of_ten(apart.unsigned_abs()).filter(|_| self.is_measured() && other.is_measured())?;
        let order = if apart >= 0 {
            self.natural.times(&power).cmp(&other.natural)
        } else {
            self.natural.cmp(&other.natural.times(&power))
        };
        Some(if self.negative { order.reverse() } else { order })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_in_use_are_valid() {
        for good in [
            "[IU]",
            "mm[Hg]",
            "10*9/L",
            "10*-3",
            "/min",
            "{beats}/min",
            "kg/m2",
            "%",
            "Cel",
            "[degF]",
            "umol/L",
            "1",
            "mg/dL",
            "m[iU]/mL",
            "10^6/uL",
            "{score}",
            "mL/min/{1.73_m2}",
            "g.m-2",
            "kg.m/s2",
            "(kg.m)/s2",
            "/(12.mo)",
            "ug",
            "dB",
            "B[10.nV]",
            "[in_i'H2O]",
            "[lb_av]",
            "Kibit",
            "KiBy",
            "mL/(kg.h)",
            "d",
            "wk",
            "mo",
            "a",
            "h",
            "min",
            "s",
            "meq/L",
            "[drp]",
            "{tablet}",
            "[pH]",
            "mmol/mol",
        ] {
            assert!(is_valid(good), "{good}");
        }
    }

    #[test]
    fn others_are_not() {
        for bad in [
            "", "IU", "mEq", "tbl", "TAB", "month", "lb", "mmHg", "kg/", "//m", "m//s", "(m", "m)", "{a", "a}",
            "m{a}{b}", "2m", "m+", "k%", "k[lb_av]", "kkg", "mg dL", "m^2", "()", "{\u{e9}}", "\u{b5}g", "[IU", ".m",
            "m.", "[", "]",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
        assert!(!is_valid(&"(".repeat(100_000)));
        assert!(is_valid(&format!("{}m", "s.".repeat(100_000))));
    }

    #[test]
    fn values_are_compared_exactly() {
        use Ordering::{Equal, Greater, Less};
        for (one, other, order) in [
            (("500", "mg"), ("1", "g"), Less),
            (("1000", "mg"), ("1", "g"), Equal),
            (("1000.0000000000000000001", "mg"), ("1.000", "g"), Greater),
            (("1", "[in_i]"), ("2.54", "cm"), Equal),
            (("60", "/min"), ("1", "Hz"), Equal),
            (("180", "deg"), ("3.1415926535897932384626433832795028841971693993751058209749445923", "rad"), Equal),
            (("-1", "kg"), ("-999", "g"), Less),
            (("0", "kg"), ("0.00", "mg"), Equal),
            (("1", "L"), ("1000", "cm3"), Equal),
            (("1", "10*9/L"), ("1", "10*3/uL"), Equal),
            (("5", "[IU]/mL"), ("5", "k[iU]/L"), Equal),
            (("1", "m[Hg]"), ("133322", "Pa"), Equal),
            (("1", "N"), ("1", "m.kg/s2"), Equal),
            (("1", "N"), ("1", "m/(s2/kg)"), Equal),
            (("1", "/m.s"), ("1", "s/m"), Equal),
            (("37", "Cel"), ("38.5", "Cel"), Less),
            (("7", "no unit"), ("7.0", "no unit"), Equal),
        ] {
            assert_eq!(compare(one.0, one.1, other.0, other.1), Some(order), "{one:?} {other:?}");
            assert_eq!(compare(other.0, other.1, one.0, one.1), Some(order.reverse()), "{one:?} {other:?}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_not() {
        assert!(comparable("kg", "[lb_av]") && comparable("Cel", "Cel") && !comparable("kg", "m"));
        assert!(!comparable("Cel", "K") && !comparable("[iU]", "[arb'U]") && !comparable("kg", "lb"));
        for (one, other) in [
            (("1", "kg"), ("1", "m")),
            (("37", "Cel"), ("98", "[degF]")),
            (("one", "kg"), ("1", "kg")),
            (("1", "0.m"), ("1", "m")),
            (("1", "m999999999"), ("1", "m")),
            (("1", "Ym30.Ym30.Ym30.Ym30.Ym30.Ym30"), ("1", "m180")),
        ] {
            assert_eq!(compare(one.0, one.1, other.0, other.1), None, "{one:?} {other:?}");
        }
        assert_eq!(compare(&"9".repeat(1_000_000), "kg", "1", "g"), None);
    }
}
