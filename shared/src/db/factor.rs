//! Encodes [`Factor`] as a PostgreSQL `numeric(7, 4)`.
//!
//! A `numeric` is sent as digits to base 10,000. The digit before the decimal point and the digit
//! after it give the units of the factor. Converting through a decimal type would cost a division
//! for each raw row.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

use crate::domain::traffic::Factor;

const BASE: i32 = 10_000;
const POSITIVE: i16 = 0;
/// Decimal digits after the point.
const SCALE: i16 = 4;

impl Type<Postgres> for Factor {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("numeric")
    }
}

impl Decode<'_, Postgres> for Factor {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => from_wire(value.as_bytes()?),
            PgValueFormat::Text => Err("a factor came as text".into()),
        }
    }
}

impl Encode<'_, Postgres> for Factor {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        for number in to_wire(*self)? {
            buffer.extend_from_slice(&number.to_be_bytes());
        }
        Ok(IsNull::No)
    }
}

/// Reads the number of digits, the weight of the first digit, the sign, the scale, and the digits.
fn from_wire(bytes: &[u8]) -> Result<Factor, BoxDynError> {
    let mut numbers = bytes
        .as_chunks::<2>()
        .0
        .iter()
        .copied()
        .map(i16::from_be_bytes);
    let mut header = || numbers.next().ok_or("a factor ends before its digits");
    let (_, weight, sign, _) = (header()?, header()?, header()?, header()?);
    if sign != POSITIVE {
        return Err("a factor is negative or no number".into());
    }
    let mut units = 0_i32;
    for (weight, digit) in (i16::MIN..=weight).rev().zip(numbers) {
        let unit = match weight {
            0 => BASE,
            -1 => 1,
            _ => {
                return Err(
                    "a factor is too large or has more than four digits after the point".into(),
                );
            }
        };
        units += i32::from(digit) * unit;
    }
    Ok(Factor::from_units(units))
}

fn to_wire(factor: Factor) -> Result<[i16; 6], BoxDynError> {
    let (whole, rest) = (
        factor.units().div_euclid(BASE),
        factor.units().rem_euclid(BASE),
    );
    Ok([
        2,
        0,
        POSITIVE,
        SCALE,
        i16::try_from(whole)?,
        i16::try_from(rest)?,
    ])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn bytes(numbers: &[i16]) -> Vec<u8> {
        numbers
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect()
    }

    #[rstest]
    #[case::zero(&[0, 0, 0, 4], 0)]
    #[case::half(&[1, -1, 0, 4, 5_000], 5_000)]
    #[case::smallest(&[1, -1, 0, 4, 1], 1)]
    #[case::one(&[1, 0, 0, 4, 1], 10_000)]
    #[case::largest(&[1, 0, 0, 4, 100], 1_000_000)]
    #[case::both_digits(&[2, 0, 0, 4, 1, 2_345], 12_345)]
    fn a_factor_is_decoded_from_the_postgresql_format(#[case] wire: &[i16], #[case] units: i32) {
        assert_eq!(from_wire(&bytes(wire)).unwrap().units(), units);
    }

    #[rstest]
    #[case::negative(&[1, 0, 0x4000, 4, 1])]
    #[case::too_large(&[1, 1, 0, 4, 1])]
    #[case::too_many_decimals(&[2, -1, 0, 8, 5_000, 1])]
    #[case::truncated(&[1, 0])]
    fn an_invalid_factor_is_rejected(#[case] wire: &[i16]) {
        assert!(from_wire(&bytes(wire)).is_err());
    }

    #[rstest]
    fn an_encoded_factor_decodes_to_the_same_factor(
        #[values(0, 1, 5_000, 10_000, 12_345, 1_000_000)] units: i32,
    ) {
        let factor = Factor::from_units(units);
        assert_eq!(
            from_wire(&bytes(&to_wire(factor).unwrap())).unwrap(),
            factor
        );
    }
}
