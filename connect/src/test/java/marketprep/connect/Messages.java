package marketprep.connect;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.sink.SinkRecord;

/** Messages and configurations as tests need them. */
final class Messages {
  static final TopicPartition PARTITION = new TopicPartition("prices", 3);

  /** In Seoul, the day is the 24th from here on. */
  static final long MIDNIGHT = Instant.parse("2026-11-23T15:00:00Z").toEpochMilli();

  private Messages() {}

  static SinkRecord message(long offset, long timestamp, Object value) {
    return new SinkRecord(
        PARTITION.topic(),
        PARTITION.partition(),
        null,
        null,
        null,
        value,
        offset,
        timestamp,
        TimestampType.CREATE_TIME);
  }

  /** A message that says its own offset. */
  static SinkRecord message(long offset, long timestamp) {
    return message(offset, timestamp, Long.toString(offset).getBytes(StandardCharsets.UTF_8));
  }

  static Map<String, String> properties(String... more) {
    Map<String, String> properties = new TreeMap<>();
    properties.put("s3.bucket.name", "prices");
    properties.put("store.url", "http://127.0.0.1:9000");
    properties.put("flush.size", "3");
    properties.put("format.bytearray.extension", ".json");
    for (int i = 0; i < more.length; i += 2) {
      properties.put(more[i], more[i + 1]);
    }
    return properties;
  }

  static S3SinkConfig config(String... more) {
    return new S3SinkConfig(properties(more));
  }
}
