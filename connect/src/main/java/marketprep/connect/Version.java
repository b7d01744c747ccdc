package marketprep.connect;

import java.util.Objects;

/** The version of the plugin, as its jar says it. */
final class Version {
  static final String TEXT =
      Objects.requireNonNullElse(Version.class.getPackage().getImplementationVersion(), "unknown");

  private Version() {}
}
