"""A worker of Kafka Connect, with the S3 sink."""

import shutil
import zlib
from http import HTTPStatus
from pathlib import Path
from tempfile import mkdtemp

import platformdirs
import urllib3

from marketprep.local.configuration import write_worker
from marketprep.local.error import LocalError
from marketprep.local.jars import CONNECT, SINK, Say, class_path, jars
from marketprep.local.java import find_java, java_command
from marketprep.local.server import LocalServer
from marketprep.settings.model import LocalConnectSettings

#: The sink's own jar, as `make connect-plugin` puts it here.
_SINK_JAR = Path(__file__).with_name("marketprep-s3-sink.jar")


class LocalConnect(LocalServer):
    """A real worker. What it knows is kept on Kafka, so its folder has no more than a log."""

    name = "Kafka Connect"
    section = "local_connect"
    log_name = "worker.log"
    remedy = "`marketprep local` starts another one"

    def __init__(
        self,
        settings: LocalConnectSettings,
        bootstrap_servers: str,
        say: Say,
        group_id: str = "marketprep-connect",
    ) -> None:
        super().__init__(settings.data_folder, settings.port, say)
        self._settings = settings
        self._group_id = group_id
        self._bootstrap_servers = bootstrap_servers
        self._java = self._jars = ""
        self._plugins = Path()

    def _find(self) -> None:
        self._java, self._jars = find_java(), class_path(CONNECT, self._say)
        self._plugins = self._settings.plugin_folder or sink_plugin(self._say)

    def _command(self, port: int) -> list[str]:
        servers, group_id = self._bootstrap_servers, self._group_id
        properties = write_worker(self.folder, port, servers, group_id, self._plugins)
        command = java_command(self._java, self._jars, self._settings.heap_mb, self.folder)
        quick = "-XX:TieredStopAtLevel=1"  # it starts in half the time, and S3 is what it waits for
        main = "org.apache.kafka.connect.cli.ConnectDistributed"
        return [command[0], quick, *command[1:], main, str(properties)]

    def _environment(self) -> dict[str, str]:
        # the sink would look for the local store by way of a proxy
        return dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1")

    def _answers(self, port: int) -> bool:
        url = f"http://127.0.0.1:{port}/connectors"
        try:
            answer = urllib3.request("GET", url, timeout=5, retries=False)
        except urllib3.exceptions.HTTPError:
            return False
        return answer.status == HTTPStatus.OK


def sink_plugin(say: Say) -> Path:
    """A folder for `plugin.path` that has the sink, whole: its own jar and what it needs."""
    try:
        content = _SINK_JAR.read_bytes()
    except OSError:
        raise LocalError(
            "The S3 sink is not in this installation: `make connect-plugin` builds it, or name a "
            "folder that has it by local_connect.plugin_folder."
        ) from None
    needed = jars(SINK, say)
    folder = platformdirs.user_cache_path("marketprep") / f"s3-sink-{zlib.crc32(content):08x}"
    if not folder.exists():
        for older in folder.parent.glob("s3-sink-*"):
            shutil.rmtree(older, ignore_errors=True)
        part = Path(mkdtemp(prefix=f"{folder.name}-part-", dir=folder.parent))
        plugin = part / "marketprep-s3-sink"
        plugin.mkdir()
        shutil.copy(_SINK_JAR, plugin)
        for jar in needed:
            shutil.copy(jar, plugin)
        try:
            part.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(part)
    return folder
