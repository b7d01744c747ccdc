"""A server that speaks S3: MinIO where there is one, else nanio."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import platformdirs

from marketprep.local.error import LocalError
from marketprep.local.jars import Say
from marketprep.local.server import LocalServer
from marketprep.settings.model import LocalStoreSettings

#: What the local store is opened with. It listens on this machine alone.
ACCESS_KEY_ID, SECRET_ACCESS_KEY = "marketprep", "marketprep-local"


def store_options(address: str) -> dict[str, str]:
    """The settings by which sinks find the local store at an address."""
    return {
        "sink.store.url": f"http://{address}",
        "sink.store.client_url": f"http://{address}",
        "sink.store.region": "us-east-1",
        "sink.store.access_key_id": ACCESS_KEY_ID,
        "sink.store.secret_access_key": SECRET_ACCESS_KEY,
    }


class LocalStore(LocalServer):
    """A real S3 store, for whoever has none."""

    name = "S3 store"
    section = "local_store"
    log_name = "store.log"

    def __init__(self, settings: LocalStoreSettings, say: Say) -> None:
        super().__init__(settings.data_folder, settings.port, say)
        self._settings = settings
        self._minio: str | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.address}"

    @property
    def program(self) -> str:
        """What it is."""
        return "MinIO" if self._minio else "nanio"

    def _find(self) -> None:
        wanted = self._settings.server
        self._minio = None if wanted == "nanio" else find_minio(self._settings.minio)
        if self._minio:
            return
        if wanted == "minio":
            raise LocalError(
                "There is no MinIO: `make minio` builds it, or name its program by "
                "local_store.minio, or set local_store.server to nanio."
            )
        if not importlib.util.find_spec("nanio"):
            raise LocalError(
                "There is neither MinIO nor nanio: pip install 'marketprep[local]' brings nanio, "
                "`make minio` builds MinIO, or name its program by local_store.minio."
            )

    def _command(self, port: int) -> list[str]:
        # a folder each, as they keep in different ways what is to be known of an object
        data = str(self.folder / ("minio" if self._minio else "nanio"))
        if self._minio:
            address = ["--address", f"127.0.0.1:{port}"]
            return [self._minio, "server", "--quiet", *address, data]
        serve = [sys.executable, "-m", "nanio", "serve", "--no-access-log"]
        return [*serve, "--host", "127.0.0.1", "--port", str(port), "--data-dir", data]

    def _environment(self) -> dict[str, str]:
        return {
            "MINIO_ROOT_USER": ACCESS_KEY_ID,
            "MINIO_ROOT_PASSWORD": SECRET_ACCESS_KEY,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "NANIO_ACCESS_KEY": ACCESS_KEY_ID,
            "NANIO_SECRET_KEY": SECRET_ACCESS_KEY,
        }


def find_minio(named: Path | None = None) -> str | None:
    """MinIO's program: as named, on the path, or as `make minio` has built it."""
    built = platformdirs.user_cache_path("marketprep") / "minio" / "minio"
    for program in (named and str(named), "minio", str(built)):
        if program and (found := shutil.which(program)):
            return os.path.abspath(found)  # noqa: PTH100 - Path.absolute would do the same
    return None
