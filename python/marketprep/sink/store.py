"""The S3 store, as this machine sees it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from marketprep.settings import StoreSettings
from marketprep.sink.failure import SinkFailure

#: How many offsets before the last one an object is looked for: the objects begun there are listed
#: at once, up to a thousand.
_NEAR = 2000


@dataclass(frozen=True)
class StoredObject:
    """An object of a bucket."""

    name: str
    size: int
    modified: datetime


class Store:
    """A store that is asked for its buckets and objects.

    Raises SinkFailure if it cannot be used, or the package that does so is not here.
    """

    def __init__(self, settings: StoreSettings, timeout_seconds: float = 20) -> None:
        try:
            import boto3  # noqa: PLC0415 - an extra, and slow to load
            from botocore.config import Config  # noqa: PLC0415 - as above
        except ImportError:
            raise SinkFailure(
                "Stores are asked by the package boto3, which is not here: "
                "pip install 'marketprep[sink]'"
            ) from None
        address = settings.client_url or settings.url
        self.url = address or "AWS"
        secret = settings.secret_access_key
        is_local = address is not None and urlsplit(address).hostname in ("127.0.0.1", "localhost")
        with self._explained(""):
            self._client: Any = boto3.client(
                "s3",
                endpoint_url=address,
                region_name=settings.region,
                aws_access_key_id=settings.access_key_id,
                aws_secret_access_key=secret.get_secret_value() if secret else None,
                config=Config(
                    connect_timeout=5,
                    read_timeout=timeout_seconds,
                    retries={"total_max_attempts": 2},
                    proxies={} if is_local else None,
                ),
            )

    def create_bucket(self, bucket: str) -> bool:
        """Creates a bucket; whether it was not there yet. Raises SinkFailure if it cannot be."""
        with self._explained(bucket):
            there = {row["Name"] for row in self._client.list_buckets()["Buckets"]}
            if bucket not in there:
                self._client.create_bucket(Bucket=bucket)
            return bucket not in there

    def newest(self, bucket: str, folder: str, partition: int, below: int) -> StoredObject | None:
        """The last object of a topic's partition that begins near, and below, an offset.

        `folder` is the topic's. In it, folders are in order of time as long as their names are
        figures, from the year down. Raises SinkFailure if the bucket cannot be looked into.
        """
        with self._explained(bucket):
            prefix = f"{folder}/"
            while folders := self._folders(bucket, prefix):
                prefix = max(folders)
            name = f"{prefix}{folder.rpartition('/')[2]}+{partition}+"
            page = self._client.list_objects_v2(
                Bucket=bucket, Prefix=name, StartAfter=f"{name}{max(0, below - _NEAR):010d}"
            )
        found = [
            StoredObject(row["Key"], row["Size"], row["LastModified"])
            for row in page.get("Contents", ())
        ]
        return found[-1] if found else None

    def _folders(self, bucket: str, prefix: str) -> list[str]:
        page = self._client.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/")
        return [row["Prefix"] for row in page.get("CommonPrefixes", ())]

    @contextmanager
    def _explained(self, bucket: str) -> Iterator[None]:
        """Makes a sentence of what a store refuses."""
        from botocore import exceptions  # noqa: PLC0415 - an extra

        try:
            yield
        except exceptions.ClientError as error:
            code = str(error.response["Error"]["Code"])
            raise SinkFailure(self._refusal(bucket, code)) from None
        except (exceptions.NoCredentialsError, exceptions.ProfileNotFound) as error:
            raise SinkFailure(
                f"There is no access key for the store at {self.url} ({error}): set "
                "sink.store.access_key_id and secret_access_key, or what AWS's tools read"
            ) from None
        except (exceptions.BotoCoreError, ValueError) as error:
            raise SinkFailure(self._refusal(bucket, str(error))) from None

    def _refusal(self, bucket: str, said: str) -> str:
        if said == "NoSuchBucket":
            return f"There is no bucket {bucket} at {self.url}: create it"
        if said in ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403"):
            return (
                f"{self.url} refuses the access key for the bucket {bucket} ({said}): correct "
                "sink.store.access_key_id and secret_access_key, or what they allow"
            )
        return (
            f"The store at {self.url} cannot be asked ({said}): is it running, is sink.store.url "
            "right? (client_url, where this machine reaches it otherwise)"
        )
