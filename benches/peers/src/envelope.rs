//! Envelopes, and the two libraries that can read them: each message is read into its type while its envelope is.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use simd_json::Buffers;

/// What the collectors put on Kafka.
#[derive(Deserialize)]
#[serde(bound = "M: DeserializeOwned, P: Parser")]
pub struct Envelope<M, P> {
    pub market: String,
    pub symbol: String,
    pub data: Vec<Item<M, P>>,
}

/// A message; nothing where an item is none of this type, as control messages may be.
pub struct Item<M, P>(pub Option<M>, PhantomData<P>);

/// A library that reads JSON.
pub trait Parser: Default {
    /// The envelope that a Kafka value holds.
    fn envelope<M: DeserializeOwned>(&mut self, value: &[u8]) -> Option<Envelope<M, Self>>;

    /// The message that an item's text holds, when it is free of the envelope's escapes.
    fn message<M: DeserializeOwned>(text: &str) -> Option<M>;
}

#[derive(Default)]
pub struct Sonic;

impl Parser for Sonic {
    fn envelope<M: DeserializeOwned>(&mut self, value: &[u8]) -> Option<Envelope<M, Self>> {
        sonic_rs::from_slice(value).ok()
    }

    fn message<M: DeserializeOwned>(text: &str) -> Option<M> {
        sonic_rs::from_str(text).ok()
    }
}

/// simd-json reads in place, so each text is copied once into a buffer that is used again.
#[derive(Default)]
pub struct Simd(Workspace);

#[derive(Default)]
struct Workspace {
    text: Vec<u8>,
    buffers: Buffers,
}

impl Workspace {
    fn read<T: DeserializeOwned>(&mut self, text: &[u8]) -> Option<T> {
        self.text.clear();
        self.text.extend_from_slice(text);
        simd_json::serde::from_slice_with_buffers(&mut self.text, &mut self.buffers).ok()
    }
}

thread_local! {
    static INNER: RefCell<Workspace> = RefCell::default();
}

impl Parser for Simd {
    fn envelope<M: DeserializeOwned>(&mut self, value: &[u8]) -> Option<Envelope<M, Self>> {
        self.0.read(value)
    }

    fn message<M: DeserializeOwned>(text: &str) -> Option<M> {
        INNER.with_borrow_mut(|inner| inner.read(text.as_bytes()))
    }
}

impl<'de, M: DeserializeOwned, P: Parser> Deserialize<'de> for Item<M, P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let message = deserializer.deserialize_any(AnyItem::<M, P>(PhantomData))?;
        Ok(Self(message, PhantomData))
    }
}

/// An item is a message as JSON in a string, as it is, or in an array.
struct AnyItem<M, P>(PhantomData<(M, P)>);

impl<'de, M: DeserializeOwned, P: Parser> Visitor<'de> for AnyItem<M, P> {
    type Value = Option<M>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a message")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<M>, E> {
        Ok(P::message(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<M>, A::Error> {
        M::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Option<M>, A::Error> {
        First::deserialize(SeqAccessDeserializer::new(sequence)).map(|first| first.0)
    }
}

/// An object, or the first and only one of an array.
pub struct First<T>(pub Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FirstOf(PhantomData))
    }
}

struct FirstOf<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FirstOf<T> {
    type Value = First<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object, or an array of one")
    }

    fn visit_unit<E: Error>(self) -> Result<First<T>, E> {
        Ok(First(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<First<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| First(Some(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<First<T>, A::Error> {
        let first = sequence.next_element()?;
        while sequence.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(First(first))
    }
}
