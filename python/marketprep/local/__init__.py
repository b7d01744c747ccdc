"""Real servers on this machine, for whoever has none: Kafka, Kafka Connect and an S3 store."""

from marketprep.local.connect import LocalConnect
from marketprep.local.error import LocalError
from marketprep.local.kafka import LocalKafka
from marketprep.local.server import LocalServer, running_address
from marketprep.local.store import LocalStore

__all__ = [
    "LocalConnect",
    "LocalError",
    "LocalKafka",
    "LocalServer",
    "LocalStore",
    "running_address",
]
