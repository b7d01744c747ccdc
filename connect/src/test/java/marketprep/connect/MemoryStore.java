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

  private final Map<String, Stored> objects = new TreeMap<>();
  private final Deque<Fault> faults = new ArrayDeque<>();

  /** What goes wrong at the next puts, one each. */
  void plan(Fault... faults) {
    this.faults.addAll(List.of(faults));
  }

  /** Lets nothing go wrong any more. */
  void forget() {
    faults.clear();
  }

  @Override
  public Optional<Label> putIfAbsent(String name, byte[] content, Label label) {
    Fault fault = faults.isEmpty() ? Fault.NONE : faults.remove();
    if (fault == Fault.BEFORE) {
      throw new RetriableException("out of order");
    }
    Stored there = objects.putIfAbsent(name, new Stored(content, label));
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
