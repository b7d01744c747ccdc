"""What the broker is told: its ports, how it keeps data, what it logs."""

import socket
from pathlib import Path

from marketprep.local_kafka.error import LocalKafkaError

_PROPERTIES = {
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


def write_configuration(folder: Path, port: int) -> Path:
    """Writes the broker's files of configuration; that of its properties."""
    controller_port = port
    while controller_port == port:
        controller_port = find_port(0)
    listeners = f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"
    properties = _PROPERTIES | {
        "listeners": listeners,
        "advertised.listeners": listeners,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "log.dirs": str(folder / "data"),
    }
    file = folder / "server.properties"
    lines = "".join(f"{key}={value}\n" for key, value in properties.items())
    file.write_text(lines, encoding="utf-8")
    (folder / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")
    return file


def find_port(wanted: int) -> int:
    """The wanted port, or a free one for 0. Raises LocalKafkaError if it cannot be had."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise LocalKafkaError(
                f"Port {wanted} cannot be had for the local Kafka ({error.strerror}): free it, or "
                "set local_kafka.port to another one, or to 0 for any that is free."
            ) from None
        port: int = probe.getsockname()[1]
        return port
