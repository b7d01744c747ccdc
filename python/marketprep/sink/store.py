"""The S3 store, as this machine sees it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marketprep.settings import StoreSettings
from marketprep.sink.failure import SinkFailure


@dataclass(frozen=True)
class StoredObject:
    """An object of a bucket."""

    name: str
    size: int
    modified: datetime


class Store:
    """A store that is asked for its buckets and objects.

    Raises SinkFailure if the package that does so is not here.
    """

    def __init__(self, settings: StoreSettings) -> None:
        try:
            import boto3  # noqa: PLC0415 - an extra, and slow to load
            from botocore.config import Config  # noqa: PLC0415 - as above
        except ImportError:
            raise SinkFailure(
                "Stores are asked by the package boto3, which is not here: "
                "pip install 'marketprep[sink]'"
            ) from None
        self.url = settings.client_url or settings.url or "AWS"
        secret = settings.secret_access_key
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=settings.client_url or settings.url,
            region_name=settings.region,
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            config=Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2}),
        )

    def create_bucket(self, bucket: str) -> bool:
        """Creates a bucket; whether it was not there yet. Raises SinkFailure if it cannot be."""
        with self._explained(bucket):
            there = {row["Name"] for row in self._client.list_buckets()["Buckets"]}
            if bucket not in there:
                self._client.create_bucket(Bucket=bucket)
            return bucket not in there

    def newest(self, bucket: str, folder: str) -> StoredObject | None:
        """The newest object in the last folder below a folder; None if there is none.

        Folders are in order of time as long as their names are figures, from the year down.
        Raises SinkFailure if the bucket cannot be looked into.
        """
        with self._explained(bucket):
            prefix = folder.rstrip("/") + "/"
            while folders := self._folders(bucket, prefix):
                prefix = max(folders)
            found = list(self._objects(bucket, prefix))
        return max(found, key=lambda one: one.modified) if found else None

    def _folders(self, bucket: str, prefix: str) -> list[str]:
        pages = self._pages(bucket, Prefix=prefix, Delimiter="/")
        return [row["Prefix"] for page in pages for row in page.get("CommonPrefixes", ())]

    def _objects(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        for page in self._pages(bucket, Prefix=prefix):
            for row in page.get("Contents", ()):
                yield StoredObject(row["Key"], row["Size"], row["LastModified"])

    def _pages(self, bucket: str, **arguments: str) -> Iterator[dict[str, Any]]:
        paginator = self._client.get_paginator("list_objects_v2")
        yield from paginator.paginate(Bucket=bucket, **arguments)

    @contextmanager
    def _explained(self, bucket: str) -> Iterator[None]:
        """Makes a sentence of what a store refuses."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - an extra

        try:
            yield
        except ClientError as error:
            code = str(error.response["Error"]["Code"])
            raise SinkFailure(self._refusal(bucket, code)) from None
        except BotoCoreError as error:
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
