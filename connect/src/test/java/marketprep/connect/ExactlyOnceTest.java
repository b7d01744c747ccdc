package marketprep.connect;

import static marketprep.connect.Messages.MIDNIGHT;
import static marketprep.connect.Messages.PARTITION;
import static marketprep.connect.Messages.config;
import static marketprep.connect.Messages.message;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import marketprep.connect.MemoryStore.Fault;
import org.apache.kafka.connect.errors.RetriableException;
import org.apache.kafka.connect.sink.SinkRecord;
import org.junit.jupiter.api.Test;

/**
 * Whatever goes wrong, each message is in one object, and what is committed is stored.
 *
 * <p>Workers crash at any point and go on where they had committed, which may be long before what
 * they had stored; the store fails before or after it has put an object; groups end by count, by
 * time of messages and by the clock; flush sizes change; a worker that was given up goes on beside
 * its successor.
 */
class ExactlyOnceTest {
  private static final int LIVES = 6;

  private Random random;
  private MemoryStore store;
  private List<SinkRecord> log;
  private long committed;
  private boolean hasZombies;
  private PartitionWriter zombie;
  private long zombieAt;

  @Test
  void eachMessageIsInOneObject() {
    run(5_000, true);
  }

  /** A store that overwrites cannot tell of those who were given up and go on nevertheless. */
  @Test
  void alsoInAStoreThatKnowsNoConditions() {
    run(5_000, false);
  }

  private void run(int seeds, boolean knowsConditions) {
    for (int seed = 0; seed < seeds; seed++) {
      begin(seed, knowsConditions);
      try {
        for (int life = 1; life < LIVES; life++) {
          live(random.nextInt(2 * log.size()), false);
        }
        live(Long.MAX_VALUE, true);
        check();
      } catch (AssertionError | RuntimeException error) {
        throw new AssertionError("with the seed " + seed, error);
      }
    }
  }

  private void begin(int seed, boolean knowsConditions) {
    random = new Random(seed);
    hasZombies = knowsConditions;
    store = new MemoryStore(knowsConditions);
    log = log(1 + random.nextInt(60));
    committed = 0;
    zombie = null;
    zombieAt = 0;
  }

  /** A worker goes on where the last one has committed, and crashes behind an offset. */
  private void live(long stop, boolean isLast) {
    PartitionWriter writer = writer();
    long next = committed;
    for (SinkRecord message : log) {
      long offset = message.kafkaOffset();
      if (offset < committed || offset > stop) {
        continue;
      }
      if (!deliver(writer, message, isLast)) {
        break;
      }
      next = offset + 1;
      if (zombie != null && offset >= zombieAt && random.nextInt(3) > 0) {
        zombie = deliver(zombie, message, false) ? zombie : null;
        zombieAt = offset + 1;
      } else if (offset >= zombieAt) {
        zombie = null; // it has missed a message, as no consumer does
      }
      if (isLast || random.nextInt(4) == 0) {
        committed = Math.max(committed, writer.storedOffset().orElse(committed));
      }
    }
    if (isLast) {
      writer.rotate();
      committed = Math.max(committed, writer.storedOffset().orElse(committed));
    } else if (hasZombies && random.nextBoolean()) {
      zombie = writer;
      zombieAt = next;
    }
  }

  private PartitionWriter writer() {
    return new PartitionWriter(
        PARTITION,
        config(
            "flush.size",
            Integer.toString(1 + random.nextInt(6)),
            "rotate.interval.ms",
            random.nextInt(3) == 0 ? "40" : "-1"),
        store);
  }

  /** Messages with gaps between their offsets, not quite in order of time, around midnight. */
  private List<SinkRecord> log(int count) {
    List<SinkRecord> log = new ArrayList<>();
    long offset = 0;
    for (int i = 0; i < count; i++) {
      offset += random.nextInt(5) == 0 ? 1 + random.nextInt(3) : 1;
      log.add(message(offset, MIDNIGHT + 10L * (i - count / 2) + random.nextInt(50)));
    }
    return log;
  }

  /**
   * As a worker does: again, as long as the store asks for it; or it is given up, which is false.
   */
  private boolean deliver(PartitionWriter writer, SinkRecord message, boolean isLast) {
    for (int attempt = 0; attempt < (isLast ? 10 : 3); attempt++) {
      Fault[] faults = Fault.values();
      store.plan(attempt < 3 ? faults[random.nextInt(3)] : Fault.NONE);
      try {
        writer.take(message, attempt > 0 || writer == zombie); // which may have failed with it
        if (random.nextInt(8) == 0) {
          writer.rotate();
        }
        return true;
      } catch (RetriableException error) {
        // once more
      } finally {
        store.forget();
      }
    }
    assertFalse(isLast, "it never ends");
    return false;
  }

  private void check() {
    List<Long> expected = log.stream().map(SinkRecord::kafkaOffset).toList();
    List<Long> stored = new ArrayList<>();
    for (String name : store.names()) {
      List<Long> lines = store.lines(name).stream().map(Long::valueOf).toList();
      assertEquals(lines.stream().sorted().toList(), lines, name);
      stored.addAll(lines);
    }
    stored.sort(null);
    assertEquals(expected.subList(0, stored.size()), stored);
    assertEquals(stored.size(), expected.stream().filter(offset -> offset < committed).count());
  }
}
