"""The one error of the local Kafka."""


class LocalKafkaError(Exception):
    """The local Kafka cannot be had; the message says why, and what to do."""
