//! A broker in this process, and a group that reads from it as Lambda's poller does: a batch is handed over in Lambda's
//! event, and its offsets are committed when the function has succeeded.

use core::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::{ClientConfig, Offset, Timestamp, TopicPartitionList};
use serde_json::{Map, Value, json};

/// The topic of the changes.
pub(crate) const TOPIC: &str = "warehouse.public.stock";

/// Its partitions.
pub(crate) const PARTITIONS: i32 = 2;

const GROUP: &str = "evenstock-warehouse-events";

/// Far longer than anything here takes, so that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one look for a record waits, and how many looks are a minute.
const POLL: Duration = Duration::from_millis(200);
const POLLS_MAX: u32 = 300;

/// A broker on a free port of loopback. Dropped, it ends.
pub(crate) struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, PARTITIONS, 1).unwrap();
        let producer = ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
        Self { cluster, producer }
    }

    /// Writes a change of the row with this id, or its tombstone. A row's changes share a partition.
    pub(crate) fn produce(&self, row: usize, change: Option<&str>) {
        let key = json!({ "id": row }).to_string();
        let partition = i32::try_from(row).unwrap() % PARTITIONS;
        let mut record = BaseRecord::<str, str>::to(TOPIC).partition(partition).key(&key);
        record.payload = change;
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
    }

    pub(crate) fn flush(&self) {
        self.producer.flush(PATIENCE).unwrap();
    }

    /// A new member of the group, which goes on where the group has committed.
    pub(crate) fn join(&self) -> Poller {
        let servers = self.cluster.bootstrap_servers();
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &servers)
            .set("group.id", GROUP)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            // A member that died is soon forgotten.
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "500")
            .create()
            .unwrap();
        consumer.subscribe(&[TOPIC]).unwrap();
        Poller { consumer, servers }
    }

    /// Sets the group back to the beginning of each partition, as `kafka-consumer-groups --reset-offsets` does.
    pub(crate) fn rewind(&self) {
        let member = self.join();
        let mut offsets = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            offsets.add_partition_offset(TOPIC, partition, Offset::Offset(0)).unwrap();
        }
        let joined = (0..POLLS_MAX).any(|_| {
            assert!(member.consumer.poll(POLL).is_none(), "everything was read");
            member.consumer.assignment().unwrap().count() > 0
        });
        assert!(joined, "the group has a member");
        member.consumer.commit(&offsets, CommitMode::Sync).unwrap();
    }
}

/// Records in Lambda's event, and the offsets behind them.
pub(crate) struct Batch {
    pub(crate) event: Value,
    offsets: TopicPartitionList,
}

impl Batch {
    /// Its records, of all partitions.
    pub(crate) fn records(&self) -> Vec<Value> {
        let lists = self.event["records"].as_object().unwrap().values();
        lists.flat_map(|list| list.as_array().unwrap()).cloned().collect()
    }
}

/// A member of the group. Dropped without a commit, it has read in vain.
pub(crate) struct Poller {
    consumer: BaseConsumer,
    servers: String,
}

impl Poller {
    /// Reads `records` records.
    pub(crate) fn batch(&self, records: usize) -> Batch {
        let mut lists: Map<String, Value> = Map::new();
        let mut offsets = TopicPartitionList::new();
        for _ in 0..records {
            let (partition, offset, record) = self.first();
            let list = lists.entry(format!("{TOPIC}-{partition}")).or_insert_with(|| json!([]));
            list.as_array_mut().unwrap().push(record);
            let next = Offset::Offset(offset + 1);
            match offsets.find_partition(TOPIC, partition) {
                Some(mut known) => known.set_offset(next).unwrap(),
                None => offsets.add_partition_offset(TOPIC, partition, next).unwrap(),
            }
        }
        let event = json!({ "eventSource": "SelfManagedKafka", "bootstrapServers": self.servers, "records": lists });
        Batch { event, offsets }
    }

    /// Says that a batch is done with.
    pub(crate) fn commit(&self, batch: &Batch) {
        self.consumer.commit(&batch.offsets, CommitMode::Sync).unwrap();
    }

    /// The next record: partition, offset, and how Lambda writes it.
    fn first(&self) -> (i32, i64, Value) {
        for _ in 0..POLLS_MAX {
            let Some(read) = self.consumer.poll(POLL) else { continue };
            let record = read.unwrap();
            let Timestamp::CreateTime(written_at) = record.timestamp() else { panic!("{:?}", record.timestamp()) };
            let base64 = |bytes: Option<&[u8]>| bytes.map(|bytes| STANDARD.encode(bytes));
            let written = json!({
                "topic": record.topic(),
                "partition": record.partition(),
                "offset": record.offset(),
                "timestamp": written_at,
                "timestampType": "CREATE_TIME",
                "key": base64(record.key()),
                "value": base64(record.payload()),
                "headers": [],
            });
            return (record.partition(), record.offset(), written);
        }
        panic!("nothing more is read");
    }
}
