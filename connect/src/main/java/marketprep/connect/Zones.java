package marketprep.connect;

import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.ZoneOffset;

/** Local time in whole durations. */
final class Zones {
  private Zones() {}

  /** The begin of the duration, counted in local time since 1970, in which a time is. */
  static long truncate(long timestamp, long durationMs, ZoneId zone) {
    Instant instant = Instant.ofEpochMilli(timestamp);
    long local = timestamp + zone.getRules().getOffset(instant).getTotalSeconds() * 1000L;
    long begin = Math.floorDiv(local, durationMs) * durationMs;
    LocalDateTime wall = LocalDateTime.ofInstant(Instant.ofEpochMilli(begin), ZoneOffset.UTC);
    return wall.atZone(zone).toInstant().toEpochMilli();
  }
}
