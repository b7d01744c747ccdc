package marketprep.connect;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.sink.SinkRecord;

/** How a message becomes bytes of an object. */
sealed interface LineFormat {
  /** The value of a message as bytes, with what parts it from the next one. */
  byte[] line(SinkRecord message);

  /** The end of an object's name, before that of the compression. */
  String extension();

  private static byte[] joined(byte[] value, byte[] separator) {
    byte[] line = Arrays.copyOf(value, value.length + separator.length);
    System.arraycopy(separator, 0, line, value.length, separator.length);
    return line;
  }

  /** The bytes of a message as they are; exact, whatever they say. */
  record Bytes(String extension, byte[] separator) implements LineFormat {
    @Override
    public byte[] line(SinkRecord message) {
      return joined(bytes(message.value()), separator);
    }

    private static byte[] bytes(Object value) {
      if (value instanceof byte[] bytes) {
        return bytes;
      }
      if (value instanceof ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes;
      }
      throw new DataException(
          "ByteArrayFormat needs bytes, not "
              + value.getClass().getSimpleName()
              + ": set value.converter to org.apache.kafka.connect.converters.ByteArrayConverter");
    }
  }

  /** What the worker's converter made of a message, as a line of JSON. */
  final class Json implements LineFormat {
    private static final byte[] NEW_LINE = "\n".getBytes(StandardCharsets.UTF_8);

    private final JsonConverter converter = new JsonConverter();

    Json() {
      converter.configure(Map.of("schemas.enable", "false", "decimal.format", "NUMERIC"), false);
    }

    @Override
    public byte[] line(SinkRecord message) {
      return joined(
          converter.fromConnectData(message.topic(), message.valueSchema(), message.value()),
          NEW_LINE);
    }

    @Override
    public String extension() {
      return ".json";
    }
  }
}
