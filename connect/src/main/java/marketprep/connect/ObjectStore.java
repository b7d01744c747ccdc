package marketprep.connect;

import java.util.Optional;

/** Where objects are put. */
interface ObjectStore {
  /**
   * What an object says of the group of messages that it begins or belongs to.
   *
   * @param nextOffset the offset behind the last message of the group
   * @param digest SHA-256 of the object's lines before compression, in hexadecimal
   */
  record Label(long nextOffset, String digest) {}

  /**
   * The label of an object; empty if there is none of this name.
   *
   * @throws org.apache.kafka.connect.errors.RetriableException if the store cannot be reached
   * @throws StoreException if the store refuses, or the object has no label
   */
  Optional<Label> find(String name);

  /**
   * Puts an object, if there is none of this name. A store that does not know of such a condition
   * overwrites it.
   *
   * @return the label of the object that was there already; empty if this one was put
   * @throws org.apache.kafka.connect.errors.RetriableException if the store cannot be reached
   * @throws StoreException if the store refuses
   */
  Optional<Label> putIfAbsent(String name, byte[] content, Label label);
}
