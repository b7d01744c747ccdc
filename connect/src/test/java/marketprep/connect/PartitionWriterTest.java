package marketprep.connect;

import static marketprep.connect.Messages.MIDNIGHT;
import static marketprep.connect.Messages.PARTITION;
import static marketprep.connect.Messages.config;
import static marketprep.connect.Messages.message;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.zip.GZIPInputStream;
import marketprep.connect.MemoryStore.Fault;
import marketprep.connect.ObjectStore.Label;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.errors.RetriableException;
import org.junit.jupiter.api.Test;

class PartitionWriterTest {
  private static final String DAY_23 = "topics/prices/year=2026/month=11/day=23/prices+3+";
  private static final String DAY_24 = "topics/prices/year=2026/month=11/day=24/prices+3+";

  private final MemoryStore store = new MemoryStore();

  private PartitionWriter writer(String... properties) {
    return new PartitionWriter(PARTITION, config(properties), store);
  }

  private static void take(PartitionWriter writer, long first, long last) {
    for (long offset = first; offset <= last; offset++) {
      writer.take(message(offset, MIDNIGHT + offset), true);
    }
  }

  @Test
  void objectsHaveFlushSizeMessages() {
    PartitionWriter writer = writer();
    take(writer, 40, 47);
    assertEquals(List.of(DAY_24 + "0000000040.json", DAY_24 + "0000000043.json"), store.names());
    assertEquals(List.of("43", "44", "45"), store.lines(DAY_24 + "0000000043.json"));
    assertEquals(OptionalLong.of(46), writer.storedOffset());
  }

  @Test
  void nothingIsStoredBeforeAnObjectIsFull() {
    PartitionWriter writer = writer();
    take(writer, 0, 1);
    assertEquals(List.of(), store.names());
    assertEquals(OptionalLong.empty(), writer.storedOffset());
  }

  @Test
  void aGroupOfTwoDaysIsTwoObjects() {
    PartitionWriter writer = writer();
    writer.take(message(0, MIDNIGHT - 1), true);
    writer.take(message(1, MIDNIGHT), true);
    writer.take(message(2, MIDNIGHT - 1), true);
    writer.take(message(3, MIDNIGHT), true);
    assertEquals(List.of(DAY_23 + "0000000000.json", DAY_24 + "0000000001.json"), store.names());
    assertEquals(List.of("0", "2"), store.lines(DAY_23 + "0000000000.json"));
    assertEquals(List.of("1"), store.lines(DAY_24 + "0000000001.json"));
    assertEquals(OptionalLong.of(3), writer.storedOffset());
  }

  @Test
  void timeOfMessagesEndsAGroup() {
    PartitionWriter writer = writer("rotate.interval.ms", "1000");
    writer.take(message(0, MIDNIGHT + 5), true);
    writer.take(message(1, MIDNIGHT + 1004), true);
    assertEquals(List.of(), store.names());
    writer.take(message(2, MIDNIGHT + 1005), true);
    assertEquals(List.of("0", "1"), store.lines(DAY_24 + "0000000000.json"));
    writer.take(message(3, MIDNIGHT - 1), true);
    assertEquals(List.of("2"), store.lines(DAY_24 + "0000000002.json"));
    assertEquals(OptionalLong.of(3), writer.storedOffset());
  }

  @Test
  void whatFailsIsPutAgain() {
    store.plan(Fault.BEFORE, Fault.AFTER, Fault.NONE);
    PartitionWriter writer = writer();
    take(writer, 0, 1);
    assertThrows(RetriableException.class, () -> take(writer, 2, 2));
    assertEquals(OptionalLong.empty(), writer.storedOffset());
    assertThrows(RetriableException.class, () -> take(writer, 2, 2));
    take(writer, 2, 5);
    assertEquals(List.of(DAY_24 + "0000000000.json", DAY_24 + "0000000003.json"), store.names());
    assertEquals(List.of("0", "1", "2"), store.lines(DAY_24 + "0000000000.json"));
  }

  @Test
  void theEndOfAnObjectThatIsThereIsThatOfItsGroup() {
    PartitionWriter first = writer();
    take(first, 0, 1);
    first.rotate();
    PartitionWriter second = writer();
    take(second, 0, 4);
    assertEquals(List.of("0", "1"), store.lines(DAY_24 + "0000000000.json"));
    assertEquals(List.of("2", "3", "4"), store.lines(DAY_24 + "0000000002.json"));
    assertEquals(OptionalLong.of(5), second.storedOffset());
  }

  @Test
  void anObjectThatIsThereMayBeLarger() {
    take(writer("flush.size", "5"), 0, 4);
    PartitionWriter writer = writer("flush.size", "2");
    take(writer, 0, 3);
    writer.rotate();
    assertEquals(OptionalLong.empty(), writer.storedOffset());
    take(writer, 4, 6);
    assertEquals(List.of(DAY_24 + "0000000000.json", DAY_24 + "0000000005.json"), store.names());
    assertEquals(OptionalLong.of(7), writer.storedOffset());
  }

  @Test
  void aTopicThatWasMadeAnewOverwritesNothing() {
    take(writer(), 0, 2);
    PartitionWriter writer = writer();
    writer.take(message(0, MIDNIGHT, "other".getBytes(StandardCharsets.UTF_8)), true);
    writer.take(message(1, MIDNIGHT), true);
    StoreException error =
        assertThrows(StoreException.class, () -> writer.take(message(2, MIDNIGHT), true));
    assertTrue(error.getMessage().contains("made anew"), error.getMessage());
    assertEquals(List.of("0", "1", "2"), store.lines(DAY_24 + "0000000000.json"));
  }

  @Test
  void messagesThatBeginAnewAreNotPassedOver() {
    PartitionWriter writer = writer();
    take(writer, 0, 4);
    StoreException error =
        assertThrows(StoreException.class, () -> writer.take(message(0, MIDNIGHT), false));
    assertTrue(error.getMessage().startsWith("prices-3 begins anew at offset 0"));
  }

  @Test
  void aGroupThatIsSplitEndsByTimeToo() {
    PartitionWriter first = writer("rotate.interval.ms", "1000");
    take(first, 0, 1);
    first.rotate();
    PartitionWriter second = writer("flush.size", "9", "rotate.interval.ms", "1000");
    take(second, 0, 3);
    second.take(message(4, MIDNIGHT + 86_400_000), true);
    assertEquals(List.of("2", "3"), store.lines(DAY_24 + "0000000002.json"));
    assertEquals(OptionalLong.of(4), second.storedOffset());
  }

  @Test
  void anObjectThatEndsBeforeItBeginsIsRefused() {
    store.putIfAbsent(DAY_24 + "0000000007.json", new byte[0], new Label(7, ""));
    PartitionWriter writer = writer();
    assertThrows(StoreException.class, () -> take(writer, 7, 9));
  }

  @Test
  void messagesWithoutValueAreRefusedOrPassedOver() {
    assertThrows(DataException.class, () -> writer().take(message(0, MIDNIGHT, null), true));
    PartitionWriter writer = writer("behavior.on.null.values", "ignore");
    writer.take(message(0, MIDNIGHT, null), true);
    assertEquals(OptionalLong.of(1), writer.storedOffset());
    take(writer, 1, 2);
    writer.take(message(3, MIDNIGHT, null), true);
    assertEquals(OptionalLong.of(1), writer.storedOffset());
    take(writer, 4, 4);
    assertEquals(List.of("1", "2", "4"), store.lines(DAY_24 + "0000000001.json"));
    assertEquals(OptionalLong.of(5), writer.storedOffset());
  }

  @Test
  void messagesWithoutTimeAreRefused() {
    assertThrows(DataException.class, () -> writer().take(message(0, -1), true));
  }

  @Test
  void valuesThatAreNotBytesAreRefused() {
    DataException error =
        assertThrows(DataException.class, () -> writer().take(message(0, MIDNIGHT, "text"), true));
    assertTrue(error.getMessage().contains("value.converter"), error.getMessage());
  }

  @Test
  void gzipAndOtherNames() throws Exception {
    PartitionWriter writer =
        writer(
            "s3.compression.type", "gzip",
            "topics.dir", "raw",
            "file.delim", "_",
            "filename.offset.zero.pad.width", "2",
            "path.format", "'d'=dd");
    take(writer, 7, 9);
    assertEquals(List.of("raw/prices/d=24/prices_3_07.json.gz"), store.names());
    byte[] content = store.content(store.names().get(0));
    try (GZIPInputStream gzip = new GZIPInputStream(new ByteArrayInputStream(content))) {
      assertEquals("7\n8\n9\n", new String(gzip.readAllBytes(), StandardCharsets.UTF_8));
    }
  }

  @Test
  void jsonFormatWritesWhatTheConverterMade() {
    PartitionWriter writer =
        writer("format.class", "io.confluent.connect.s3.format.json.JsonFormat");
    writer.take(message(0, MIDNIGHT, Map.of("price", 1L)), true);
    writer.take(message(1, MIDNIGHT, List.of("a", true)), true);
    writer.take(message(2, MIDNIGHT, "a \"text\""), true);
    assertEquals(
        List.of("{\"price\":1}", "[\"a\",true]", "\"a \\\"text\\\"\""),
        store.lines(DAY_24 + "0000000000.json"));
  }

  @Test
  void buffersAreBytesToo() {
    PartitionWriter writer = writer("flush.size", "1", "format.bytearray.separator", ";");
    writer.take(message(0, MIDNIGHT, ByteBuffer.wrap("x".getBytes(StandardCharsets.UTF_8))), true);
    assertEquals(List.of("x;"), store.lines(DAY_24 + "0000000000.json"));
  }
}
