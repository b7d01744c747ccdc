//! When a message is from, and which number of its instrument it is.

use super::dice::Dice;
use super::field::Field;
use super::template::Value;

/// How long an exchange takes from the event to the sending.
const UNTIL_SENT: i64 = 4_321;

#[derive(Clone, Debug)]
pub struct Stamp {
    /// The time of the event, in microseconds since 1970.
    pub micros: i64,
    sequence: i64,
    previous: i64,
    count: i64,
}

impl Stamp {
    pub fn new(dice: &mut Dice) -> Self {
        let sequence = dice.between(4_000_000_000, 7_000_000_000);
        Stamp { micros: 0, sequence, previous: sequence, count: sequence / 3 }
    }

    /// Numbers the next message.
    pub fn advance(&mut self, dice: &mut Dice) {
        self.previous = self.sequence;
        self.sequence += dice.between(1, 40);
        self.count += 1;
    }

    /// Gives the next message the number of the last.
    pub fn stay(&mut self) {
        self.previous = self.sequence;
    }

    /// Numbers the next message with a small number.
    pub fn reset(&mut self, dice: &mut Dice) {
        self.previous = self.sequence;
        self.sequence = dice.between(2, 999);
    }

    /// Counts the next message as the first.
    pub fn restart(&mut self) {
        self.count = 1;
    }

    /// What fills a placeholder; nothing if this does not know.
    pub fn value(&self, field: Field) -> Value {
        let sent = self.micros + UNTIL_SENT;
        Value::Whole(match field {
            Field::TimeUs => self.micros,
            Field::TimeMs => self.micros / 1_000,
            Field::TimeS => self.micros / 1_000_000,
            Field::DayAgoMs => (self.micros - 86_400_000_000) / 1_000,
            Field::SentMs => sent / 1_000,
            Field::SentS => sent / 1_000_000,
            Field::Sequence => self.sequence,
            Field::PreviousSequence => self.previous,
            Field::Count => self.count,
            Field::TimeRfc3339 => return Value::Time(self.micros),
            _ => return Value::Nothing,
        })
    }
}
