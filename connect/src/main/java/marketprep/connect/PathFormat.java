package marketprep.connect;

import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.Locale;

/**
 * The folder of a time, such as {@code year=2026/month=11/day=24}.
 *
 * <p>Patterns are those of Joda-Time, as Confluent's partitioners take them: {@code YYYY} is the
 * year, where java.time would take it for that of the week and be wrong around New Year.
 */
final class PathFormat {
  /** Joda's letter at an index of the one is java.time's at the same index of the other. */
  private static final String JODA = "YyMDdaHhKkmsSE";

  private static final String JAVA = "yuMDdaHhKkmsSE";

  private final DateTimeFormatter formatter;
  private final ZoneId zone;
  private final long durationMs;

  /**
   * A format of times that are first truncated to whole durations of local time.
   *
   * @throws IllegalArgumentException if the pattern is none
   */
  PathFormat(String pattern, ZoneId zone, Locale locale, long durationMs) {
    this.formatter = DateTimeFormatter.ofPattern(toJava(pattern), locale).withZone(zone);
    this.zone = zone;
    this.durationMs = durationMs;
  }

  /** The folder of a time in milliseconds since 1970. */
  String of(long timestamp) {
    return formatter.format(Instant.ofEpochMilli(Zones.truncate(timestamp, durationMs, zone)));
  }

  /** The pattern of java.time that means what a pattern of Joda-Time does. */
  static String toJava(String pattern) {
    StringBuilder java = new StringBuilder();
    boolean isQuoted = false;
    for (char letter : stripSlashes(pattern).toCharArray()) {
      if (letter == '\'') {
        isQuoted = !isQuoted;
        java.append(letter);
      } else if (isQuoted || "/=-_.,: ".indexOf(letter) >= 0 || Character.isDigit(letter)) {
        java.append(letter);
      } else if (JODA.indexOf(letter) >= 0) {
        java.append(JAVA.charAt(JODA.indexOf(letter)));
      } else {
        throw new IllegalArgumentException(
            "'" + letter + "' is not supported: quote it if it is text");
      }
    }
    if (isQuoted) {
      throw new IllegalArgumentException("a quote is not closed");
    }
    return java.toString();
  }

  private static String stripSlashes(String pattern) {
    return pattern.replaceAll("^/+|/+$", "");
  }
}
