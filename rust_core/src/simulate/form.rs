//! The texts of one instrument's messages, in one spelling.

use super::Style;
use super::template::{Spelling, Template};
use super::wire::Wire;
use crate::batch::Kind;

#[derive(Clone, Debug)]
pub struct Form {
    pub message: Template,
    /// What an order book begins with, if that looks different.
    pub snapshot: Option<Template>,
    pub level: Template,
    pub control: Vec<Template>,
    /// What stands between the levels.
    pub comma: &'static [u8],
}

impl Form {
    /// Compiles the texts; `escaped` ones stand in a JSON string.
    pub fn new(wire: &Wire, kind: Kind, style: Style, instrument: &str, escaped: bool) -> Self {
        let spelling = Spelling::new(wire, style != Style::Exchange, escaped);
        let compiled =
            |text: &str| Template::new(&text.replace("{instrument}", instrument), spelling);
        let message = match (kind, style) {
            (Kind::OrderBook, _) => wire.order_book,
            (Kind::Ticker, Style::Flattened) => wire.flattened,
            (Kind::Ticker, _) => wire.ticker,
        };
        Form {
            message: compiled(message),
            snapshot: wire.snapshot.map(compiled),
            level: compiled(wire.level),
            control: wire.control.iter().map(|text| compiled(text)).collect(),
            comma: spelling.comma(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::field::Field;
    use super::*;
    use crate::exchange::ALL;

    #[test]
    fn texts_of_every_exchange_compile() {
        for exchange in &ALL {
            let form =
                |kind, escaped| Form::new(&exchange.wire, kind, Style::Exchange, "X", escaped);
            for escaped in [false, true] {
                assert!(form(Kind::Ticker, escaped).message.has(Field::Trade));
                let order_book = form(Kind::OrderBook, escaped).message;
                assert!(order_book.has(Field::Units) || order_book.has(Field::Asks));
                assert!(!exchange.wire.control.is_empty());
            }
        }
    }
}
