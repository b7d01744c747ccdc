"""Record sets: what is fetched is read as aiokafka reads it, and not copied where it is much."""

import io
from collections.abc import Iterator

import pytest
from aiokafka.protocol import fetch
from aiokafka.protocol.api import Response
from hypothesis import given
from hypothesis import strategies as st

from marketprep import record_sets
from marketprep.record_sets import RecordSet

#: The oldest that transactions can be fetched with, and the latest.
ANSWERS = (fetch.FetchResponse_v4, fetch.FetchResponse_v11)

partitions = st.lists(
    st.tuples(
        st.integers(0, 17),
        st.none() | st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=3),
        st.none() | st.integers(0, 200_000).map(lambda length: bytes(range(256)) * (length // 256)),
    ),
    max_size=3,
)


@pytest.fixture(autouse=True, scope="module")
def _installed() -> Iterator[None]:
    """As it is read by us, even if nobody has asked for it yet, and then as before."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in Response.__subclasses__():
            if kind.API_KEY == fetch.FetchRequest.API_KEY:
                patch.setattr(kind, "decode", kind.decode)
        record_sets.install()
        yield


def answer_of(kind: type[Response], found: list[tuple[object, object, object]]) -> bytes:
    """An answer that has so much of each partition: number, aborted transactions, records."""
    of_topic = []
    for number, aborted, records in found:
        behind = (-1, aborted) if kind is fetch.FetchResponse_v4 else (-1, 0, aborted, -1)
        of_topic.append((number, 0, 100, *behind, records))
    topics = [("tickers", of_topic)]
    fields = (0, topics) if kind is fetch.FetchResponse_v4 else (0, 0, 0, topics)
    answer: bytes = kind(*fields).encode()
    return answer


def plain(found: object) -> object:
    """The same with record sets as bytes."""
    if isinstance(found, dict):
        return {name: plain(of_one) for name, of_one in found.items()}
    if isinstance(found, list | tuple):
        return type(found)(map(plain, found))
    return bytes(found) if isinstance(found, RecordSet) else found


@given(st.sampled_from(ANSWERS), partitions)
def test_what_is_fetched_is_read_as_aiokafka_reads_it(
    kind: type[Response], found: list[tuple[object, object, object]]
) -> None:
    answer = answer_of(kind, found)
    ours, theirs = kind.decode(answer), kind(*kind.SCHEMA.decode(io.BytesIO(answer)))
    assert type(ours) is kind
    assert plain(vars(ours)) == vars(theirs)


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_is_most_of_an_answer_is_not_copied(kind: type[Response]) -> None:
    """What is not is, or it would keep all of the answer in memory."""
    little, much = b"l" * 100_000, b"m" * 1_000_000
    answer = answer_of(kind, [(0, None, little), (1, None, much)])
    [(_, [(*_, first), (*_, second)])] = kind.decode(answer).topics
    assert first == little
    assert isinstance(second, RecordSet)
    assert second.answer is answer
    assert (len(second), bytes(second)) == (len(much), much)
    [(_, [(*_, one), (*_, other)])] = kind.decode(
        answer_of(kind, [(0, None, much), (1, None, much)])
    ).topics
    assert one == other == much


def test_what_is_cut_off_is_an_error() -> None:
    answer = answer_of(fetch.FetchResponse_v4, [(0, None, b"x" * 1_000_000)])
    with pytest.raises(ValueError, match="underrun"):
        fetch.FetchResponse_v4.decode(answer[:-1])
