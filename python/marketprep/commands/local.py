"""`marketprep local`: the whole way on this machine, from a made-up market to objects in S3."""

import asyncio
import signal
from contextlib import ExitStack
from pathlib import Path

import click

from marketprep.assignment import assignments
from marketprep.commands import local_options, setting_option
from marketprep.foreground import Surroundings, prepare_local, serve
from marketprep.local import LocalConnect, LocalKafka, LocalStore
from marketprep.progress import Steps
from marketprep.settings import Settings, load_settings
from marketprep.sink.apply import apply
from marketprep.sink.connectors import connectors
from marketprep.sink.store import Store
from marketprep.sink.watch import ObjectWatch
from marketprep.sink.worker import Worker

#: Envelopes a second of each exchange and kind: enough for an object every few seconds.
_SIMULATED_RATE = 4.0


@click.command()
@setting_option
def local(setting_folder: Path | None) -> None:
    """Run everything on this machine: Kafka, Kafka Connect and an S3 store.

    A made-up market goes through the service to the output topics, and from there Kafka Connect
    stores it in the buckets of the settings, until Ctrl-C: then all of it stops. What it has
    stored stays. The store is MinIO where there is one, else nanio.
    """
    settings = load_settings(setting_folder)
    if settings.kafka.bootstrap_servers:
        raise click.UsageError(
            "kafka.bootstrap_servers names a cluster, and this starts one of its own: unset it, or "
            "use `marketprep run` and `marketprep sink apply`."
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the event loop has its own
    try:
        with ExitStack() as stack:
            with Steps() as steps:
                kafka = stack.enter_context(LocalKafka(settings.local_kafka, steps.say))
                s3 = stack.enter_context(LocalStore(settings.local_store, steps.say))
                connect = LocalConnect(settings.local_connect, kafka.address, steps.say)
                stack.enter_context(connect)
                options = local_options(kafka.address, connect.address, s3.address)
                settings = load_settings(setting_folder, options)
                steps.say("creating topics")
                asyncio.run(prepare_local(settings))
                wanted = connectors(settings)
                store = Store(settings.sink.store, timeout_seconds=3)
                for connector in wanted:
                    store.create_bucket(connector.bucket)
                worker = Worker(f"http://{connect.address}")
                apply(worker, settings.sink, wanted, steps.say)
            click.echo(_places(settings, kafka, s3, connect), err=True)
            watch = ObjectWatch(settings, store, wanted)
            servers = (kafka, s3, connect)
            around = Surroundings(
                servers, rate=_SIMULATED_RATE, beside=(watch.run,), caption=watch.lines
            )
            serve(settings, assignments(settings), around)
    except KeyboardInterrupt:
        click.echo("stopped before there was anything to drain", err=True)


def _places(settings: Settings, kafka: LocalKafka, store: LocalStore, connect: LocalConnect) -> str:
    secret = settings.sink.store.secret_access_key
    return (
        f"Kafka is at {kafka.address}; its data stays in {kafka.folder}\n"
        f"Kafka Connect is at http://{connect.address}\n"
        f"{store.program} is at {store.url} (access key {settings.sink.store.access_key_id}, "
        f"secret {secret.get_secret_value() if secret else ''}); its data stays in {store.folder}"
    )
