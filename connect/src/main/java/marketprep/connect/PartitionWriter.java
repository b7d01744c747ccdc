package marketprep.connect;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.zip.GZIPOutputStream;
import marketprep.connect.ObjectStore.Label;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.sink.SinkRecord;

/**
 * The objects of one partition of a topic.
 *
 * <p>Messages are taken in groups of {@code flush.size}. A group is an object, or where its
 * messages are of several folders, an object in each. Objects are named by their first offset and
 * say where their group ends. None is ever overwritten: where the first one of a group is there
 * already, put before a crash or by a worker that has lost the partition without knowing, its end
 * is that of the group. So groups are the same whoever makes them and whenever, and each message is
 * in one object.
 */
final class PartitionWriter {
  private static final String REMEDY =
      "Move the old objects away, or name another topics.dir or bucket, and start the task again";

  private record Line(long offset, long timestamp, String path, byte[] bytes) {}

  private final TopicPartition partition;
  private final S3SinkConfig config;
  private final ObjectStore store;
  private final PathFormat paths;
  private final LineFormat format;
  private final int flushSize;
  private final long rotateIntervalMs;

  /** What was taken, and is in no object yet. */
  private final List<Line> lines = new ArrayList<>();

  /** The first offset that was not taken yet; below it, messages are delivered again. */
  private long nextOffset;

  private OptionalLong storedOffset = OptionalLong.empty();

  /** Where the group ends that is begun, if an object says so. */
  private OptionalLong knownEnd = OptionalLong.empty();

  /** How many lines are a group that is to be put; 0 while it may still grow. */
  private int complete;

  /**
   * Whether there may be objects of those who had the partition before. While there may, they are
   * looked for, as not every store minds that an object is to be put only if there is none.
   */
  private boolean mayExist = true;

  PartitionWriter(TopicPartition partition, S3SinkConfig config, ObjectStore store) {
    this.partition = partition;
    this.config = config;
    this.store = store;
    paths = config.paths();
    format = config.lines();
    flushSize = config.getInt(S3SinkConfig.FLUSH_SIZE);
    rotateIntervalMs = config.getLong(S3SinkConfig.ROTATE_INTERVAL_MS);
  }

  /** The offset behind the last message that is stored; empty before there is one. */
  OptionalLong storedOffset() {
    return storedOffset;
  }

  /** Whether all that was taken is stored. */
  boolean isEmpty() {
    return lines.isEmpty();
  }

  /**
   * Takes the next message, and puts groups that it completes.
   *
   * <p>If it throws a RetriableException, nothing is lost: messages that are delivered again are
   * known, and the group is put at the next call.
   *
   * @param isRepeated whether the message may have been delivered before
   * @throws StoreException if messages begin anew: what they say now is not what was taken
   */
  void take(SinkRecord message, boolean isRepeated) {
    putComplete();
    if (message.originalKafkaOffset() < nextOffset) {
      if (!isRepeated) {
        throw new StoreException(
            S3SinkConfig.TOPICS_DIR,
            "%s begins anew at offset %d: the topic was made anew or has lost messages. %s"
                .formatted(partition, message.originalKafkaOffset(), REMEDY),
            null);
      }
      return;
    }
    if (message.value() == null) {
      passOver(message);
      return;
    }
    Line line = line(message);
    while (endsBefore(line)) {
      complete = lines.size();
      putComplete();
    }
    lines.add(line);
    nextOffset = line.offset + 1;
    complete = completed();
    putComplete();
  }

  /** Puts a group whose time has come, though it is not full. */
  void rotate() {
    putComplete();
    while (knownEnd.isEmpty() && !lines.isEmpty()) {
      complete = lines.size();
      putComplete();
    }
  }

  /** Puts again what could not be put before. */
  void putComplete() {
    while (complete > 0) {
      put(List.copyOf(lines.subList(0, complete)));
    }
  }

  private void passOver(SinkRecord message) {
    if (config.failsOnNull()) {
      throw new DataException(
          "The message at offset %d of %s has no value: set %s to ignore to pass over such"
              .formatted(message.originalKafkaOffset(), partition, S3SinkConfig.NULL_VALUES));
    }
    nextOffset = message.originalKafkaOffset() + 1;
    if (lines.isEmpty()) {
      storedOffset = OptionalLong.of(nextOffset);
    }
  }

  private Line line(SinkRecord message) {
    long offset = message.originalKafkaOffset();
    Long timestamp = message.timestamp();
    if (timestamp == null || timestamp < 0) {
      throw new DataException(
          "The message at offset %d of %s has no time, so no folder: let producers set one"
              .formatted(offset, partition));
    }
    return new Line(offset, timestamp, paths.of(timestamp), format.line(message));
  }

  private boolean endsBefore(Line next) {
    if (lines.isEmpty()) {
      return false;
    }
    if (knownEnd.isPresent()) {
      return next.offset >= knownEnd.getAsLong();
    }
    Line first = lines.get(0);
    return rotateIntervalMs > 0
        && (next.timestamp - first.timestamp >= rotateIntervalMs || !next.path.equals(first.path));
  }

  /** How many of the lines are a group now; 0 if they may become more. */
  private int completed() {
    if (knownEnd.isEmpty()) {
      return lines.size() >= flushSize ? flushSize : 0;
    }
    return nextOffset >= knownEnd.getAsLong() ? below(knownEnd.getAsLong()) : 0;
  }

  private int below(long offset) {
    int count = 0;
    while (count < lines.size() && lines.get(count).offset < offset) {
      count++;
    }
    return count;
  }

  /** Puts a group, or learns from what is there already that it is another one. */
  private void put(List<Line> group) {
    long end = knownEnd.orElse(group.get(group.size() - 1).offset + 1);
    Map<String, List<Line>> byPath = new LinkedHashMap<>();
    for (Line line : group) {
      byPath.computeIfAbsent(line.path, path -> new ArrayList<>()).add(line);
    }
    boolean isFirst = true;
    for (Map.Entry<String, List<Line>> object : byPath.entrySet()) {
      byte[] content = concatenated(object.getValue());
      Label label = new Label(end, digest(content));
      String name = name(object.getKey(), object.getValue().get(0).offset);
      Optional<Label> there = put(name, content, label);
      if (there.isPresent() && isFirst && there.get().nextOffset() != end) {
        knownEnd = OptionalLong.of(there.get().nextOffset());
        complete = completed();
        refuseEmpty(name);
        return;
      }
      if (there.isPresent() && !there.get().digest().equals(label.digest())) {
        throw conflict(name);
      }
      isFirst = false;
    }
    lines.subList(0, group.size()).clear();
    storedOffset = OptionalLong.of(end);
    knownEnd = OptionalLong.empty();
    complete = completed();
  }

  /** Puts an object, if there is none; else the label of that. */
  private Optional<Label> put(String name, byte[] content, Label label) {
    if (mayExist) {
      Optional<Label> there = store.find(name);
      if (there.isPresent()) {
        return there;
      }
      mayExist = false;
    }
    return store.putIfAbsent(name, compressed(content), label);
  }

  /** An object that says it ends before it begins is none of ours. */
  private void refuseEmpty(String name) {
    if (below(knownEnd.getAsLong()) == 0) {
      throw conflict(name);
    }
  }

  private static ConnectException conflict(String name) {
    return new StoreException(
        S3SinkConfig.TOPICS_DIR,
        "The object "
            + name
            + " is there already, with other lines: the topic was made anew, or their format was"
            + " another one. "
            + REMEDY,
        null);
  }

  private String name(String path, long firstOffset) {
    String delimiter = config.getString(S3SinkConfig.FILE_DELIMITER);
    String offset = Long.toString(firstOffset);
    int zeros = Math.max(0, config.getInt(S3SinkConfig.ZERO_PAD_WIDTH) - offset.length());
    return config.getString(S3SinkConfig.TOPICS_DIR)
        + "/"
        + partition.topic()
        + "/"
        + path
        + "/"
        + partition.topic()
        + delimiter
        + partition.partition()
        + delimiter
        + "0".repeat(zeros)
        + offset
        + format.extension()
        + (config.isCompressed() ? ".gz" : "");
  }

  private static byte[] concatenated(List<Line> lines) {
    byte[] content = new byte[lines.stream().mapToInt(line -> line.bytes.length).sum()];
    int end = 0;
    for (Line line : lines) {
      System.arraycopy(line.bytes, 0, content, end, line.bytes.length);
      end += line.bytes.length;
    }
    return content;
  }

  private byte[] compressed(byte[] content) {
    if (!config.isCompressed()) {
      return content;
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(content.length / 4 + 64);
    try (GZIPOutputStream gzip = new Gzip(bytes, config.getInt(S3SinkConfig.COMPRESSION_LEVEL))) {
      gzip.write(content);
    } catch (IOException error) {
      throw new UncheckedIOException(error); // memory does not fail
    }
    return bytes.toByteArray();
  }

  private static final class Gzip extends GZIPOutputStream {
    Gzip(ByteArrayOutputStream bytes, int level) throws IOException {
      super(bytes, 8192);
      def.setLevel(level);
    }
  }

  private static String digest(byte[] content) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
    } catch (NoSuchAlgorithmException error) {
      throw new IllegalStateException(error); // every Java has it
    }
  }
}
