"""Both sides of the boundary: types, order, threads, times, and what a reject holds."""

import json
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from conftest import FIXTURES, lines_of
from marketprep import Batch, Decoder, _core, parse
from marketprep.decoder import rows
from marketprep.settings import load_settings

TICKER = '{"trade_price": 95340000.5, "timestamp": 1730618524102}'
BOOK = (
    '{"orderbook_units": [{"ask_price": 101, "bid_price": 99, "ask_size": 1, "bid_size": 2}],'
    ' "timestamp": 1730618524102}'
)


def envelope(
    *items: object, market: str = "UPBIT", region: str = "korea", symbol: str = "BTC"
) -> bytes:
    data = [item if isinstance(item, dict | list) else str(item) for item in items]
    whole = {"region": region, "market": market, "symbol": symbol, "data": data}
    return json.dumps(whole).encode()


def decode(*values: bytes, kind: str = "ticker", **more: object) -> Batch:
    decoder = Decoder(kind)  # type: ignore[arg-type]
    return decoder.decode(list(values), **more)  # type: ignore[arg-type]


def test_the_build_is_a_release() -> None:
    assert _core.BUILD_PROFILE == "release"


def test_a_record_to_the_byte() -> None:
    assert decode(envelope(TICKER)).records == (
        b'{"region":"Korea","market":"UPBIT","coin_symbol":"BTC","timestamp":1730618524102.0,'
        b'"data":[{"opening_price":null,"trade_price":"95340000.5","max_price":null,'
        b'"min_price":null,"prev_closing_price":null,"acc_trade_volume_24h":null,'
        b'"signed_change_price":null,"signed_change_rate":null}]}\n'
    )
    assert decode(envelope(BOOK), kind="orderbook").records == (
        b'{"region":"Korea","market":"UPBIT","coin_symbol":"BTC","highest_bid":99,'
        b'"lowest_ask":101,"spread":2,"total_bid_volume":2,"total_ask_volume":1,'
        b'"timestamp":"2024-11-03 07:22:04.102000+00:00"}\n'
    )


def test_parse_keeps_numbers_exact() -> None:
    long = "0.123456789012345678901234567890123"
    item = f'{{"trade_price": "{long}"}}'
    [record] = parse(decode(envelope(item), timestamps=[1730618524102]).records)
    assert record["timestamp"] == Decimal("1730618524102.0")
    assert record["data"][0]["trade_price"] == long


def test_records_keep_the_order_of_items_and_values() -> None:
    values = [envelope(*(f'{{"trade_price": {10 * i + j}}}' for j in range(10))) for i in range(50)]
    prices = [record["data"][0]["trade_price"] for record in parse(decode(*values).records)]
    assert prices == [str(price) for price in range(500)]


def test_empty_batches() -> None:
    for batch in (
        decode(),
        Decoder("ticker").decode_lines(b""),
        Decoder("ticker").decode_lines(b"\n \n"),
    ):
        assert (batch.records, batch.rejects, batch.envelopes, batch.counts) == (b"", [], 0, {})
    batch = decode(envelope())
    assert (batch.records, batch.rejects, batch.envelopes) == (b"", [], 1)


def test_a_huge_batch() -> None:
    value = envelope(*[TICKER] * 300)
    batch = decode(*[value] * 1000)
    assert batch.counts["upbit"]["records"] == 300_000
    assert batch.records.count(b"\n") == 300_000


def test_a_huge_envelope() -> None:
    units = json.loads(BOOK)["orderbook_units"] * 100_000
    batch = decode(envelope({"orderbook_units": units}), kind="orderbook")
    [record] = parse(batch.records)
    assert (record["total_bid_volume"], record["total_ask_volume"]) == (200_000, 100_000)


def test_bytes_and_bytearrays_but_no_text() -> None:
    assert decode(bytearray(envelope(TICKER))).records.count(b"\n") == 1  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        decode("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Decoder("ticker").decode(b"not a list of bytes")  # type: ignore[arg-type]


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="kind must be 'ticker' or 'orderbook', not \"trade\""):
        Decoder("trade")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='no decoder for exchange "mtgox"'):
        _core.Decoder(
            "ticker", rows({"mtgox": load_settings().exchanges["okx"]}), load_settings().output
        )
    with pytest.raises(ValueError, match="1 timestamps for 2 values"):
        decode(envelope(TICKER), envelope(TICKER), timestamps=[1])
    with pytest.raises(ValueError, match="1 offsets for 2 values"):
        Decoder("ticker").decode([envelope(TICKER)] * 2, offsets=[1])


@pytest.mark.parametrize(
    "number", [2**63, -(2**63) - 1, 2**64, 10**30, pytest.param(10**5000, id="long")]
)
@pytest.mark.parametrize("what", ["timestamps", "offsets"])
def test_integers_beyond_64_bits(what: str, number: int) -> None:
    arguments: dict[str, Any] = {what: [number]}
    expected = "is out of range: give one from -9223372036854775808 to 9223372036854775807"
    with pytest.raises(ValueError, match=expected) as raised:
        decode(envelope(TICKER), **arguments)
    assert raised.value.__notes__ == [f"while processing '{what}'"]


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63)])
def test_integers_of_64_bits(number: int) -> None:
    assert decode(envelope(TICKER), timestamps=[number], offsets=[number]).envelopes == 1


@pytest.mark.parametrize("number", [True, False, "1", b"1", 1.0, Decimal(1), [1]])
@pytest.mark.parametrize("what", ["timestamps", "offsets"])
def test_what_is_no_integer(what: str, number: object) -> None:
    arguments: dict[str, Any] = {what: [number]}
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        decode(envelope(TICKER), **arguments)


def test_every_integer_has_its_range() -> None:
    """An argument out of range is a ValueError with a sentence, whichever it is."""
    core = _core.Decoder("ticker", rows(load_settings().exchanges), load_settings().output)
    framer = _core.Framer("ticker", "array", 20)
    framer.values(decode(envelope(TICKER)))
    [finished] = framer.batches(None, 0, "lz4", False)  # noqa: FBT003 - by place alone
    big = 2**64
    calls: list[Callable[[], object]] = [
        lambda: core.decode_fetched([], big),
        lambda: core.decode_fetched([], -1),
        lambda: core.decode_fetched([(b"", big, 0, 0)], 1),
        lambda: core.decode_fetched([(b"", 0, -1, 0)], 1),
        lambda: core.decode_fetched([(b"", 0, 0, big)], 1),
        lambda: core.restore("[]", b"", big),
        lambda: _core.Market("okx", "ticker", "exchange", big, True),  # noqa: FBT003 - as above
        lambda: _core.Market("okx", "ticker", "exchange", -1, True),  # noqa: FBT003 - as above
        lambda: _core.Market("okx", "ticker", "exchange", 1, True).envelopes(big),  # noqa: FBT003 - as above
        lambda: _core.Framer("ticker", "array", -1),
        lambda: framer.batches(None, big, "lz4", False),  # noqa: FBT003 - as above
        lambda: finished.by(big, 0, 0),
        lambda: finished.by(0, 2**15, 0),
        lambda: finished.by(0, 0, 2**31),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"-?\d+ is out of range: give one from -?\d+ to \d+"):
            call()


def test_threads_share_a_decoder() -> None:
    decoder = Decoder("orderbook")
    counts: list[int] = []
    value = envelope(*[BOOK] * 100)

    def work() -> None:
        counts.extend(decoder.decode([value] * 10).counts["upbit"]["records"] for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [1000] * 80


def test_the_gil_is_released() -> None:
    decoder = Decoder("orderbook")
    value = envelope(*[BOOK] * 1000)
    ticks, done = 0, threading.Event()

    def work() -> None:
        decoder.decode([value] * 400)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.is_set():
        ticks += 1
    thread.join()
    assert ticks > 100, "this thread stood still while the other decoded"


def test_a_kept_book_lives_from_call_to_call() -> None:
    decoder = Decoder("orderbook")
    first, *rest = lines_of(FIXTURES / "okx" / "orderbook.jsonl")
    together = decode(first, *rest, kind="orderbook").records
    apart = decoder.decode([first]).records + decoder.decode(rest).records
    assert apart == together


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("1730618524102", "1730618524102.0"),
        ("1730618524", "1730618524000.0"),
        ("1730618524.25", "1730618524250.0"),
        ("1730618524102123", "1730618524102.123"),
        ("1730618524102120999", "1730618524102.12"),
        ('"1730618524102"', "1730618524102.0"),
        ("1.730618524102E12", "1730618524102.0"),
        ('"2024-11-03T07:22:04.1021239Z"', "1730618524102.123"),
        ('"2024-11-03T08:22:04+01:00"', "1730618524000.0"),
        ('"2024-11-03T07:22:04.1021239999Z"', "1730618524102.123"),
        ('"2024-11-03t07:22:04.102123999999999999z"', "1730618524102.123"),
        ('"2024-11-03T16:22:04.1021239999999+09:00"', "1730618524102.123"),
        ("null", "77000.0"),
        ('""', "77000.0"),
        ("0", "77000.0"),
        ("-1", "77000.0"),
        ('"1970-01-01T00:00:00Z"', "77000.0"),
    ],
)
def test_times(time: str, expected: str) -> None:
    batch = decode(envelope(f'{{"trade_price": 1, "timestamp": {time}}}'), timestamps=[77_000])
    assert f'"timestamp":{expected},'.encode() in batch.records


def test_without_any_time_it_is_now() -> None:
    for timestamps in (None, [None], [-1]):
        [record] = parse(decode(envelope('{"trade_price": 1}'), timestamps=timestamps).records)
        assert record["timestamp"] > 1_700_000_000_000


@pytest.mark.parametrize(
    ("region", "market", "expected"),
    [
        ("KOREA", "upbit", b'"region":"Korea","market":"UPBIT"'),
        ("asia", "DigitalX", b'"region":"Asia","market":"DIGITALX"'),
        ("mars", "Upbit", b'"region":"Korea","market":"UPBIT"'),
    ],
)
def test_region_and_market(region: str, market: str, expected: bytes) -> None:
    item = '{"trade_price": 1, "close": 1}'
    assert expected in decode(envelope(item, region=region, market=market)).records


def test_the_symbol_stays_as_it_is() -> None:
    batch = decode(envelope(TICKER, symbol='B"\\\n가'))
    assert parse(batch.records)[0]["coin_symbol"] == 'B"\\\n가'


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("not json", "not_json"),
        ('{"trade_price": 1', "not_json"),
        ('{"trade_price": 1} x', "not_json"),
        ('"{}"', "not_json"),
        ("", "not_json"),
        ("[]", "not_json"),
        ('{"high_price": 1}', "missing_field"),
        ('{"trade_price": ""}', "missing_field"),
        ('{"trade_price": "1,5"}', "invalid_number"),
        ('{"trade_price": NaN}', "invalid_number"),
        ('{"trade_price": "Infinity"}', "invalid_number"),
        ('{"trade_price": 1e401}', "invalid_number"),
        ('{"trade_price": 1e-401}', "invalid_number"),
        ('{"trade_price": 1, "timestamp": "soon"}', "invalid_time"),
        ('{"trade_price": 1, "timestamp": "2024-11-03T07:22:04.Z"}', "invalid_time"),
        ('{"trade_price": 1, "timestamp": "2024-11-03T07:22:04.1234567890"}', "invalid_time"),
        ('{"trade_price": 1, "timestamp": 1e300}', "invalid_time"),
        ('{"trade_price": 1, "trade_price": 2}', "duplicate_key"),
        ('{"trade_price": 1, "tp": 2}', "duplicate_key"),
        ('{"type": "orderbook", "trade_price": 1}', "other_kind"),
        ('{"trade_price": 1, "x": ' + "[" * 64 + "]" * 64 + "}", "too_deep"),
        ('{"trade_price": 1, "x": "\ud800"}', "invalid_utf8"),
    ],
)
def test_a_bad_item_costs_that_item_alone(item: str, reason: str) -> None:
    batch = decode(envelope(TICKER, item, TICKER), envelope(TICKER))
    [reject] = batch.rejects
    assert (reject.index, reject.item, reject.exchange) == (0, 1, "upbit")
    assert (reject.reason, bool(reject.detail)) == (reason, True)
    assert reject.value == envelope(item)
    assert batch.records.count(b"\n") == 3
    assert batch.counts["upbit"]["rejected"] == 1


@pytest.mark.parametrize("item", [1, None, True, 1.5])
def test_an_item_that_is_no_message(item: object) -> None:
    value = json.dumps({"region": "korea", "market": "UPBIT", "symbol": "BTC", "data": [item]})
    [reject] = decode(value.encode()).rejects
    assert (reject.reason, reject.value) == ("not_json", value.encode())


@pytest.mark.parametrize(
    ("units", "reason"),
    [
        ('[{"ask_price": -1, "bid_price": 1, "ask_size": 1, "bid_size": 1}]', "invalid_number"),
        ('[{"ask_price": 1, "bid_price": 1, "ask_size": 1}]', "not_json"),
        ('[{"ask_price": null, "bid_price": 1, "ask_size": 1, "bid_size": 1}]', "invalid_number"),
        ("7", "not_json"),
    ],
)
def test_a_bad_level(units: str, reason: str) -> None:
    [reject] = decode(envelope(f'{{"orderbook_units": {units}}}'), kind="orderbook").rejects
    assert reject.reason == reason


@pytest.mark.parametrize("side", ["asks", "bids"])
def test_a_book_without_a_side(side: str) -> None:
    item = f'{{"{side}": [["1", "1"]], "lastUpdateId": 1}}'
    [reject] = decode(envelope(item, market="BINANCE"), kind="orderbook").rejects
    assert reject.reason == "missing_field"


def test_a_bad_item_leaves_the_kept_book_alone() -> None:
    def message(action: str, *levels: list[str]) -> str:
        book = {"asks": [["9", "1", "0", "1"]], "bids": levels, "ts": "1730618524102"}
        argument = {"channel": "books", "instId": "BTC-USDT"}
        return json.dumps({"arg": argument, "action": action, "data": [book]})

    decoder = Decoder("orderbook")
    decoder.decode([envelope(message("snapshot", ["5", "1"]), market="OKX")])
    bad = decoder.decode([envelope(message("update", ["6", "1"], ["7", "x"]), market="OKX")])
    good = decoder.decode([envelope(message("update"), market="OKX")])
    assert [reject.reason for reject in bad.rejects] == ["invalid_number"]
    assert parse(good.records)[0]["highest_bid"] == 5


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not_an_envelope"),
        (b"null", "not_an_envelope"),
        (b"\xff\xfe", "not_an_envelope"),
        (b'{"region": "korea"}', "not_an_envelope"),
        (envelope(TICKER)[:-1], "not_an_envelope"),
        (envelope(TICKER)[:-30], "not_an_envelope"),
        (envelope(TICKER) + b"]", "not_an_envelope"),
        (
            envelope(TICKER).replace(b'"data": [', b'"data": ['.replace(b"[", b"")),
            "not_an_envelope",
        ),
        (envelope(TICKER).replace(b'"symbol"', b'"name"'), "not_an_envelope"),
        (envelope(TICKER).replace(b'"BTC"', b"7"), "not_an_envelope"),
        (envelope(TICKER).replace(b'"region"', b'"market"'), "not_an_envelope"),
        (envelope(TICKER, market="MTGOX"), "unknown_market"),
    ],
)
def test_a_value_that_is_no_envelope_is_kept_as_it_came(value: bytes, reason: str) -> None:
    batch = decode(envelope(TICKER), value, envelope(TICKER))
    [reject] = batch.rejects
    assert (reject.index, reject.item, reject.exchange) == (1, None, None)
    assert (reject.reason, reject.value) == (reason, value)
    assert batch.records.count(b"\n") == 2


def test_a_reject_replayed_is_rejected_alike_and_keeps_unknown_members() -> None:
    value = (
        b'{"x": [1], "data" : [ "{}" , 7 ] , "market": "upbit", "symbol": "\\u0042", "region": 5}'
    )
    first, second = decode(value).rejects
    assert first.value == value.replace(b' "{}" , 7 ', b'"{}"')
    assert second.value == value.replace(b' "{}" , 7 ', b"7")
    [again] = decode(second.value).rejects
    assert (again.reason, again.value) == (second.reason, second.value)


def test_invalid_utf_8_costs_one_item() -> None:
    value = envelope(TICKER, "@", TICKER).replace(
        b"@", b'{\\"trade_price\\": 1, \\"x\\": \\"\xff\\"}'
    )
    batch = decode(value)
    assert [reject.reason for reject in batch.rejects] == ["invalid_utf8"]
    assert batch.records.count(b"\n") == 2


def test_every_reason_is_documented() -> None:
    reasons = _core.reject_reasons()
    assert {"not_an_envelope", "not_json", "duplicate_key"} < reasons.keys()
    assert all(reasons.values())
