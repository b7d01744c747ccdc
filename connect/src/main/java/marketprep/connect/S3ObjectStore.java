package marketprep.connect;

import java.net.URI;
import java.net.URISyntaxException;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.errors.RetriableException;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.retries.StandardRetryStrategy;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3ClientBuilder;
import software.amazon.awssdk.services.s3.model.S3Exception;

/** A bucket of an S3 store: of AWS, of MinIO, or of whatever speaks as they do. */
final class S3ObjectStore implements ObjectStore, AutoCloseable {
  private static final String NEXT_OFFSET = "next-offset";
  private static final String DIGEST = "sha256";

  private static final int LAST_PORT = 65_535;

  /** What may pass, though the store answers with a status of what does not. */
  private static final Set<String> PASSING =
      Set.of("RequestTimeout", "ExpiredToken", "IncompleteBody", "OperationAborted");

  private static final int TEMPORARY_REDIRECT = 307;
  private static final int FORBIDDEN = 403;
  private static final int NOT_FOUND = 404;
  private static final int REQUEST_TIMEOUT = 408;
  private static final int CONFLICT = 409;
  private static final int PRECONDITION_FAILED = 412;
  private static final int TOO_EARLY = 425;
  private static final int TOO_MANY_REQUESTS = 429;
  private static final int CLIENT_CLOSED_REQUEST = 499;
  private static final int SERVER_ERROR = 500;
  private static final int NOT_IMPLEMENTED = 501;

  private final S3Client client;
  private final String bucket;
  private final String where;

  S3ObjectStore(S3SinkConfig config) {
    bucket = config.getString(S3SinkConfig.BUCKET);
    Optional<URI> endpoint = endpoint(config);
    where = endpoint.map(URI::toString).orElse("AWS");
    S3ClientBuilder builder =
        S3Client.builder()
            .forcePathStyle(config.getBoolean(S3SinkConfig.PATH_STYLE))
            .region(Region.of(config.getString(S3SinkConfig.REGION)))
            .credentialsProvider(credentials(config))
            .requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED)
            .httpClient(
                UrlConnectionHttpClient.builder()
                    .connectionTimeout(Duration.ofSeconds(5))
                    .socketTimeout(Duration.ofSeconds(20))
                    .build())
            .overrideConfiguration(
                options ->
                    options
                        .apiCallTimeout(Duration.ofSeconds(60))
                        .retryStrategy(
                            StandardRetryStrategy.builder()
                                .maxAttempts(config.getInt(S3SinkConfig.RETRIES) + 1)
                                .build()));
    endpoint.ifPresent(builder::endpointOverride);
    client = builder.build();
  }

  /** The address of the store that is configured; empty for AWS. */
  static Optional<URI> endpoint(S3SinkConfig config) {
    String url = config.getString(S3SinkConfig.STORE_URL);
    if (url == null || url.isEmpty()) {
      return Optional.empty();
    }
    try {
      URI endpoint = new URI(url);
      boolean isHttp = "http".equals(endpoint.getScheme()) || "https".equals(endpoint.getScheme());
      if (isHttp && endpoint.getHost() != null && isPlain(endpoint)) {
        return Optional.of(endpoint);
      }
    } catch (URISyntaxException error) {
      // told below
    }
    throw new ConfigException(
        S3SinkConfig.STORE_URL
            + " is no address of a store: name one such as http://minio:9000, with a host of"
            + " letters, digits, hyphens and dots, and without a user");
  }

  private static boolean isPlain(URI endpoint) {
    return endpoint.getUserInfo() == null
        && endpoint.getPort() <= LAST_PORT
        && endpoint.getRawPath().matches("/?")
        && endpoint.getQuery() == null;
  }

  private static AwsCredentialsProvider credentials(S3SinkConfig config) {
    String key = config.getString(S3SinkConfig.ACCESS_KEY);
    if (key.isEmpty()) {
      return DefaultCredentialsProvider.builder().build();
    }
    String secret = config.getPassword(S3SinkConfig.SECRET_KEY).value();
    return StaticCredentialsProvider.create(AwsBasicCredentials.create(key, secret));
  }

  /** Asks for the bucket. Throws a StoreException if it cannot be used or the store be reached. */
  void check() {
    try {
      client.headBucket(request -> request.bucket(bucket));
    } catch (S3Exception error) {
      throw refusal(error);
    } catch (SdkException error) {
      throw new StoreException(S3SinkConfig.STORE_URL, unreachable(error), error);
    }
  }

  @Override
  public Optional<Label> putIfAbsent(String name, byte[] content, Label label) {
    try {
      client.putObject(
          request ->
              request
                  .bucket(bucket)
                  .key(name)
                  .ifNoneMatch("*")
                  .contentType(name.endsWith(".gz") ? "application/gzip" : "application/x-ndjson")
                  .metadata(
                      Map.of(
                          NEXT_OFFSET, Long.toString(label.nextOffset()), DIGEST, label.digest())),
          RequestBody.fromBytes(content));
      return Optional.empty();
    } catch (S3Exception error) {
      if (error.statusCode() == PRECONDITION_FAILED) {
        return Optional.of(label(name));
      }
      throw failure(error);
    } catch (SdkException error) {
      throw new RetriableException(unreachable(error), error);
    }
  }

  private Label label(String name) {
    return find(name)
        .orElseThrow(() -> new RetriableException("The object " + name + " has just gone"));
  }

  @Override
  public Optional<Label> find(String name) {
    Map<String, String> metadata;
    try {
      metadata = client.headObject(request -> request.bucket(bucket).key(name)).metadata();
    } catch (S3Exception error) {
      if (error.statusCode() == NOT_FOUND) {
        return Optional.empty(); // or there is no bucket, as putting will tell
      }
      throw failure(error);
    } catch (SdkException error) {
      throw new RetriableException(unreachable(error), error);
    }
    String nextOffset = metadata.getOrDefault(NEXT_OFFSET, "");
    if (!nextOffset.matches("[0-9]{1,18}") || !metadata.containsKey(DIGEST)) {
      throw new StoreException(
          S3SinkConfig.TOPICS_DIR,
          "The object "
              + name
              + " is there already, but this sink has not put it: remove it, or name another"
              + " topics.dir or bucket",
          null);
    }
    return Optional.of(new Label(Long.parseLong(nextOffset), metadata.get(DIGEST)));
  }

  private RuntimeException failure(S3Exception error) {
    return isFinal(error) ? refusal(error) : new RetriableException(unreachable(error), error);
  }

  /** Whether the same request would be refused again, as long as nobody changes anything. */
  private static boolean isFinal(S3Exception error) {
    if (PASSING.contains(code(error))
        || error.isClockSkewException()
        || error.isThrottlingException()) {
      return false;
    }
    return switch (error.statusCode()) {
      case TEMPORARY_REDIRECT,
          REQUEST_TIMEOUT,
          CONFLICT,
          TOO_EARLY,
          TOO_MANY_REQUESTS,
          CLIENT_CLOSED_REQUEST ->
          false;
      case NOT_IMPLEMENTED -> true;
      default -> error.statusCode() < SERVER_ERROR;
    };
  }

  private static String code(S3Exception error) {
    String code = error.awsErrorDetails() == null ? null : error.awsErrorDetails().errorCode();
    return code == null || code.isEmpty() ? "HTTP " + error.statusCode() : code;
  }

  private StoreException refusal(S3Exception error) {
    String said = code(error);
    if (error.statusCode() == NOT_FOUND) {
      String text = "There is no bucket " + bucket + " at " + where + ": create it, or correct ";
      return new StoreException(S3SinkConfig.BUCKET, text + S3SinkConfig.BUCKET, error);
    }
    if (error.statusCode() == FORBIDDEN) {
      String text =
          "%s refuses the access key for the bucket %s (%s): correct %s and %s, or what they allow";
      return new StoreException(
          S3SinkConfig.ACCESS_KEY,
          text.formatted(where, bucket, said, S3SinkConfig.ACCESS_KEY, S3SinkConfig.SECRET_KEY),
          error);
    }
    String text = "%s refuses requests for the bucket %s (%s): correct %s or %s";
    return new StoreException(
        S3SinkConfig.STORE_URL,
        text.formatted(where, bucket, said, S3SinkConfig.STORE_URL, S3SinkConfig.REGION),
        error);
  }

  private String unreachable(SdkException error) {
    return "The store at " + where + " cannot be used now (" + error.getMessage() + ")";
  }

  @Override
  public void close() {
    client.close();
  }
}
