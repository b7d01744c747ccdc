"""A real Apache Kafka on this machine, for whoever has no cluster."""

from marketprep.local_kafka.broker import LocalKafka, running_address
from marketprep.local_kafka.error import LocalKafkaError

__all__ = ["LocalKafka", "LocalKafkaError", "running_address"]
