package marketprep.connect;

import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.ZoneId;
import java.util.IllformedLocaleException;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.zip.Deflater;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigDef.Importance;
import org.apache.kafka.common.config.ConfigDef.Range;
import org.apache.kafka.common.config.ConfigDef.Type;
import org.apache.kafka.common.config.ConfigDef.ValidString;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.config.ConfigValue;

/**
 * The configuration of the sink, by the keys of Confluent's S3 sink.
 *
 * <p>What of those is not supported is refused where it is set, never passed over.
 *
 * @see <a
 *     href="https://docs.confluent.io/kafka-connectors/s3-sink/current/configuration_options.html">
 *     the keys</a>
 */
final class S3SinkConfig extends AbstractConfig {
  static final String BUCKET = "s3.bucket.name";
  static final String REGION = "s3.region";
  static final String STORE_URL = "store.url";
  static final String PATH_STYLE = "s3.path.style.access.enabled";
  static final String ACCESS_KEY = "aws.access.key.id";
  static final String SECRET_KEY = "aws.secret.access.key";
  static final String RETRIES = "s3.part.retries";
  static final String RETRY_BACKOFF_MS = "retry.backoff.ms";
  static final String FLUSH_SIZE = "flush.size";
  static final String ROTATE_INTERVAL_MS = "rotate.interval.ms";
  static final String ROTATE_SCHEDULE_INTERVAL_MS = "rotate.schedule.interval.ms";
  static final String FORMAT = "format.class";
  static final String EXTENSION = "format.bytearray.extension";
  static final String SEPARATOR = "format.bytearray.separator";
  static final String COMPRESSION = "s3.compression.type";
  static final String COMPRESSION_LEVEL = "s3.compression.level";
  static final String NULL_VALUES = "behavior.on.null.values";
  static final String PARTITIONER = "partitioner.class";
  static final String TIMESTAMP_EXTRACTOR = "timestamp.extractor";
  static final String PATH_FORMAT = "path.format";
  static final String PARTITION_DURATION_MS = "partition.duration.ms";
  static final String LOCALE = "locale";
  static final String TIMEZONE = "timezone";
  static final String TOPICS_DIR = "topics.dir";
  static final String DIRECTORY_DELIMITER = "directory.delim";
  static final String FILE_DELIMITER = "file.delim";
  static final String ZERO_PAD_WIDTH = "filename.offset.zero.pad.width";

  private static final String JSON_FORMAT = "io.confluent.connect.s3.format.json.JsonFormat";
  private static final String BYTES_FORMAT =
      "io.confluent.connect.s3.format.bytearray.ByteArrayFormat";
  private static final String PARTITIONERS = "io.confluent.connect.storage.partitioner.";
  private static final String TIME_BASED = PARTITIONERS + "TimeBasedPartitioner";
  private static final String DAILY = PARTITIONERS + "DailyPartitioner";
  private static final String HOURLY = PARTITIONERS + "HourlyPartitioner";
  private static final String DAY_PATH = "'year'=YYYY/'month'=MM/'day'=dd";
  private static final long HOUR_MS = 3_600_000;

  /** Keys that change what Confluent's sink does, and the values with which they change nothing. */
  private static final Map<String, List<String>> UNSUPPORTED =
      Map.ofEntries(
          Map.entry("store.kafka.keys", List.of("false")),
          Map.entry("store.kafka.headers", List.of("false")),
          Map.entry("schema.compatibility", List.of("NONE")),
          Map.entry("json.decimal.format", List.of("NUMERIC")),
          Map.entry("s3.schema.partition.affix.type", List.of("NONE")),
          Map.entry("storage.class", List.of("io.confluent.connect.s3.storage.S3Storage")),
          Map.entry("s3.ssea.name", List.of()),
          Map.entry("s3.sse.customer.key", List.of()),
          Map.entry("s3.sse.kms.key.id", List.of()),
          Map.entry("s3.acl.canned", List.of()),
          Map.entry("s3.object.tagging", List.of("false")),
          Map.entry("s3.object.tagging.key.value.pairs", List.of()),
          Map.entry("s3.proxy.url", List.of()),
          Map.entry("s3.wan.mode", List.of("false")),
          Map.entry("s3.credentials.provider.class", List.of()),
          Map.entry("partition.field.name", List.of()),
          Map.entry("file.name.template", List.of()),
          Map.entry("rotate.file.offset", List.of("false")));

  static final ConfigDef DEFINITION = define();

  private static ConfigDef define() {
    ConfigDef keys = new ConfigDef();
    defineStore(keys);
    defineObjects(keys);
    defineNames(keys);
    return keys;
  }

  private static void defineStore(ConfigDef keys) {
    keys.define(
        BUCKET,
        Type.STRING,
        ConfigDef.NO_DEFAULT_VALUE,
        new ConfigDef.NonEmptyString(),
        Importance.HIGH,
        "The bucket. It must be there.");
    keys.define(
        REGION,
        Type.STRING,
        "us-west-2",
        new ConfigDef.NonEmptyString(),
        Importance.MEDIUM,
        "The region that requests are signed for.");
    keys.define(
        STORE_URL,
        Type.STRING,
        null,
        Importance.HIGH,
        "The store's address, such as http://minio:9000. Without it, that of AWS.");
    keys.define(
        PATH_STYLE,
        Type.BOOLEAN,
        true,
        Importance.LOW,
        "Whether the bucket stands in the path of addresses, as MinIO needs it, or in the host.");
    keys.define(
        ACCESS_KEY,
        Type.STRING,
        "",
        Importance.HIGH,
        "The key to sign with. Without it, the worker's environment, profile or instance has it.");
    keys.define(SECRET_KEY, Type.PASSWORD, "", Importance.HIGH, "The secret of the key.");
    keys.define(
        RETRIES,
        Type.INT,
        3,
        Range.between(0, 100),
        Importance.LOW,
        "How often a request is tried again at once, before the worker waits.");
    keys.define(
        RETRY_BACKOFF_MS,
        Type.LONG,
        5_000L,
        Range.between(0, HOUR_MS),
        Importance.LOW,
        "How long the worker waits before it tries again while the store cannot be reached.");
  }

  private static void defineObjects(ConfigDef keys) {
    keys.define(
        FLUSH_SIZE,
        Type.INT,
        ConfigDef.NO_DEFAULT_VALUE,
        Range.atLeast(1),
        Importance.HIGH,
        "How many messages make an object.");
    keys.define(
        ROTATE_INTERVAL_MS,
        Type.LONG,
        -1L,
        Range.atLeast(-1),
        Importance.MEDIUM,
        "After how much time of messages an object is put though it is not full, or when the folder"
            + " changes; -1: never. It ends before the first message that is so much later.");
    keys.define(
        ROTATE_SCHEDULE_INTERVAL_MS,
        Type.LONG,
        -1L,
        Range.atLeast(-1),
        Importance.MEDIUM,
        "At which distance in time of the clock, counted from midnight, objects are put though they"
            + " are not full; -1: never.");
    keys.define(
        FORMAT,
        Type.STRING,
        BYTES_FORMAT,
        ValidString.in(BYTES_FORMAT, JSON_FORMAT),
        Importance.HIGH,
        "ByteArrayFormat: messages as they are. JsonFormat: as JSON.");
    keys.define(
        EXTENSION,
        Type.STRING,
        ".bin",
        Importance.LOW,
        "The end of names of objects of ByteArrayFormat.");
    keys.define(
        SEPARATOR,
        Type.STRING,
        null,
        Importance.LOW,
        "What follows each message in ByteArrayFormat; without it, a line feed.");
    keys.define(
        COMPRESSION,
        Type.STRING,
        "none",
        ValidString.in("none", "gzip"),
        Importance.MEDIUM,
        "none or gzip.");
    keys.define(
        COMPRESSION_LEVEL,
        Type.INT,
        Deflater.DEFAULT_COMPRESSION,
        Range.between(-1, 9),
        Importance.LOW,
        "From 1, fast, to 9, small; -1: as gzip does.");
    keys.define(
        NULL_VALUES,
        Type.STRING,
        "fail",
        ValidString.in("fail", "ignore"),
        Importance.LOW,
        "What becomes of messages without a value: fail or ignore.");
  }

  private static void defineNames(ConfigDef keys) {
    keys.define(
        PARTITIONER,
        Type.STRING,
        TIME_BASED,
        ValidString.in(TIME_BASED, DAILY, HOURLY),
        Importance.MEDIUM,
        "Objects stand in folders of time.");
    keys.define(
        TIMESTAMP_EXTRACTOR,
        Type.STRING,
        "Record",
        ValidString.in("Record", TIME_BASED + "$RecordTimestampExtractor"),
        Importance.MEDIUM,
        "The time that counts is that of the Kafka message.");
    keys.define(
        PATH_FORMAT,
        Type.STRING,
        DAY_PATH,
        new ConfigDef.NonEmptyString(),
        Importance.MEDIUM,
        "Folders of a topic, as a pattern of Joda-Time.");
    keys.define(
        PARTITION_DURATION_MS,
        Type.LONG,
        24 * HOUR_MS,
        Range.atLeast(1),
        Importance.MEDIUM,
        "To whole ones of these, times are truncated.");
    keys.define(
        LOCALE,
        Type.STRING,
        "en-US",
        new ConfigDef.NonEmptyString(),
        Importance.LOW,
        "The language of months and days that are spelled out, such as ko-KR.");
    keys.define(
        TIMEZONE,
        Type.STRING,
        "Asia/Seoul",
        new ConfigDef.NonEmptyString(),
        Importance.MEDIUM,
        "Where days begin, such as Asia/Seoul.");
    keys.define(
        TOPICS_DIR,
        Type.STRING,
        "topics",
        new ConfigDef.NonEmptyString(),
        Importance.MEDIUM,
        "The folder in which each topic has one.");
    keys.define(
        DIRECTORY_DELIMITER,
        Type.STRING,
        "/",
        ValidString.in("/"),
        Importance.LOW,
        "What parts folders.");
    keys.define(
        FILE_DELIMITER,
        Type.STRING,
        "+",
        new ConfigDef.NonEmptyString(),
        Importance.LOW,
        "What parts topic, partition and offset in names of objects.");
    keys.define(
        ZERO_PAD_WIDTH,
        Type.INT,
        10,
        Range.between(0, 30),
        Importance.LOW,
        "How many digits an offset has at least in names of objects.");
  }

  S3SinkConfig(Map<String, String> properties) {
    super(DEFINITION, properties, false);
  }

  /** Adds an error for each key that is set to what this sink does not do. */
  static void refuseUnsupported(Map<String, String> properties, List<ConfigValue> values) {
    UNSUPPORTED.forEach(
        (key, harmless) -> {
          String given = properties.get(key);
          if (given != null && !given.isEmpty() && !harmless.contains(given)) {
            value(values, key).addErrorMessage("is not supported by this sink: remove " + key);
          }
        });
  }

  /** Adds errors of keys that do not fit together or stand for nothing that there is. */
  void check(List<ConfigValue> values) {
    refuse(values, PATH_FORMAT, this::paths);
    refuse(values, TIMEZONE, this::zone);
    refuse(values, LOCALE, this::locale);
    refuse(values, STORE_URL, () -> S3ObjectStore.endpoint(this));
    boolean hasSecret = !getPassword(SECRET_KEY).value().isEmpty();
    if (getString(ACCESS_KEY).isEmpty() == hasSecret) {
      String missing = hasSecret ? ACCESS_KEY : SECRET_KEY;
      value(values, missing).addErrorMessage("is needed with the other one: set both or none");
    }
  }

  private static void refuse(List<ConfigValue> values, String key, Runnable use) {
    try {
      use.run();
    } catch (ConfigException error) {
      if (error.getMessage().startsWith(key)) {
        value(values, key).addErrorMessage(error.getMessage());
      }
    }
  }

  /** The value of a key in a list, into which it is put where it is missing. */
  static ConfigValue value(List<ConfigValue> values, String key) {
    for (ConfigValue value : values) {
      if (value.name().equals(key)) {
        return value;
      }
    }
    ConfigValue added = new ConfigValue(key);
    values.add(added);
    return added;
  }

  PathFormat paths() {
    String partitioner = getString(PARTITIONER);
    String pattern = getString(PATH_FORMAT);
    long durationMs = getLong(PARTITION_DURATION_MS);
    if (partitioner.equals(DAILY)) {
      pattern = DAY_PATH;
      durationMs = 24 * HOUR_MS;
    } else if (partitioner.equals(HOURLY)) {
      pattern = DAY_PATH + "/'hour'=HH";
      durationMs = HOUR_MS;
    }
    try {
      return new PathFormat(pattern, zone(), locale(), durationMs);
    } catch (IllegalArgumentException error) {
      throw new ConfigException(
          PATH_FORMAT + " " + pattern + " is no pattern of a time: " + error.getMessage());
    }
  }

  ZoneId zone() {
    try {
      return ZoneId.of(getString(TIMEZONE));
    } catch (DateTimeException error) {
      throw new ConfigException(
          TIMEZONE + " " + getString(TIMEZONE) + " is not known: name one such as Asia/Seoul");
    }
  }

  Locale locale() {
    try {
      return new Locale.Builder().setLanguageTag(getString(LOCALE).replace('_', '-')).build();
    } catch (IllformedLocaleException error) {
      throw new ConfigException(
          LOCALE + " " + getString(LOCALE) + " is none: name one such as en-US");
    }
  }

  LineFormat lines() {
    if (getString(FORMAT).equals(JSON_FORMAT)) {
      return new LineFormat.Json();
    }
    String separator = getString(SEPARATOR) == null ? "\n" : getString(SEPARATOR);
    return new LineFormat.Bytes(getString(EXTENSION), separator.getBytes(StandardCharsets.UTF_8));
  }

  boolean isCompressed() {
    return getString(COMPRESSION).equals("gzip");
  }

  boolean failsOnNull() {
    return getString(NULL_VALUES).equals("fail");
  }
}
