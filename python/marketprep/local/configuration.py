"""What Kafka and Kafka Connect are told: their ports, how they keep data, what they log."""

from collections.abc import Mapping
from pathlib import Path

_BROKER = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(18 << 20),
    "log.retention.bytes": str(128 << 20),
    "log.retention.hours": "24",
    "log.segment.bytes": str(32 << 20),
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}

_LOGGING = """\
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.name = console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c %m%n
"""


#: What workers of a group keep on Kafka, a topic each.
_WORKER_TOPICS = ("config", "offset", "status")

_WORKER = {
    "config.storage.replication.factor": "1",
    "offset.storage.replication.factor": "1",
    "status.storage.replication.factor": "1",
    "offset.storage.partitions": "1",
    "status.storage.partitions": "1",
    "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
    "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
    "offset.flush.interval.ms": "5000",
    "scheduled.rebalance.max.delay.ms": "0",
    "consumer.auto.offset.reset": "earliest",
    "plugin.discovery": "service_load",
}


def write_broker(
    folder: Path, port: int, controller_port: int, extra: Mapping[str, str] | None = None
) -> Path:
    """Writes a broker's files of configuration; that of its properties. `extra` ones win."""
    listeners = f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"
    properties = _BROKER | {
        "listeners": listeners,
        "advertised.listeners": listeners,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "log.dirs": str(folder / "data"),
        **(extra or {}),
    }
    return _write(folder, properties)


def write_worker(
    folder: Path, port: int, bootstrap_servers: str, group_id: str, plugins: Path
) -> Path:
    """Writes a worker's files of configuration; that of its properties."""
    topics = {f"{what}.storage.topic": f"{group_id}-{what}" for what in _WORKER_TOPICS}
    properties = _WORKER | {
        "group.id": group_id,
        **topics,
        "bootstrap.servers": bootstrap_servers,
        "listeners": f"http://127.0.0.1:{port}",
        "rest.advertised.host.name": "127.0.0.1",
        "plugin.path": str(plugins),
    }
    return _write(folder, properties)


def _write(folder: Path, properties: dict[str, str]) -> Path:
    file = folder / "server.properties"
    lines = "".join(f"{key}={value}\n" for key, value in properties.items())
    file.write_text(lines, encoding="utf-8")
    (folder / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")
    return file
