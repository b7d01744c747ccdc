package marketprep.connect;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import marketprep.connect.ObjectStore.Label;
import org.apache.kafka.connect.errors.RetriableException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What becomes of answers that real stores give too seldom for a test. */
class S3ObjectStoreTest {
  private static final Label LABEL = new Label(3, "digest");

  private HttpServer server;
  private S3ObjectStore store;
  private int status = 200;
  private String code = "";
  private String nextOffset;

  @BeforeEach
  void start() throws IOException {
    server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    server.createContext("/", this::answer);
    server.start();
    store =
        new S3ObjectStore(
            Messages.config(
                "store.url", "http://127.0.0.1:" + server.getAddress().getPort(),
                "aws.access.key.id", "key",
                "aws.secret.access.key", "secret",
                "s3.part.retries", "0"));
  }

  @AfterEach
  void stop() {
    store.close();
    server.stop(0);
  }

  private void answer(HttpExchange exchange) throws IOException {
    exchange.getRequestBody().readAllBytes();
    if (exchange.getRequestMethod().equals("HEAD")) {
      if (nextOffset != null) {
        exchange.getResponseHeaders().add("x-amz-meta-next-offset", nextOffset);
        exchange.getResponseHeaders().add("x-amz-meta-sha256", "other");
      }
      exchange.sendResponseHeaders(200, -1);
    } else {
      String text = "<Error><Code>%s</Code><Message>of the test</Message></Error>".formatted(code);
      byte[] body = text.getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(status, body.length);
      exchange.getResponseBody().write(body);
    }
    exchange.close();
  }

  private Optional<Label> put() {
    return store.putIfAbsent("name", new byte[1], LABEL);
  }

  @ParameterizedTest
  @CsvSource({
    "400, RequestTimeout",
    "400, ExpiredToken",
    "400, IncompleteBody",
    "403, RequestTimeTooSkewed",
    "409, ConditionalRequestConflict",
    "429, TooManyRequests",
    "500, InternalError",
    "503, SlowDown",
    "503, XMinioServerNotInitialized",
  })
  void whatMayPassIsTriedAgain(int status, String code) {
    this.status = status;
    this.code = code;
    assertThrows(RetriableException.class, this::put);
  }

  @ParameterizedTest
  @CsvSource({
    "400, AuthorizationHeaderMalformed, store.url",
    "403, AccessDenied, aws.access.key.id",
    "403, SignatureDoesNotMatch, aws.access.key.id",
    "404, NoSuchBucket, s3.bucket.name",
    "501, NotImplemented, store.url",
  })
  void whatDoesNotPassIsASentenceWithTheKeyToChange(int status, String code, String key) {
    this.status = status;
    this.code = code;
    StoreException error = assertThrows(StoreException.class, this::put);
    assertEquals(key, error.key());
    assertTrue(error.getMessage().contains("correct"), error.getMessage());
  }

  @Test
  void anObjectThatIsThereTellsItsLabel() {
    assertEquals(Optional.empty(), put());
    status = 412;
    nextOffset = "7";
    assertEquals(Optional.of(new Label(7, "other")), put());
  }

  @Test
  void anObjectOfOthersIsRefused() {
    status = 412;
    StoreException error = assertThrows(StoreException.class, this::put);
    assertTrue(error.getMessage().contains("this sink has not put it"), error.getMessage());
  }
}
