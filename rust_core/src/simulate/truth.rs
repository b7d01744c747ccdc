//! The records that a message must lead to, computed from the market and never from the message.

use std::io::Write;

use super::calendar::date_time;
use super::field::Field;
use super::quote::Quote;
use super::true_book::Level;
use super::wire::Derived;

/// How many decimals a computed rate has.
const RATE_PLACES: u32 = 10;

/// An exact number: units of 10^-places.
#[derive(Clone, Copy, Debug)]
struct Exact {
    units: i128,
    places: u32,
}

/// Writes the record of an order book whose prices and sizes have so many decimals. Levels
/// without price or size are padding.
pub fn order_book(
    out: &mut Vec<u8>,
    head: &str,
    (bids, asks): (&[Level], &[Level]),
    (price_places, size_places): (u8, u8),
    micros: Option<i64>,
) {
    let price = |units: i64| Exact { units: units.into(), places: price_places.into() };
    let prices = |side: &[Level]| -> Vec<i64> {
        side.iter().filter(|level| level.size > 0).map(|level| level.price).collect()
    };
    let total = |side: &[Level]| {
        let units = side.iter().map(|level| i128::from(level.size)).sum();
        decimal(Exact { units, places: size_places.into() })
    };
    let (bid, ask) = (prices(bids).into_iter().max(), prices(asks).into_iter().min());
    let best = |price_or_none: Option<i64>| or_null(price_or_none.map(|best| decimal(price(best))));
    let spread = bid.zip(ask).map(|(bid, ask)| ask - bid);
    let time = micros.map(|micros| {
        let text = date_time(micros, b' ');
        format!("\"{}+00:00\"", String::from_utf8_lossy(&text))
    });
    line(
        out,
        format_args!(
            "{head},\"highest_bid\":{},\"lowest_ask\":{},\"spread\":{},\"total_bid_volume\":{},\
             \"total_ask_volume\":{},\"timestamp\":{}}}",
            best(bid),
            best(ask),
            best(spread),
            total(bids),
            total(asks),
            or_null(time)
        ),
    );
}

/// Writes the record of a ticker.
pub fn ticker(out: &mut Vec<u8>, head: &str, quote: &Quote, derived: Derived, micros: Option<i64>) {
    let time = micros.map(|micros| {
        let text = decimal(Exact { units: micros.into(), places: 3 });
        if text.contains('.') { text } else { text + ".0" }
    });
    let columns = columns(quote, derived)
        .map(|column| or_null(column.map(|column| format!("\"{}\"", decimal(column)))));
    let [opening, trade, max, min, prev_closing, volume, change, rate] = columns;
    line(
        out,
        format_args!(
            "{head},\"timestamp\":{},\"data\":[{{\"opening_price\":{opening},\"trade_price\":{trade},\
             \"max_price\":{max},\"min_price\":{min},\"prev_closing_price\":{prev_closing},\
             \"acc_trade_volume_24h\":{volume},\"signed_change_price\":{change},\
             \"signed_change_rate\":{rate}}}]}}",
            or_null(time)
        ),
    );
}

/// The columns of a record, in its order.
fn columns(quote: &Quote, derived: Derived) -> [Option<Exact>; 8] {
    let sent = |field| {
        let (units, places) = quote.sent(field)?;
        Some(Exact { units: units.into(), places: places.into() })
    };
    let mut opening = sent(Field::Opening);
    let trade = sent(Field::Trade);
    let mut prev_closing = sent(Field::PrevClosing);
    let mut change = sent(Field::Change);
    let rate = match derived {
        Derived::Nothing => sent(Field::Rate),
        Derived::RateOfPrevClosing => ratio(change, prev_closing),
        Derived::RateOfOpening => ratio(change, opening),
        Derived::ChangeSincePrevClosing => {
            change = difference(trade, prev_closing);
            ratio(change, prev_closing)
        }
        Derived::ChangeSinceOpening => {
            (prev_closing, change) = (opening, difference(trade, opening));
            ratio(change, opening)
        }
        Derived::OpeningFromChange => {
            opening = difference(trade, change);
            prev_closing = opening;
            ratio(change, opening)
        }
        Derived::OpeningFromPercentage => {
            let percentage = sent(Field::Percentage);
            opening = before_growth(trade, percentage);
            prev_closing = opening;
            change = difference(trade, opening);
            percentage.map(|rate| Exact { places: rate.places + 2, ..rate })
        }
    };
    let [max, min, volume] = [Field::Max, Field::Min, Field::Volume].map(sent);
    [opening, trade, max, min, prev_closing, volume, change, rate]
}

fn difference(from: Option<Exact>, less: Option<Exact>) -> Option<Exact> {
    let (from, less) = from.zip(less)?;
    let places = from.places.max(less.places);
    Some(Exact { units: from.units_at(places) - less.units_at(places), places })
}

/// One price by another, both of the same decimals.
fn ratio(part: Option<Exact>, whole: Option<Exact>) -> Option<Exact> {
    let (part, whole) = part.zip(whole)?;
    let units = half_even(part.units * 10i128.pow(RATE_PLACES), whole.units)?;
    Some(Exact { units, places: RATE_PLACES })
}

/// The price that grew to this one by so many per cent, rounded to the decimals that this one is
/// written with, which is without trailing zeros.
fn before_growth(price: Option<Exact>, percentage: Option<Exact>) -> Option<Exact> {
    let (price, percentage) = price.zip(percentage)?;
    let places = decimal(price).split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let places = u32::try_from(places).expect("a price has a few decimals");
    let hundred = 100 * 10i128.pow(percentage.places);
    let units = half_even(
        price.units * hundred * 10i128.pow(places),
        (hundred + percentage.units) * 10i128.pow(price.places),
    )?;
    Some(Exact { units, places })
}

/// A quotient rounded to the nearest whole number, to the even one of two; none by zero.
fn half_even(numerator: i128, denominator: i128) -> Option<i128> {
    let (numerator, denominator) = (numerator * denominator.signum(), denominator.abs());
    let floor = numerator.checked_div_euclid(denominator)?;
    let above_half = (2 * numerator.rem_euclid(denominator)).cmp(&denominator);
    let is_up = above_half.is_gt() || (above_half.is_eq() && floor % 2 != 0);
    Some(floor + i128::from(is_up))
}

impl Exact {
    fn units_at(self, places: u32) -> i128 {
        self.units * 10i128.pow(places - self.places)
    }
}

/// Plain notation without trailing zeros.
fn decimal(exact: Exact) -> String {
    let one = 10u128.pow(exact.places);
    let (whole, fraction) = (exact.units.unsigned_abs() / one, exact.units.unsigned_abs() % one);
    let sign = if exact.units < 0 { "-" } else { "" };
    let text = format!("{sign}{whole}.{fraction:0>width$}", width = exact.places as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn or_null(text: Option<String>) -> String {
    text.unwrap_or_else(|| "null".to_owned())
}

fn line(out: &mut Vec<u8>, text: std::fmt::Arguments) {
    writeln!(out, "{text}").expect("a buffer in memory takes all");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_to_even() {
        let rounded = [(5, 2), (7, 2), (-5, 2), (-7, 2), (8, 3), (-8, 3), (7, -2), (1, 0)]
            .map(|(numerator, denominator)| half_even(numerator, denominator));
        let expected = [2, 4, -2, -4, 3, -3, -4];
        assert_eq!(rounded[..7], expected.map(Some));
        assert_eq!(rounded[7], None);
    }

    #[test]
    fn plain_decimals() {
        let text = |units, places| decimal(Exact { units, places });
        assert_eq!(text(1_076_000, 5), "10.76");
        assert_eq!(text(-50, 8), "-0.0000005");
        assert_eq!(text(4_000, 0), "4000");
        assert_eq!(text(0, 4), "0");
    }

    /// The opening price of 2.95 after a growth of 12.5 per cent is 2.6222…
    #[test]
    fn opening_before_growth() {
        let [price, growth] =
            [(2_9500, 4), (12_5000, 4)].map(|(units, places)| Some(Exact { units, places }));
        assert_eq!(decimal(before_growth(price, growth).unwrap()), "2.62");
    }
}
