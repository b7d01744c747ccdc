package marketprep.connect;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.ServerSocket;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.TreeMap;
import org.apache.kafka.common.config.ConfigValue;
import org.apache.kafka.connect.sink.SinkConnector;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class S3SinkConnectorTest {
  /** The errors that a validation has found, by key. */
  private static Map<String, List<String>> errors(Map<String, String> properties) {
    Map<String, List<String>> errors = new TreeMap<>();
    for (ConfigValue value : new S3SinkConnector().validate(properties).configValues()) {
      if (!value.errorMessages().isEmpty()) {
        errors.put(value.name(), value.errorMessages());
      }
    }
    return errors;
  }

  @Test
  void workersFindIt() {
    assertTrue(
        ServiceLoader.load(SinkConnector.class).stream()
            .anyMatch(found -> found.type() == S3SinkConnector.class));
  }

  @ParameterizedTest
  @CsvSource({
    "s3.bucket.name, ''",
    "flush.size, 0",
    "flush.size, many",
    "format.class, io.confluent.connect.s3.format.parquet.ParquetFormat",
    "format.class, io.confluent.connect.s3.format.avro.AvroFormat",
    "partitioner.class, io.confluent.connect.storage.partitioner.FieldPartitioner",
    "timestamp.extractor, Wallclock",
    "s3.compression.type, zstd",
    "path.format, 'year=YYYY'",
    "timezone, Asia/Soul",
    "locale, 1",
    "store.url, minio:9000",
    "store.url, http://min_io:9000",
    "store.url, http://minio:port",
    "store.url, http://minio:99999",
    "store.url, 'http://[::1'",
    "store.url, http://user:secret@minio:9000",
    "store.url, http://minio:9000/path",
    "json.decimal.format, BASE64",
    "behavior.on.null.values, write",
    "rotate.schedule.interval.ms, -2",
    "store.kafka.keys, true",
    "schema.compatibility, BACKWARD",
    "s3.credentials.provider.class, com.example.Provider",
    "aws.access.key.id, alone",
    "directory.delim, _",
  })
  void oneErrorAtItsKey(String key, String value) {
    Map<String, List<String>> errors = errors(Messages.properties(key, value));
    String at = key.equals("aws.access.key.id") ? "aws.secret.access.key" : key;
    assertEquals(List.of(at), List.copyOf(errors.keySet()));
  }

  @Test
  void whatIsNeededIsAskedFor() {
    Map<String, List<String>> errors = errors(Map.of());
    assertEquals(List.of("flush.size", "s3.bucket.name"), List.copyOf(errors.keySet()));
  }

  @Test
  void storeThatIsNotThere() throws Exception {
    int port;
    try (ServerSocket socket = new ServerSocket(0)) {
      port = socket.getLocalPort();
    }
    String url = "http://127.0.0.1:" + port;
    Map<String, List<String>> errors =
        errors(
            Messages.properties(
                "store.url", url,
                "aws.access.key.id", "key",
                "aws.secret.access.key", "secret",
                "s3.part.retries", "0"));
    assertEquals(List.of("store.url"), List.copyOf(errors.keySet()));
    assertTrue(errors.get("store.url").get(0).startsWith("The store at " + url));
  }

  @Test
  void harmlessKeysOfConfluentsSinkArePassedOver() {
    Map<String, String> properties =
        Messages.properties(
            "storage.class", "io.confluent.connect.s3.storage.S3Storage",
            "schema.compatibility", "NONE",
            "s3.part.size", "5242880",
            "store.kafka.keys", "false",
            "s3.ssea.name", "");
    List<ConfigValue> values = new java.util.ArrayList<>();
    S3SinkConfig.refuseUnsupported(properties, values);
    assertEquals(List.of(), values);
  }
}
