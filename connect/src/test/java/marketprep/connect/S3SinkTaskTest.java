package marketprep.connect;

import static marketprep.connect.Messages.MIDNIGHT;
import static marketprep.connect.Messages.PARTITION;
import static marketprep.connect.Messages.message;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.reflect.Proxy;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import marketprep.connect.MemoryStore.Fault;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.errors.RetriableException;
import org.apache.kafka.connect.sink.SinkTaskContext;
import org.junit.jupiter.api.Test;

class S3SinkTaskTest {
  private static final class MovedClock extends Clock {
    private long now = MIDNIGHT;

    @Override
    public ZoneId getZone() {
      return ZoneOffset.UTC;
    }

    @Override
    public Clock withZone(ZoneId zone) {
      return this;
    }

    @Override
    public Instant instant() {
      return Instant.ofEpochMilli(now);
    }
  }

  private final MovedClock clock = new MovedClock();
  private final MemoryStore store = new MemoryStore();
  private long timeout = -1;

  private S3SinkTask task(String... properties) {
    S3SinkTask task = new S3SinkTask(clock, store);
    task.initialize(
        (SinkTaskContext)
            Proxy.newProxyInstance(
                getClass().getClassLoader(),
                new Class<?>[] {SinkTaskContext.class},
                (proxy, method, arguments) -> {
                  timeout = (long) arguments[0]; // `timeout` is all that a task calls
                  return null;
                }));
    task.start(Messages.properties(properties));
    task.open(List.of(PARTITION));
    return task;
  }

  private static Map<TopicPartition, OffsetAndMetadata> committed(S3SinkTask task) {
    return task.preCommit(Map.of(PARTITION, new OffsetAndMetadata(999)));
  }

  @Test
  void onlyWhatIsStoredIsCommitted() {
    S3SinkTask task = task();
    task.put(List.of(message(0, MIDNIGHT), message(1, MIDNIGHT)));
    assertEquals(Map.of(), committed(task));
    task.put(List.of(message(2, MIDNIGHT), message(3, MIDNIGHT)));
    assertEquals(Map.of(PARTITION, new OffsetAndMetadata(3)), committed(task));
  }

  @Test
  void aStoreThatFailsIsTriedAgainLater() {
    store.plan(Fault.BEFORE);
    S3SinkTask task = task("flush.size", "1", "retry.backoff.ms", "1234");
    var messages = List.of(message(0, MIDNIGHT), message(1, MIDNIGHT));
    assertThrows(RetriableException.class, () -> task.put(messages));
    assertEquals(1234, timeout);
    assertEquals(Map.of(), committed(task));
    task.put(messages);
    assertEquals(2, store.names().size());
  }

  @Test
  void whatFailedIsPutThoughNothingFollows() {
    store.plan(Fault.BEFORE);
    S3SinkTask task = task("flush.size", "1");
    assertThrows(RetriableException.class, () -> task.put(List.of(message(0, MIDNIGHT))));
    task.put(List.of());
    assertEquals(1, store.names().size());
  }

  @Test
  void theClockEndsGroupsAtMultiplesOfTheIntervalFromMidnight() {
    clock.now = MIDNIGHT + 1_400_000;
    S3SinkTask task = task("rotate.schedule.interval.ms", "600000");
    task.put(List.of(message(0, MIDNIGHT)));
    assertEquals(400_000, timeout);
    clock.now = MIDNIGHT + 1_799_999;
    task.put(List.of(message(1, MIDNIGHT)));
    assertEquals(List.of(), store.names());
    clock.now = MIDNIGHT + 1_800_000;
    task.put(List.of(message(2, MIDNIGHT)));
    assertEquals(List.of("0", "1"), store.lines(store.names().get(0)));
    assertEquals(600_000, timeout);
    clock.now = MIDNIGHT + 2_400_000;
    task.put(List.of(message(3, MIDNIGHT)));
    assertEquals(Map.of(PARTITION, new OffsetAndMetadata(3)), committed(task));
  }

  @Test
  void theClockGoesOnInAnHourThatComesTwice() {
    clock.now = Instant.parse("2026-11-01T06:30:00Z").toEpochMilli();
    task("timezone", "America/New_York", "rotate.schedule.interval.ms", "900000").put(List.of());
    assertEquals(900_000, timeout);
  }

  @Test
  void whereNothingWaitsAllThatWasDeliveredIsCommitted() {
    S3SinkTask task = task();
    assertEquals(Map.of(PARTITION, new OffsetAndMetadata(999)), committed(task));
  }

  @Test
  void aSlowStoreDoesNotHoldUpTheConsumer() {
    S3SinkTask task = task("flush.size", "1");
    store.whenPut(() -> clock.now += 61_000);
    var messages = List.of(message(0, MIDNIGHT), message(1, MIDNIGHT), message(2, MIDNIGHT));
    assertThrows(RetriableException.class, () -> task.put(messages));
    assertEquals(1, timeout);
    assertThrows(RetriableException.class, () -> task.put(messages));
    task.put(messages);
    assertEquals(3, store.names().size());
  }

  @Test
  void messagesThatBeginAnewAreAnError() {
    S3SinkTask task = task();
    task.put(List.of(message(0, MIDNIGHT), message(1, MIDNIGHT)));
    assertThrows(StoreException.class, () -> task.put(List.of(message(0, MIDNIGHT))));
  }

  @Test
  void aPartitionThatIsTakenAwayIsForgotten() {
    S3SinkTask task = task();
    task.put(List.of(message(0, MIDNIGHT), message(1, MIDNIGHT)));
    task.close(List.of(PARTITION));
    assertEquals(Map.of(), committed(task));
    task.open(List.of(PARTITION));
    task.put(List.of(message(0, MIDNIGHT), message(1, MIDNIGHT), message(2, MIDNIGHT)));
    assertEquals(List.of("0", "1", "2"), store.lines(store.names().get(0)));
  }
}
