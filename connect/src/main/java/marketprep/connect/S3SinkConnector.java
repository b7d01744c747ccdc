package marketprep.connect;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.Config;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigValue;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.sink.SinkConnector;

/** Stores the messages of topics as objects of {@code flush.size} messages in an S3 bucket. */
public final class S3SinkConnector extends SinkConnector {
  private Map<String, String> properties = Map.of();

  @Override
  public void start(Map<String, String> properties) {
    this.properties = properties;
  }

  @Override
  public void stop() {}

  @Override
  public Class<? extends Task> taskClass() {
    return S3SinkTask.class;
  }

  @Override
  public List<Map<String, String>> taskConfigs(int maxTasks) {
    return Collections.nCopies(maxTasks, properties);
  }

  @Override
  public ConfigDef config() {
    return S3SinkConfig.DEFINITION;
  }

  /** Checks each key, then how they fit together, and then asks the store for the bucket. */
  @Override
  public Config validate(Map<String, String> properties) {
    Config config = super.validate(properties);
    S3SinkConfig.refuseUnsupported(properties, config.configValues());
    if (isValid(config)) {
      S3SinkConfig parsed = new S3SinkConfig(properties);
      parsed.check(config.configValues());
      if (isValid(config)) {
        askStore(parsed, config.configValues());
      }
    }
    return config;
  }

  private static boolean isValid(Config config) {
    return config.configValues().stream().allMatch(value -> value.errorMessages().isEmpty());
  }

  private static void askStore(S3SinkConfig config, List<ConfigValue> values) {
    try (S3ObjectStore store = new S3ObjectStore(config)) {
      store.check();
    } catch (StoreException error) {
      S3SinkConfig.value(values, error.key()).addErrorMessage(error.getMessage());
    }
  }

  @Override
  public String version() {
    return Version.TEXT;
  }
}
