package marketprep.connect;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.time.Instant;
import java.time.ZoneId;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PathFormatTest {
  private static final ZoneId SEOUL = ZoneId.of("Asia/Seoul");
  private static final long DAY_MS = 86_400_000;
  private static final String DAYS = "'year'=YYYY/'month'=MM/'day'=dd";

  private static String path(String pattern, ZoneId zone, long durationMs, String time) {
    PathFormat format = new PathFormat(pattern, zone, Locale.ENGLISH, durationMs);
    return format.of(Instant.parse(time).toEpochMilli());
  }

  @ParameterizedTest
  @CsvSource({
    "2026-11-24T14:59:59.999Z, year=2026/month=11/day=24",
    "2026-11-24T15:00:00Z, year=2026/month=11/day=25",
    "1970-01-01T00:00:00Z, year=1970/month=01/day=01",
  })
  void daysBeginAtMidnightInSeoul(String time, String expected) {
    assertEquals(expected, path(DAYS, SEOUL, DAY_MS, time));
  }

  @ParameterizedTest
  @CsvSource({
    "2027-01-01T00:00:00Z, year=2027/month=01/day=01", // a Friday: its ISO week is one of 2026
    "2024-12-30T00:00:00Z, year=2024/month=12/day=30", // a Monday: its ISO week is one of 2025
  })
  void upperCaseYearIsNotThatOfTheWeek(String time, String expected) {
    assertEquals(expected, path(DAYS, ZoneId.of("UTC"), DAY_MS, time));
  }

  @Test
  void lowerCaseYearIsTheYearToo() {
    String lower = path("yyyy-MM-dd", SEOUL, DAY_MS, "2027-01-01T00:00:00Z");
    assertEquals("2027-01-01", lower);
  }

  @Test
  void timesAreTruncatedToLocalDurations() {
    String pattern = DAYS + "/'hour'=HH/'minute'=mm";
    String path = path(pattern, ZoneId.of("Asia/Kolkata"), DAY_MS / 24, "2026-11-24T00:59:00Z");
    assertEquals("year=2026/month=11/day=24/hour=06/minute=00", path);
  }

  @Test
  void outerSlashesAreLeftOut() {
    assertEquals("2026/11", path("/YYYY/MM/", SEOUL, DAY_MS, "2026-11-24T00:00:00Z"));
  }

  @Test
  void figuresAndMonthsInWords() {
    String path = path("'v'1/MMMM", SEOUL, DAY_MS, "2026-11-24T00:00:00Z");
    assertEquals("v1/November", path);
  }

  @ParameterizedTest
  @ValueSource(strings = {"year=YYYY", "xxxx/ww", "YYYY[MM]", "'year=YYYY", "{YYYY}"})
  void whatIsNoPatternIsRefused(String pattern) {
    assertThrows(
        IllegalArgumentException.class,
        () -> new PathFormat(pattern, SEOUL, Locale.ENGLISH, DAY_MS));
  }
}
