package marketprep.connect;

import org.apache.kafka.connect.errors.ConnectException;

/** The store refuses what is asked of it, and would again: a sentence, and the key to change. */
final class StoreException extends ConnectException {
  private static final long serialVersionUID = 1;

  private final String key;

  StoreException(String key, String message, Throwable cause) {
    super(message, cause);
    this.key = key;
  }

  String key() {
    return key;
  }
}
