package marketprep.connect;

import java.time.Clock;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalLong;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.errors.RetriableException;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTask;

/** Stores the partitions that a worker gives it. */
public final class S3SinkTask extends SinkTask {
  /** How long a delivery may take, so that the consumer is not thought dead. */
  private static final long LONGEST_MS = 60_000;

  private final Map<TopicPartition, PartitionWriter> writers = new HashMap<>();
  private final Clock clock;
  private S3SinkConfig config;
  private ObjectStore store;
  private long nextRotation = Long.MAX_VALUE;

  /** Whether the last delivery was not finished, so that the worker delivers the same again. */
  private boolean isUnfinished;

  /** A task of a worker. */
  public S3SinkTask() {
    this(Clock.systemUTC(), null);
  }

  S3SinkTask(Clock clock, ObjectStore store) {
    this.clock = clock;
    this.store = store;
  }

  @Override
  public void start(Map<String, String> properties) {
    config = new S3SinkConfig(properties);
    config.paths();
    if (store == null) {
      store = new S3ObjectStore(config);
    }
    planRotation();
  }

  @Override
  public void open(Collection<TopicPartition> partitions) {
    for (TopicPartition partition : partitions) {
      writers.put(partition, new PartitionWriter(partition, config, store));
    }
  }

  @Override
  public void put(Collection<SinkRecord> messages) {
    long end = clock.millis() + LONGEST_MS;
    try {
      writers.values().forEach(PartitionWriter::putComplete);
      if (clock.millis() >= nextRotation) {
        writers.values().forEach(PartitionWriter::rotate);
        planRotation();
      }
      for (SinkRecord message : messages) {
        if (clock.millis() > end) {
          throw new RetriableException("The store is slow: the rest of the messages follows");
        }
        writers.get(partition(message)).take(message, isUnfinished);
      }
      isUnfinished = false;
    } catch (RetriableException error) {
      isUnfinished = true;
      long backoff = clock.millis() > end ? 0 : config.getLong(S3SinkConfig.RETRY_BACKOFF_MS);
      context.timeout(Math.max(1, backoff)); // with 0, workers wait until they commit
      throw error;
    }
    if (nextRotation < Long.MAX_VALUE) {
      context.timeout(Math.max(1, nextRotation - clock.millis()));
    }
  }

  private static TopicPartition partition(SinkRecord message) {
    return new TopicPartition(message.originalTopic(), message.originalKafkaPartition());
  }

  private void planRotation() {
    long interval = config.getLong(S3SinkConfig.ROTATE_SCHEDULE_INTERVAL_MS);
    if (interval > 0) {
      nextRotation = Zones.truncate(clock.millis(), interval, config.zone()) + interval;
      while (nextRotation <= clock.millis()) { // an hour that comes twice in autumn
        nextRotation += interval;
      }
    }
  }

  /**
   * The offsets of what is stored, whatever was delivered.
   *
   * <p>Where nothing waits to be stored, that is all of it, with what was filtered out on the way.
   */
  @Override
  public Map<TopicPartition, OffsetAndMetadata> preCommit(
      Map<TopicPartition, OffsetAndMetadata> delivered) {
    Map<TopicPartition, OffsetAndMetadata> stored = new HashMap<>();
    writers.forEach(
        (partition, writer) -> {
          OptionalLong offset = writer.storedOffset();
          OffsetAndMetadata all = delivered.get(partition);
          if (writer.isEmpty() && all != null && all.offset() >= offset.orElse(0)) {
            stored.put(partition, all);
          } else if (offset.isPresent()) {
            stored.put(partition, new OffsetAndMetadata(offset.getAsLong()));
          }
        });
    return stored;
  }

  @Override
  public void close(Collection<TopicPartition> partitions) {
    partitions.forEach(writers::remove); // what is not stored is delivered again to whoever follows
  }

  @Override
  public void stop() {
    if (store instanceof S3ObjectStore opened) {
      opened.close();
    }
  }

  @Override
  public String version() {
    return Version.TEXT;
  }
}
