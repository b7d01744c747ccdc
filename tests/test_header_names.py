"""Tests of header names that are not UTF-8: they stop nothing, and stay as they are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import header_bytes
from cluster import Cluster, wait_until
from marketprep import header_names
from test_service import UPBIT, UPBIT_RECORDS, market

#: No UTF-8; half of a character; a surrogate that is encoded; a name that is UTF-8.
NAMES = [b"\xff\xfename", b"\xe2\x82", b"\xed\xb2\x80", "이름".encode()]
HEADERS = [(name, b"\x00%d" % number) for number, name in enumerate(NAMES)]


def are_whole(batches: list[bytes], count: int = 1) -> bool:
    """Returns whether all names are in some batches, with their lengths before them."""
    return all(
        sum(batch.count(bytes([2 * len(name)]) + name) for batch in batches) == count
        for name in NAMES
    )


@given(st.binary())
def test_a_name_comes_back(name: bytes) -> None:
    assert header_names.encode(header_names.decode(name)) == name


@pytest.mark.parametrize(
    ("is_direct", "codec", "output"),
    [
        (True, "none", "lz4"),
        (True, "zstd", "lz4"),
        (True, "gzip", "lz4"),
        (True, "snappy", "gzip"),
        (False, "none", "none"),
        (False, "gzip", "zstd"),
    ],
)
def test_dead_letters_have_the_names_of_their_input(
    cluster: Cluster,
    is_direct: bool,  # noqa: FBT001 - a parameter
    codec: str,
    output: str,
) -> None:
    cluster.configure(kafka={"direct": is_direct}, output={"compression": output})
    cluster.create_topics()
    topics, partition = cluster.of("upbit", "ticker")
    letters = f"{topics.input}-DLT"
    cluster.produce(topics.input, partition, UPBIT[:1], compression_type=codec)
    values = [UPBIT[0], b"{}", UPBIT[0]]
    header_bytes.produce(cluster, topics.input, partition, values, HEADERS, codec)
    cluster.run_until_end("--exchange", "upbit", "--kind", "ticker")
    assert cluster.records("upbit", "ticker") == UPBIT_RECORDS[:1] * 3
    assert are_whole(header_bytes.stored(cluster, letters, partition))

    listed = cluster.marketprep("deadletters", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    assert json.loads(listed.stdout)["count"] == 1
    shown = cluster.marketprep("deadletters", "show", f"{letters}:{partition}:0")
    assert shown.returncode == 0, shown.stderr
    assert "\nbase64 //5uYW1l: \\x000\n" in shown.stdout
    assert "\n이름: \\x003\n" in shown.stdout
    replayed = cluster.marketprep("deadletters", "replay")
    assert replayed.returncode == 0, replayed.stderr
    wait_until(
        lambda: cluster.end(topics.input, partition, "read_committed") > 4, "the replayed message"
    )
    assert are_whole(header_bytes.stored(cluster, topics.input, partition), len(values) + 1)


@pytest.mark.parametrize("codec", ["none", "gzip"])
def test_books_are_restored_from_messages_with_any_names(cluster: Cluster, codec: str) -> None:
    """After a kill the input is read again, from the mark that was set when books started cold."""
    cluster.configure(books={"checkpoint_every_s": 3600})
    cluster.create_topics()
    topics, partition = cluster.of("okx", "orderbook")
    envelopes, truth = market("okx", "orderbook", 300_000)
    half = len(envelopes) // 2
    header_bytes.produce(cluster, topics.input, partition, envelopes[:half], HEADERS, codec)
    lane = ("--exchange", "okx", "--kind", "orderbook")
    service = cluster.start("run", *lane)
    wait_until(lambda: cluster.committed("okx", "orderbook") == half, "the first half")
    service.kill()
    service.wait()
    header_bytes.produce(cluster, topics.input, partition, envelopes[half:], HEADERS, codec)
    done = cluster.marketprep("run", "--until-end", *lane)
    assert done.returncode == 0, done.stderr
    assert f'"replayed": {half}' in done.stderr
    assert cluster.records("okx", "orderbook") == truth
