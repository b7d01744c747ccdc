"""The one error of the sinks."""


class SinkFailure(Exception):  # noqa: N818 - the error that a user sees; "Error" stands before it
    """Kafka Connect or the store refuses for good; the message says what, and what to do."""
