"""What somebody may send by mistake or on purpose: each was once a wrong number or worse."""

import json
from typing import Any

import pytest

from conftest import KINDS
from marketprep import Batch, Decoder, Kind, parse
from marketprep.decoder import HELD_BACK

TIME = 1_793_577_600_000


def envelope(market: str, *items: object, symbol: str = "B", **more: object) -> bytes:
    whole = {**more, "market": market, "symbol": symbol, "data": items}
    return json.dumps(whole).encode()


def run(kind: Kind, *values: bytes) -> list[Batch]:
    decoder = Decoder(kind)
    return [decoder.decode([value], [TIME]) for value in values]


def tops(market: str, *items: object) -> list[tuple[Any, Any] | str]:
    """The best prices after each item, or why there are none."""
    found: list[tuple[Any, Any] | str] = []
    for batch in run("orderbook", *(envelope(market, item) for item in items)):
        counts = batch.counts[market.lower()]
        if batch.records:
            [record] = parse(batch.records)
            found.append((record["highest_bid"], record["lowest_ask"]))
        elif batch.rejects:
            found.append(batch.rejects[0].reason)
        else:
            found += [reason for reason in HELD_BACK if counts[reason]]
    return found


def whole(number: int, bid: int, stream: str | None = None) -> object:
    book = {"lastUpdateId": number, "bids": [[str(bid), "1"]], "asks": [[str(bid + 1), "1"]]}
    return {"stream": stream, "data": book} if stream else book


def change(first: int, last: int, name: str = "BTCUSDT", bid: str = "50") -> object:
    return {"e": "depthUpdate", "s": name, "U": first, "u": last, "b": [[bid, "1"]], "a": []}


def test_dead_letters_do_not_multiply_what_nobody_reads() -> None:
    [batch] = run("ticker", envelope("OKX", *[1] * 20_000, x="y" * 50_000, region="asia"))
    assert len(batch.rejects) == 20_000
    assert sum(len(reject.value) for reject in batch.rejects) < 2_000_000
    assert json.loads(batch.rejects[0].value) == {
        "region": "asia",
        "market": "OKX",
        "symbol": "B",
        "data": [1],
    }


@pytest.mark.parametrize(
    "value",
    [envelope("OKX", {"last": 1}, symbol="s" * 257), envelope("OKX", *[1] * 100_001)],
)
def test_an_envelope_beyond_all_bounds(value: bytes) -> None:
    [batch] = run("ticker", value)
    [reject] = batch.rejects
    assert (reject.reason, reject.value, batch.records) == ("not_an_envelope", value, b"")


def test_items_and_books_beyond_all_bounds() -> None:
    [batch] = run("orderbook", envelope("OKX", [{}] * 10_001))
    assert [reject.reason for reject in batch.rejects] == ["too_large"]
    levels = [[str(price + 1), "1"] for price in range(100_001)]
    assert tops("BINANCE", {**whole(1, 5), "bids": levels}) == ["too_large"]  # type: ignore[dict-item]


def test_a_change_of_very_many_levels() -> None:
    def message(action: str, bids: list[list[str]]) -> object:
        argument = {"channel": "books", "instId": "A"}
        return {
            "arg": argument,
            "action": action,
            "data": [{"asks": [["200000", "1"]], "bids": bids}],
        }

    levels = [[str(price), "1"] for price in range(90_000, 0, -1)]
    assert tops("OKX", message("snapshot", []), message("update", levels)) == [
        (None, 200_000),
        (90_000, 200_000),
    ]


def test_a_change_builds_on_a_whole_book_where_it_fits() -> None:
    assert tops(
        "BINANCE", whole(10, 40), change(5, 10), change(9, 12), change(13, 13, bid="39")
    ) == [
        (40, 41),
        "outdated",
        (50, 41),
        (50, 41),
    ]


def test_after_a_gap_nothing_until_a_book_fits_again() -> None:
    messages = (
        whole(10, 40),
        change(11, 11),
        change(13, 13),
        whole(20, 60),
        change(21, 21, bid="55"),
    )
    assert tops("BINANCE", *messages) == [(40, 41), (50, 41), "suspect", (60, 61), (60, 61)]
    beyond = (whole(20, 60), change(25, 25))
    assert tops("BINANCE", whole(10, 40), change(11, 11), *beyond) == [
        (40, 41),
        (50, 41),
        (60, 61),
        "suspect",
    ]


def test_a_book_without_a_name_does_not_hold_up_another() -> None:
    messages = (
        whole(1000, 40, "btcusdc@depth20"),
        change(1001, 1001, "BTCUSDC"),
        whole(9_000_000, 70),
        change(1002, 1002, "BTCUSDC", "45"),
    )
    assert tops("BINANCE", *messages) == [(40, 41), (50, 41), (70, 71), (50, 41)]


def test_numbers_that_begin_anew() -> None:
    """An older number is that of an older message, unless there is no end to them."""
    far = 2**63 - 1
    before = (whole(10, 40), change(11, far))
    anew = [whole(5, 60)] * 1000
    assert tops("BINANCE", *before, *anew) == [(40, 41), (50, 41), *["outdated"] * 1000]
    after = (whole(5, 60), change(6, 6, bid="55"), whole(7, 61))
    assert tops("BINANCE", *before, *anew, *after)[-3:] == [(60, 61), (60, 61), (61, 62)]


@pytest.mark.parametrize(
    ("market", "item"),
    [
        ("OKX", '{"data": [{"last": 1}], "data": [{"last": 2}]}'),
        ("COINONE", '{"data": {"last": 1}, "d": {"la": 2}}'),
        ("UPBIT", '{"type": "ticker", "ty": "ticker", "trade_price": 1}'),
        ("KRAKEN", '{"channel": "ticker", "channel": "ticker", "data": [{"last": 1}]}'),
    ],
)
def test_a_word_or_payload_that_stands_twice(market: str, item: str) -> None:
    [batch] = run("ticker", envelope(market, item))
    assert [reject.reason for reject in batch.rejects] == ["duplicate_key"]


@pytest.mark.parametrize(
    ("market", "text"),
    [
        ("KRAKEN", '"type": "update", "type": "snapshot", "data": [%s]'),
        ("BYBIT", '"topic": "orderbook.1.A", "topic": "orderbook.1.A", "data": %s'),
        ("OKX", '"arg": {"channel": "books", "channel": "books", "instId": "A"}, "data": [%s]'),
    ],
)
def test_a_form_or_feed_that_stands_twice(market: str, text: str) -> None:
    sides = '{"bids": [], "asks": [], "b": [], "a": [], "symbol": "A", "s": "A"}'
    [batch] = run("orderbook", envelope(market, "{" + text % sides + "}"))
    assert [reject.reason for reject in batch.rejects] == ["duplicate_key"]


def test_an_instrument_is_the_same_in_any_spelling() -> None:
    def message(action: str, bid: str) -> dict[str, object]:
        argument = {"channel": "books", "instId": "가나-USDT"}
        book = {"asks": [["9", "1"]], "bids": [[bid, "1"]], "ts": TIME}
        return {"arg": argument, "action": action, "data": [book]}

    escaped = json.dumps(message("update", "2"))
    long = json.dumps(message("update", "3.0000000000000000001"))
    raw = json.dumps(message("update", "4"), ensure_ascii=False)
    items = (message("snapshot", "1"), escaped, long, raw, message("update", "5"))
    bids = [str(top[0]) for top in tops("OKX", *items)]
    assert bids == ["1", "2", "3.0000000000000000001", "4", "5"]


def test_a_long_number_and_an_escaped_key_in_either_order() -> None:
    long, key = '"op": 1234567890123456789012345', '"t\\u0070": 5'
    for item in (f"{{{long}, {key}}}", f"{{{key}, {long}}}", f'{{{key}, "a\\\\u0041": 1}}'):
        [batch] = run("ticker", envelope("UPBIT", item))
        assert [record["data"][0]["trade_price"] for record in parse(batch.records)] == ["5"]


@pytest.mark.parametrize(
    ("market", "item"),
    [
        ("UPBIT", [{"status": "UP"}]),
        ("UPBIT", '{"st\\u0061tus": "UP"}'),
        ("BINANCE", {"result": ["btcusdt@depth", "bnbusdt@ticker"], "id": 3}),
        ("BINANCE", {"result": [], "id": 3}),
        ("BYBIT", {"type": "COMMAND_RESP", "success": True, "data": {"failTopics": []}}),
        (
            "GATEIO",
            {"event": "unsubscribe", "channel": "spot.tickers", "result": {"status": "success"}},
        ),
        ("BITHUMB", {"status": "0000", "resmsg": "Connected Successfully", "data": {}}),
        ("BINANCE", {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1}}),
        ("OKX", {"event": "login", "code": "0", "msg": ""}),
        ("BYBIT", {"retCode": 0, "retMsg": "OK", "op": "auth"}),
        ("KRAKEN", {"method": "ping", "success": True}),
        ("GATEIO", {"channel": "spot.ping", "event": "", "result": None}),
    ],
)
def test_control_messages_of_rarer_kinds(market: str, item: object) -> None:
    for kind in KINDS:
        [batch] = run(kind, envelope(market, item))
        assert (batch.records, batch.rejects) == (b"", [])


_PAIRS = {"bids": [["x", "1"]], "asks": [["6", "1"]]}
_UNITS = [{"ask_price": "x", "bid_price": 1, "ask_size": 1, "bid_size": 1}]
_LEGACY = {"bids": [{"price": "5", "quantity": "1"}], "asks": [], "payment_currency": "KRW"}
_TRADES = [{"p": "5", "v": "1", "S": "Buy"}]


@pytest.mark.parametrize(
    ("market", "item"),
    [
        ("UPBIT", {"status": "UP", "orderbook_units": _UNITS, "trade_price": "x"}),
        ("UPBIT", {"status": "UP", "type": "trade", "price": 5}),
        ("UPBIT", {"error": {"name": "X"}, "obu": _UNITS, "tp": "x"}),
        ("BITHUMB", {"status": "0000", "data": _LEGACY}),
        ("BITHUMB", {"status": "0000", "data": [{"unknown": 1}]}),
        ("BITHUMB", {"status": "0000", "resmsg": "Filter Registered", "data": {"date": "1"}}),
        ("BITHUMB", {"status": "5100", "resmsg": "x", "data": {"date": "1"}}),
        ("COINONE", {"response_type": "SUBSCRIBED", "data": {"asks": [{}], "bids": []}}),
        ("COINONE", {"r": "CONNECTED", "d": {"a": [{}], "b": [], "la": "x"}}),
        ("KORBIT", {"status": "success", "data": {"asks": [{}], "bids": [], "close": "x"}}),
        ("KORBIT", {"status": "fail", "data": [{"price": "1", "qty": "2"}]}),
        ("OKX", {"event": "update", "data": [{**_PAIRS, "last": "x"}]}),
        ("OKX", {"event": "error", "arg": {"channel": "trades"}, "data": _TRADES}),
        ("BYBIT", {"success": True, "topic": "publicTrade.A", "data": _TRADES}),
        ("BYBIT", {"op": "subscribe", "topic": "x", "data": {"a": [], "b": [["x", "1"]]}}),
        ("BYBIT", {"ret_msg": "pong", "success": True, "data": _TRADES}),
        ("BYBIT", {"type": "COMMAND_RESP", "data": {"a": [["x", "1"]], "lastPrice": "x"}}),
        ("GATEIO", {"event": "subscribe", "channel": "spot.trades", "result": {"price": "1"}}),
        ("GATEIO", {"event": "subscribe", "result": {"status": "success", **_PAIRS, "last": "x"}}),
        ("GATEIO", {"event": "", "channel": "spot.pong", "result": _PAIRS}),
        ("BINANCE", {"id": 1, "status": 200, "result": {"lastUpdateId": 5, **_PAIRS}}),
        (
            "BINANCE",
            {"id": 1, "status": 200, "result": {"lastUpdateId": 5, "bids": [], "asks": []}},
        ),
        ("BINANCE", {"id": 1, "status": 200, "result": [{"price": "5", "qty": "1"}]}),
        ("BINANCE", {"id": 1, "status": 200, "result": [["1", "2"]]}),
        ("BINANCE", {"id": 1, "result": None, "data": {**_PAIRS, "c": "x"}}),
        ("BINANCE", {"id": 1, "result": None, "e": "trade", "t": 5}),
        ("KRAKEN", {"method": "subscribe", "success": True, "data": _TRADES}),
        ("KRAKEN", {"channel": "heartbeat", "data": [{**_PAIRS, "last": "x"}]}),
        ("KRAKEN", {"channel": "status", "data": [{**_PAIRS, "last": "x"}]}),
        ("KRAKEN", {"error": "x", "method": "subscribe", "result": {**_PAIRS, "last": "x"}}),
    ],
)
def test_market_data_is_never_a_control_message(market: str, item: object) -> None:
    """Whatever else the message says: what cannot be read of it is a dead letter."""
    for kind in KINDS:
        for form in (item, json.dumps(item), [item]):
            [batch] = run(kind, envelope(market, form))
            assert batch.records == b""
            assert [reject.item for reject in batch.rejects] == [0], (kind, form)


def test_a_payload_of_bithumb_is_data() -> None:
    unit = {"ask_price": 101, "bid_price": 99, "ask_size": 1, "bid_size": 2}
    data = {"trade_price": 5, "orderbook_units": [unit], "timestamp": TIME}
    for kind in KINDS:
        answers = ({"status": "0000", "data": data}, {"status": "0000", "data": [data, data]})
        batches = run(kind, *(envelope("BITHUMB", item) for item in (data, *answers)))
        assert [batch.records.count(b"\n") for batch in batches] == [1, 1, 2]
        assert {line for batch in batches for line in batch.records.splitlines()} == {
            batches[0].records.strip()
        }


@pytest.mark.parametrize(
    "identifier", ['"null9030201075300100"', '"-1577100676639"', "null", "[1]", '"x"']
)
def test_an_id_that_holds_no_time(identifier: str) -> None:
    item = f'{{"asks": [], "bids": [], "id": {identifier}, "timestamp": 1790134177753}}'
    [batch] = run("orderbook", envelope("COINONE", item))
    assert parse(batch.records)[0]["timestamp"] == "2026-09-23 03:29:37.753000+00:00"


def test_an_object_nested_too_deep_costs_itself_alone() -> None:
    deep = json.loads('{"x": ' * 100 + "1" + "}" * 100)
    [batch] = run("ticker", envelope("UPBIT", {"trade_price": 1}, deep, {"trade_price": 2}))
    assert [reject.reason for reject in batch.rejects] == ["too_deep"]
    assert batch.records.count(b"\n") == 2


def test_a_snapshot_beyond_the_deepest_subscription() -> None:
    levels = [{"price": price, "qty": 1} for price in range(1, 1102)]
    book = {"symbol": "A", "bids": levels, "asks": [], "timestamp": "2026-08-24T22:21:57Z"}
    item = {"channel": "book", "type": "snapshot", "data": [book]}
    [batch] = run("orderbook", envelope("KRAKEN", item))
    assert parse(batch.records)[0]["total_bid_volume"] == 1000


def test_a_kafka_time_of_zero_is_none() -> None:
    batch = Decoder("ticker").decode([envelope("UPBIT", {"trade_price": 1})], [0])
    assert parse(batch.records)[0]["timestamp"] > TIME / 2


@pytest.mark.parametrize("word", ["[1]", "true", "{}", '"depthUpdate1"', '"depth"'])
def test_a_kind_that_is_no_known_word(word: str) -> None:
    item = json.dumps(whole(1, 5))[:-1] + f', "e": {word}}}'
    [batch] = run("orderbook", envelope("BINANCE", item))
    assert [reject.reason for reject in batch.rejects] == ["other_kind"]
