"""Items that hold several messages: each message counts for itself as far as it is independent."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import EXCHANGES, FIXTURES, KINDS, lines_of
from marketprep import Decoder, Kind, Totals, parse

TIME = 1_793_577_600_000

#: What neither exchange nor collector sends.
_BROKEN: tuple[Any, ...] = (1, "x", {}, {"unknown": 1}, None, [[]])


def envelope(exchange: str, *items: Any) -> bytes:  # noqa: ANN401 - any JSON
    whole = {"region": "asia", "market": exchange, "symbol": "BTC", "data": items}
    return json.dumps(whole).encode()


def messages_of(exchange: str, kind: str) -> list[Any]:
    """The messages of the fixtures, taken out of strings and arrays."""
    found: list[Any] = []
    for value in lines_of(FIXTURES / exchange / f"{kind}.jsonl"):
        for item in json.loads(value)["data"]:
            try:
                message = json.loads(item) if isinstance(item, str) else item
            except json.JSONDecodeError:  # OKX sends a bare `pong`
                continue
            found += message if isinstance(message, list) else [message]
    return found


MESSAGES = {
    (exchange, kind): messages_of(exchange, kind)
    for exchange in EXCHANGES
    for kind in (*KINDS, "control")
}


def is_independent(exchange: str, kind: Kind, message: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether a message leaves a record and no maintained book."""
    decoder = Decoder(kind)
    batch = decoder.decode([envelope(exchange, message)], [TIME])
    return bool(batch.records) and not decoder.books() and b"lastUpdateId" not in batch.records


INDEPENDENT = {
    (exchange, kind): [
        message
        for message in MESSAGES[exchange, kind]
        if is_independent(exchange, kind, message) and "lastUpdateId" not in json.dumps(message)
    ]
    for exchange in EXCHANGES
    for kind in KINDS
}


def test_the_sources_are_many() -> None:
    assert all(MESSAGES.values())
    assert sum(map(bool, INDEPENDENT.values())) >= 2 * len(EXCHANGES) - 4


@given(data=st.data())
def test_an_array_is_as_good_as_its_messages(data: st.DataObject) -> None:
    """Data, control messages and what is neither in one item give what they give one by one."""
    exchange, kind = data.draw(
        st.sampled_from([key for key, messages in INDEPENDENT.items() if messages])
    )
    message = st.one_of(
        st.sampled_from(INDEPENDENT[exchange, kind]),
        st.sampled_from(MESSAGES[exchange, "control"]),
        st.sampled_from(_BROKEN),
    )
    messages = data.draw(st.lists(message, min_size=1, max_size=6))
    as_string = data.draw(st.booleans())
    array = json.dumps(messages) if as_string else messages
    together = Decoder(kind).decode([envelope(exchange, array)], [TIME])
    totals, one_by_one = Totals(), Totals()
    totals.add(together)
    single = Decoder(kind)
    batches = [
        single.decode([envelope(exchange, json.dumps([one]) if as_string else [one])], [TIME])
        for one in messages
    ]
    for batch in batches:
        one_by_one.add(batch)
    if one_by_one.records or one_by_one.control:
        assert together.records == b"".join(batch.records for batch in batches)
        assert totals.control == one_by_one.control
        assert totals.rejected == one_by_one.rejected
    else:
        assert [reject.item for reject in together.rejects] == [0]
    kept = totals.decoded + totals.control.total() + totals.held_back.total()
    assert kept + totals.rejected.total() == totals.items
    # each dead letter fails again for the same reason, and leads to nothing else
    for reject in together.rejects:
        again = Decoder(kind).decode([reject.value], [TIME])
        assert [other.reason for other in again.rejects] == [reject.reason]
        assert not again.records


#: Where the messages of an exchange have payloads side by side, and what one looks like.
PAYLOADS: dict[tuple[str, Kind], tuple[dict[str, Any], Any]] = {
    ("okx", "ticker"): (
        {"arg": {"channel": "tickers", "instId": "A"}},
        {"last": "5", "ts": str(TIME)},
    ),
    ("kraken", "ticker"): ({"channel": "ticker"}, {"symbol": "A", "last": 5}),
    ("okx", "orderbook"): (
        {"arg": {"channel": "books5", "instId": "A"}},
        {"asks": [["2", "1"]], "bids": [["1", "1"]], "ts": str(TIME)},
    ),
}


@pytest.mark.parametrize("as_string", [False, True])
@pytest.mark.parametrize(("exchange", "kind"), PAYLOADS)
@given(broken=st.lists(st.booleans(), min_size=1, max_size=8))
def test_a_payload_that_cannot_be_read_costs_itself(
    exchange: str,
    kind: Kind,
    as_string: bool,  # noqa: FBT001 - it is a case
    broken: list[bool],
) -> None:
    head, payload = PAYLOADS[exchange, kind]
    payloads = [{"x": number} if bad else payload for number, bad in enumerate(broken)]
    message = {**head, "data": payloads}
    item = json.dumps(message) if as_string else message
    batch = Decoder(kind).decode([envelope(exchange, item)], [TIME])
    bad = [payload for payload, is_bad in zip(payloads, broken, strict=True) if is_bad]
    assert batch.records.count(b"\n") == len(payloads) - len(bad)
    if len(bad) == len(payloads):  # then the item is rejected as it came
        assert len(batch.rejects) == 1
        return
    letters = [json.loads(reject.value)["data"] for reject in batch.rejects]
    items = [json.loads(letter[0]) if as_string else letter[0] for letter in letters]
    assert items == [{**head, "data": [payload]} for payload in bad]


def test_a_change_beside_control_messages() -> None:
    decoder = Decoder("orderbook")

    def message(kind: str, number: int) -> dict[str, object]:
        book = {"s": "A", "b": [["1", str(number)]], "a": [["2", "1"]], "u": number}
        return {"topic": "orderbook.50.A", "type": kind, "ts": TIME + number, "data": book}

    values = [
        envelope("BYBIT", [message("snapshot", 1), {"op": "pong", "args": ["1"]}]),
        envelope("BYBIT", [{"op": "pong"}, message("delta", 2), {"ret_msg": "pong"}]),
        envelope("BYBIT", json.dumps([message("delta", 3), {"op": "pong"}])),
    ]
    batch = decoder.decode(values, [TIME] * 3)
    assert [record["total_bid_volume"] for record in parse(batch.records)] == [1, 2, 3]
    assert batch.counts["bybit"]["control_heartbeat"] == 4
    assert not batch.rejects


def test_changes_are_rejected_together() -> None:
    """Changes build on each other: where one cannot be read, none of its item takes effect."""
    payload = {"asks": [], "bids": [["1", "1"]], "seqId": 1, "prevSeqId": -1}
    head = {"arg": {"channel": "books", "instId": "A"}, "action": "update"}
    item = {**head, "data": [payload, {**payload, "bids": [["x", "1"]]}]}
    decoder = Decoder("orderbook")
    batch = decoder.decode([envelope("OKX", item)], [TIME])
    assert [reject.reason for reject in batch.rejects] == ["invalid_number"]
    assert json.loads(batch.rejects[0].value)["data"] == [item]
    assert decoder.books() == []


def test_bases_are_independent() -> None:
    books = [
        {"symbol": name, "bids": [{"price": price, "qty": 1}], "asks": [], "checksum": 1}
        for name, price in (("A", 5), ("B", "x"), ("C", 6))
    ]
    item = {"channel": "book", "type": "snapshot", "data": books}
    batch = Decoder("orderbook").decode([envelope("KRAKEN", item)], [TIME])
    assert [record["highest_bid"] for record in parse(batch.records)] == [5, 6]
    assert json.loads(batch.rejects[0].value)["data"] == [{**item, "data": books[1:2]}]


def test_what_stands_around_is_not_multiplied() -> None:
    """Thousands of payloads that cannot be read do not each bring a copy of a long message."""
    head = {"channel": "ticker", "long": "x" * 50_000}
    item = {**head, "data": [{"symbol": "A", "last": 5}, *[{"x": 1}] * 5_000]}
    value = envelope("KRAKEN", item)
    batch = Decoder("ticker").decode([value], [TIME])
    assert sum(len(reject.value) for reject in batch.rejects) < 4 * len(value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_control_message_of_an_array_is_counted(kind: Kind) -> None:
    batch = Decoder(kind).decode([envelope("UPBIT", [{"status": "UP"}] * 3)], [TIME])
    totals = Totals()
    totals.add(batch)
    assert (totals.control, totals.items) == (Counter(status=3), 3)
