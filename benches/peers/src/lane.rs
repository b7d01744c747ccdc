//! A service for one partition: read what is there, decode, produce arrays of records, commit.

use std::error::Error;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};

use crate::decoder::{Decoder, Records};
use crate::time::Time;

/// What the lane is told.
#[derive(Default)]
pub struct Arguments {
    pub bootstrap_servers: String,
    pub input: String,
    pub partition: i32,
    pub output: String,
    pub group: String,
    /// Of librdkafka, `consumer.name=value` or `producer.name=value`, over those below.
    pub properties: Vec<String>,
}

/// How many records are a Kafka value.
const ARRAY: usize = 20;
const COMMIT_EVERY: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(30);

/// librdkafka's defaults wait a second before a queue that was full is filled again, and fetch a
/// megabyte at once: both cost half of the rate with values of 100 kB.
const CONSUMER: [(&str, &str); 9] = [
    ("enable.auto.commit", "false"),
    ("auto.offset.reset", "earliest"),
    ("fetch.queue.backoff.ms", "10"),
    ("queued.max.messages.kbytes", "65536"),
    ("queued.min.messages", "1000000"),
    ("fetch.message.max.bytes", "8388608"),
    ("fetch.wait.max.ms", "10"),
    ("check.crcs", "false"),
    ("enable.partition.eof", "false"),
];

const PRODUCER: [(&str, &str); 6] = [
    ("acks", "all"),
    ("linger.ms", "5"),
    ("batch.size", "1000000"),
    ("batch.num.messages", "100000"),
    ("queue.buffering.max.kbytes", "262144"),
    ("compression.type", "none"),
];

/// Reads until the end that the partition has now, and prints what that took.
pub fn run(
    arguments: &Arguments,
    exchange: &str,
    kind: &str,
    mut decoder: Box<dyn Decoder>,
) -> Result<(), Box<dyn Error>> {
    let mut lane = Lane::open(arguments, key_of(exchange, kind))?;
    let (begin, cpu) = (Instant::now(), ProcessTime::now());
    eprintln!("assigned");
    while lane.next < lane.end {
        let Some(message) = lane.consumer.poll(Duration::from_millis(5)) else {
            lane.records.end_array(); // whoever waits for it waits no longer
            lane.send()?;
            lane.commit_if_due()?;
            continue;
        };
        let message = message?;
        let time = message.timestamp().to_millis().and_then(|time| u64::try_from(time).ok());
        let value = message.payload().unwrap_or_default();
        let items = decoder.decode(
            value,
            time.map(Time::of_milliseconds).unwrap_or_default(),
            &mut lane.records,
        );
        lane.items += items.ok_or("no envelope")?;
        lane.next = message.offset() + 1;
        drop(message);
        lane.send()?;
        lane.commit_if_due()?;
    }
    lane.finish()?;
    println!(
        r#"{{"items":{},"records":{},"seconds":{:?},"cpu_seconds":{:?}}}"#,
        lane.items,
        lane.records.count,
        begin.elapsed().as_secs_f64(),
        cpu.elapsed().as_secs_f64()
    );
    Ok(())
}

/// The clients, and how far all is.
struct Lane<'a> {
    arguments: &'a Arguments,
    consumer: BaseConsumer,
    producer: BaseProducer<Deliveries>,
    key: String,
    records: Records,
    items: usize,
    /// The offset behind what was read, and where the partition ended at the start.
    next: i64,
    end: i64,
    sent: usize,
    /// An offset, and how many values must have been acknowledged before it may be committed.
    waiting: Option<(i64, usize)>,
    committed: Instant,
}

/// Counts what was acknowledged, and keeps the last error.
#[derive(Default)]
struct Deliveries {
    acknowledged: AtomicUsize,
    failed: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => _ = self.acknowledged.fetch_add(1, Ordering::Relaxed),
            Err((error, _)) => {
                *self.failed.lock().expect("nobody panics with it") = Some(error.clone());
            }
        }
    }
}

impl<'a> Lane<'a> {
    fn open(arguments: &'a Arguments, key: String) -> Result<Self, Box<dyn Error>> {
        let consumer: BaseConsumer = configuration(arguments, "consumer.", &CONSUMER)
            .set("group.id", &arguments.group)
            .create()?;
        let producer = configuration(arguments, "producer.", &PRODUCER)
            .create_with_context(Deliveries::default())?;
        let (input, partition) = (&*arguments.input, arguments.partition);
        let (begin, end) = consumer.fetch_watermarks(input, partition, TIMEOUT)?;
        let mut place = TopicPartitionList::new();
        place.add_partition(input, partition);
        let committed = consumer.committed_offsets(place, TIMEOUT)?;
        let next = match committed.elements().first().map(TopicPartitionListElem::offset) {
            Some(Offset::Offset(offset)) => offset,
            _ => begin,
        };
        consumer.assign(&arguments.place(next)?)?;
        Ok(Self {
            arguments,
            consumer,
            producer,
            key,
            records: Records::arrays(ARRAY),
            items: 0,
            next,
            end,
            sent: 0,
            waiting: None,
            committed: Instant::now(),
        })
    }

    /// Sends the arrays that are whole.
    fn send(&mut self) -> Result<(), Box<dyn Error>> {
        let mut begin = 0;
        for end in &self.records.ends {
            let mut record = BaseRecord::to(&self.arguments.output)
                .partition(self.arguments.partition)
                .key(&self.key)
                .payload(&self.records.bytes[begin..*end]);
            while let Err((error, refused)) = self.producer.send(record) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    return Err(error.into());
                }
                self.producer.poll(Duration::from_millis(1));
                record = refused;
            }
            begin = *end;
        }
        self.sent += self.records.ends.len();
        self.records.sent();
        self.producer.poll(Duration::ZERO);
        Ok(())
    }

    /// Commits what had been sent at the last look and is acknowledged by now.
    fn commit_if_due(&mut self) -> Result<(), Box<dyn Error>> {
        if self.committed.elapsed() < COMMIT_EVERY {
            return Ok(());
        }
        if let Some((offset, values)) = self.waiting {
            if self.acknowledged()? < values {
                return Ok(());
            }
            self.consumer.commit(&self.arguments.place(offset)?, CommitMode::Async)?;
        }
        self.records.end_array();
        self.send()?;
        self.waiting = Some((self.next, self.sent));
        self.committed = Instant::now();
        Ok(())
    }

    /// Sends the rest, waits until all is acknowledged, and commits.
    fn finish(&mut self) -> Result<(), Box<dyn Error>> {
        self.records.end_array();
        self.send()?;
        while self.acknowledged()? < self.sent {
            self.producer.poll(Duration::from_millis(1)); // a flush would wait in steps of 100 ms
        }
        self.consumer.commit(&self.arguments.place(self.next)?, CommitMode::Sync)?;
        Ok(())
    }

    fn acknowledged(&self) -> KafkaResult<usize> {
        let deliveries = self.producer.context();
        match &*deliveries.failed.lock().expect("nobody panics with it") {
            Some(error) => Err(error.clone()),
            None => Ok(deliveries.acknowledged.load(Ordering::Relaxed)),
        }
    }
}

impl Arguments {
    /// Our partition, at an offset.
    fn place(&self, offset: i64) -> KafkaResult<TopicPartitionList> {
        let mut places = TopicPartitionList::new();
        places.add_partition_offset(&self.input, self.partition, Offset::Offset(offset))?;
        Ok(places)
    }
}

fn configuration(arguments: &Arguments, client: &str, properties: &[(&str, &str)]) -> ClientConfig {
    let mut configuration = ClientConfig::new();
    configuration.set("bootstrap.servers", &arguments.bootstrap_servers);
    for (name, value) in properties {
        configuration.set(*name, *value);
    }
    for (name, value) in arguments.properties.iter().filter_map(|text| text.split_once('=')) {
        if let Some(name) = name.strip_prefix(client) {
            configuration.set(name, value);
        }
    }
    configuration
}

/// The key of its values: `"BinanceOrderbook"`, with the quotes.
fn key_of(exchange: &str, kind: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    format!("\"{}{}\"", capital(exchange), capital(kind))
}
