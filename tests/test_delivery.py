"""Delivery on a real Kafka: what a transaction holds together, and who may still deliver."""

import asyncio
import time

import pytest
from aiokafka import TopicPartition, errors

from cluster import Cluster
from marketprep.assignment import Assignment, assignments
from marketprep.batch import Message
from marketprep.delivery import Delivery, ExactlyOnce, Fenced
from marketprep.outbox import DeliveryError, Outbox, close, new_producer


def of_okx(cluster: Cluster) -> Assignment:
    [assignment] = assignments(cluster.settings, exchanges=["okx"], kinds=["orderbook"])
    return assignment


def delivery(cluster: Cluster) -> Delivery:
    assignment = of_okx(cluster)
    return ExactlyOnce(cluster.settings, assignment, TopicPartition(assignment.topics.input, 0))


def message(topic: str, value: bytes, *, is_compressed: bool = False) -> Message:
    return Message(topic, 0, b"key", value, None, is_compressed=is_compressed)


def everything(cluster: Cluster) -> tuple[list[Message], Message]:
    """Of each sort a message: usual ones, compressed ones, and those that a batch cannot hold."""
    assignment = of_okx(cluster)
    sent = [
        message(assignment.topics.output, b"record"),
        message(assignment.dead_letters, b"x" * 2_000_000),
        message(assignment.dead_letters, b"letter"),
    ]
    return sent, message(assignment.checkpoints or "", b"book", is_compressed=True)


def there(cluster: Cluster) -> list[bytes]:
    topics = cluster.settings.topics.of("Asia").of("orderbook")
    places = (topics.output, f"{topics.input}-DLT", f"{topics.input}-Books")
    return [found.value() or b"" for topic in places for found in cluster.consume(topic, 0)]


def test_a_transaction_is_all_or_nothing(cluster: Cluster) -> None:
    cluster.create_topics()
    sent, checkpoint = everything(cluster)

    async def give_up() -> None:
        one = delivery(cluster)
        await one.start()
        await one.begin()
        await one.send([*sent, checkpoint])
        await one.settle()
        await one.close()

    async def go_through() -> None:
        one = delivery(cluster)
        await one.start()
        await one.begin()
        await one.send(sent)
        await one.commit(7, [checkpoint])
        await one.settle()
        await one.close()

    asyncio.run(give_up())
    topics = of_okx(cluster).topics
    assert cluster.end(topics.output, 0) == cluster.end(topics.output, 0, "read_committed") > 0
    assert there(cluster) == []
    assert cluster.committed("okx", "orderbook") < 0
    asyncio.run(go_through())
    assert there(cluster) == [one.value for one in (*sent, checkpoint)]
    assert cluster.committed("okx", "orderbook") == 7


def test_what_is_refused_is_noticed_with_the_next_that_is_sent(cluster: Cluster) -> None:
    """Not only when all of it is to be acknowledged, which may be a while later."""
    cluster.create_topics()
    topic = of_okx(cluster).topics.output
    cluster.set_limit(topic, 200)

    async def run() -> None:
        producer = new_producer(cluster.settings, "none")
        await producer.start()
        outbox = Outbox(producer)

        async def go_on() -> None:
            while True:  # as brokers need not know of the limit at once
                await outbox.send([message(topic, b"x" * 1000)])
                await asyncio.sleep(0.05)

        with pytest.raises(DeliveryError) as refused:
            await asyncio.wait_for(go_on(), 30)
        assert isinstance(refused.value.__cause__, errors.MessageSizeTooLargeError)
        await close(producer)

    asyncio.run(run())


@pytest.mark.parametrize("seconds", [0.0, 1.5])
def test_whoever_starts_later_fences_off_whoever_was_before(
    cluster: Cluster, seconds: float
) -> None:
    """If its transaction was late, time alone might have done it, and it says so."""
    cluster.configure(kafka={"transaction_timeout_ms": 1000})
    cluster.create_topics()
    sent, checkpoint = everything(cluster)

    async def both() -> bool:
        one, other = delivery(cluster), delivery(cluster)
        await one.start()
        await one.begin()
        await one.send(sent)
        await other.start()
        time.sleep(seconds)  # noqa: ASYNC251 - as if the process were stopped
        with pytest.raises(Fenced) as fenced:
            await one.commit(3, [checkpoint])
        with pytest.raises(Fenced):  # which it stays
            await one.begin()
        await one.close()
        await other.begin()
        await other.commit(5)
        await other.close()
        return fenced.value.is_late

    assert asyncio.run(both()) == (seconds > 1)
    assert there(cluster) == []
    assert cluster.committed("okx", "orderbook") == 5
