"""A broker of Apache Kafka, in KRaft mode."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from marketprep.local.configuration import write_broker
from marketprep.local.error import LocalError
from marketprep.local.jars import KAFKA, Say, class_path
from marketprep.local.java import find_java, java_command
from marketprep.local.server import LocalServer
from marketprep.settings.model import LocalKafkaSettings

_CLUSTER_ID = "bWFya2V0cHJlcC1sb2NhbA"


class LocalKafka(LocalServer):
    """A real Kafka, for whoever has no cluster.

    `extra` properties of the broker win over the usual ones, and `format_arguments` are told to
    the tool that prepares its data folder.
    """

    name = "Kafka"
    section = "local_kafka"
    log_name = "broker.log"

    def __init__(
        self,
        settings: LocalKafkaSettings,
        say: Say,
        *,
        extra: Mapping[str, str] | None = None,
        format_arguments: Sequence[str] = (),
    ) -> None:
        super().__init__(settings.data_folder, settings.port, say)
        self._extra = extra
        self._format_arguments = format_arguments
        self._heap_mb = settings.heap_mb
        self._java = self._jars = ""

    def _find(self) -> None:
        self._java, self._jars = find_java(), class_path(KAFKA, self._say)

    def _command(self, port: int) -> list[str]:
        controller_port = port
        while controller_port == port:
            controller_port = self._find_port(0)
        properties = write_broker(self.folder, port, controller_port, self._extra)
        command = java_command(self._java, self._jars, self._heap_mb, self.folder)
        self._format(command, properties)
        return [*command, "kafka.Kafka", str(properties)]

    def _format(self, command: list[str], properties: Path) -> None:
        if (self.folder / "data" / "meta.properties").exists():
            return
        self._say("preparing Kafka's data folder")
        tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", _CLUSTER_ID, "-c"]
        with subprocess.Popen(  # noqa: S603 - the Java that was found
            [*command, *tool, str(properties), *self._format_arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as formatting:
            try:
                told, _ = formatting.communicate()
            finally:  # after a signal nothing else would wait until it has ended
                formatting.kill()
                formatting.wait()
        if formatting.returncode:
            (self.folder / self.log_name).write_text(told, encoding="utf-8")
            raise LocalError(self._why("could not prepare its data folder"))
