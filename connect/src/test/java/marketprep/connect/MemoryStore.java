package marketprep.connect;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.kafka.connect.errors.RetriableException;

/** A store that can fail before an object is put, or after, when its answer is lost. */
final class MemoryStore implements ObjectStore {
  enum Fault {
    NONE,
    BEFORE,
    AFTER
  }

  private record Stored(byte[] content, Label label) {}

  private final boolean knowsConditions;
  private final Map<String, Stored> objects = new TreeMap<>();
  private Runnable action = () -> {};
  private final Deque<Fault> faults = new ArrayDeque<>();

  MemoryStore() {
    this(true);
  }

  /** A store that may overwrite objects though it is told not to. */
  MemoryStore(boolean knowsConditions) {
    this.knowsConditions = knowsConditions;
  }

  /** What goes wrong at the next puts, one each. */
  void plan(Fault... faults) {
    this.faults.addAll(List.of(faults));
  }

  /** Does something whenever an object is put. */
  void whenPut(Runnable action) {
    this.action = action;
  }

  /** Lets nothing go wrong any more. */
  void forget() {
    faults.clear();
  }

  @Override
  public Optional<Label> find(String name) {
    return Optional.ofNullable(objects.get(name)).map(Stored::label);
  }

  @Override
  public Optional<Label> putIfAbsent(String name, byte[] content, Label label) {
    action.run();
    Fault fault = faults.isEmpty() ? Fault.NONE : faults.remove();
    if (fault == Fault.BEFORE) {
      throw new RetriableException("out of order");
    }
    Stored stored = new Stored(content, label);
    Stored there = knowsConditions ? objects.putIfAbsent(name, stored) : null;
    if (!knowsConditions) {
      objects.put(name, stored);
    }
    if (fault == Fault.AFTER) {
      throw new RetriableException("the answer is lost");
    }
    return Optional.ofNullable(there).map(Stored::label);
  }

  List<String> names() {
    return new ArrayList<>(objects.keySet());
  }

  byte[] content(String name) {
    return objects.get(name).content();
  }

  /** The lines of an object. */
  List<String> lines(String name) {
    return new String(content(name), StandardCharsets.UTF_8).lines().toList();
  }
}
