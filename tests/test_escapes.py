"""Escapes never matter: an item or envelope with any of its characters escaped gives the same."""

import json
import random
import re
from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import EXCHANGES, FIXTURES, KINDS, lines_of
from escapes import escape_characters, respell, respell_each
from marketprep import Batch, Decoder, Kind, parse
from marketprep.settings import load_settings
from messages import KEPT_BOOKS, TICKERS, WHOLE_BOOKS, Json, write

KAFKA_TIME = 1_790_000_000_123
USUAL = load_settings()
EXTENDED = USUAL.model_copy(update={"output": USUAL.output.model_copy(update={"extended": True})})

_SYMBOL = re.compile(rb'"coin_symbol":("(?:[^"\\]|\\.)*")')

#: Messages that the fixtures do not have: names of streams, times of other serialisers, totals and
#: identifiers in strings, and what is neither data nor control.
MORE: dict[str, dict[Kind, list[str]]] = {
    "upbit": {
        "orderbook": [
            (
                '{"type":"orderbook","code":"KRW-BTC","total_ask_size":"2.5","total_bid_size":"7",'
                '"orderbook_units":[{"ask_price":"5","bid_price":"4","ask_size":"2.5","bid_size":"1"}],'
                '"timestamp":"2026-11-25T10:02:03.5+09:00"}'
            ),
            '{"type":"orderbook","orderbook_units":[{"ask_price":"5"}]}',
        ],
        "ticker": ['{"type":"trade","trade_price":"7"}', '{"trade_price":"7","timestamp":"soon"}'],
    },
    "coinone": {
        "orderbook": [
            '{"channel":"ORDERBOOK","data":{"asks":[],"bids":[],"id":"1790134177753001"}}',
            '{"c":"ORDERBOOK","d":{"a":[{"p":"5","q":"1"}],"b":null,"i":"null9","t":"1790134177"}}',
        ],
    },
    "okx": {
        "ticker": [
            (
                '{"arg":{"channel":"tickers","instId":"A/B-\\u00e9"},"data":[{"last":"-1.50e1",'
                '"ts":"2026-11-25T10:02:03.000004+00:00"}]}'
            ),
            '{"arg":{"channel":"trades","instId":"A"},"data":[{"last":"1"}]}',
        ],
        "orderbook": [
            (
                '{"arg":{"channel":"books5","instId":"A/B"},"data":[{"asks":[["5","1","0","1"]],'
                '"bids":[],"ts":"1790134177753","seqId":"12","checksum":"-5"}]}'
            ),
        ],
    },
    "bybit": {
        "orderbook": [
            f'{{"topic":"orderbook.50.A","type":"{form}","data":{{"s":"A","b":[["5","1"]],'
            f'"a":[],"u":"{number}"}},"cts":"1790134177753"}}'
            for form, number in (("snapshot", 2), ("delta", 3), ("neither", 4))
        ],
    },
    "gateio": {
        "orderbook": [
            (
                '{"channel":"spot.obu","result":{"t":"1790134177753","full":true,'
                '"s":"ob.BTC_USDT.50","u":"10","b":[["5","1"]],"a":[["6","1"]]}}'
            ),
            (
                '{"channel":"spot.obu","result":{"t":"1790134177754","s":"ob.BTC_USDT.50",'
                '"U":"11","u":"12","b":[["5","2"]]}}'
            ),
            (
                '{"channel":"spot.order_book_update","result":{"t":1790134177754,"s":"A_B",'
                '"U":1,"u":2,"b":[],"a":[]}}'
            ),
        ],
    },
    "binance": {
        "orderbook": [
            (
                '{"stream":"btcusdt@depth20","data":{"lastUpdateId":"10","bids":[["5","1"]],'
                '"asks":[["6","1"]]}}'
            ),
            (
                '{"stream":"btcusdt@depth","data":{"e":"depthUpdate","E":"1790134177753",'
                '"s":"BTCUSDT","U":"11","u":"11","b":[["5","0"]],"a":[]}}'
            ),
        ],
    },
    "kraken": {
        "ticker": [
            (
                '{"channel":"ticker","data":[{"symbol":"BTC/USD","last":1.5,"change":"0.5",'
                '"timestamp":"2026-11-25T19:02:03.5+09:00"}]}'
            ),
        ],
    },
}

_STRATEGIES = {"ticker": (TICKERS,), "orderbook": (WHOLE_BOOKS, KEPT_BOOKS)}


@cache
def known_items(exchange: str, kind: Kind) -> tuple[str, ...]:
    """The texts of the fixtures' messages, control messages too, and of those above."""
    texts = []
    for file in (kind, "control"):
        for value in lines_of(FIXTURES / exchange / f"{file}.jsonl"):
            for item in json.loads(value)["data"]:
                texts.append(item if isinstance(item, str) else json.dumps(item))  # noqa: PERF401
    return (*texts, *MORE.get(exchange, {}).get(kind, ()))


def any_item(exchange: str, kind: Kind) -> st.SearchStrategy[str]:
    """The text of a message of any kind that there is."""
    strategies = [more[exchange] for more in _STRATEGIES[kind] if exchange in more]
    made: st.SearchStrategy[Json] = st.one_of(strategies)
    return st.one_of(st.sampled_from(known_items(exchange, kind)), made.map(write))


def envelope(exchange: str, items: Sequence[str], symbol: str = "B/C") -> str:
    """An envelope of items that are JSON already."""
    head = f'"region": "asia", "market": "{exchange.upper()}", "symbol": "{symbol}"'
    return f'{{{head}, "unknown": "a/b", "data": [{", ".join(items)}]}}'


def said(batch: Batch) -> tuple[object, ...]:
    """What a batch says, whatever the spelling of the symbol."""
    symbol = lambda found: json.dumps(json.loads(found[1])).encode()  # noqa: E731
    records = _SYMBOL.sub(symbol, batch.records)
    rejects = [(reject.index, reject.item, reject.reason) for reject in batch.rejects]
    changes = [
        (change.index, change.exchange, change.instrument, change.quality, change.reason)
        for change in batch.changes
    ]
    return records, batch.counts, rejects, changes


def decoders(kind: Kind, *, is_extended: bool) -> tuple[Decoder, Decoder]:
    chosen = EXTENDED if is_extended else USUAL
    return Decoder(kind, chosen), Decoder(kind, chosen)


def check(one: Decoder, other: Decoder, value: str, spelling: str) -> None:
    """Asserts that a value and its other spelling say the same."""
    expected = said(one.decode([value.encode()], [KAFKA_TIME]))
    assert said(other.decode([spelling.encode()], [KAFKA_TIME])) == expected, spelling


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_each_string_of_an_item(exchange: str, kind: Kind) -> None:
    """Each key and each value escaped alone, in an object and in a string."""
    dice = random.Random(f"{exchange} {kind}")  # noqa: S311 - to be reproducible, not secret
    texts, count = known_items(exchange, kind), 0
    for at, text in enumerate(texts):
        for _, spelling in respell_each(text, dice):
            count += 1
            forms = [(json.dumps(text), json.dumps(spelling))]
            if text[0] in "{[":
                forms += [(text, spelling), (f"[{text}]", f"[{spelling}]")]
            for plain, escaped in forms:
                one, other = decoders(kind, is_extended=True)
                for earlier in texts[max(at - 2, 0) : at]:
                    value = envelope(exchange, [json.dumps(earlier)])
                    check(one, other, value, value)
                check(one, other, envelope(exchange, [plain]), envelope(exchange, [escaped]))
    assert count > 100


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
@settings(max_examples=60)
@given(data=st.data())
def test_any_characters(exchange: str, kind: Kind, data: st.DataObject) -> None:
    """Any characters of items and envelopes, message after message."""
    one, other = decoders(kind, is_extended=data.draw(st.booleans()))
    dice = random.Random(data.draw(st.integers(0, 2**32)))  # noqa: S311
    texts = st.lists(any_item(exchange, kind), min_size=1, max_size=4)
    for items in data.draw(st.lists(texts, min_size=1, max_size=4)):
        plain, escaped = [], []
        for text in items:
            spelling = respell(text, dice)
            form = data.draw(st.sampled_from(("string", "string", "object", "array")))
            if form == "string" or text[0] not in "{[":
                text, spelling = json.dumps(text), json.dumps(spelling)  # noqa: PLW2901
            elif form == "array":
                text, spelling = f"[{text}]", f"[{spelling}]"  # noqa: PLW2901
            plain.append(text)
            escaped.append(spelling)
        value, spelled = envelope(exchange, plain), envelope(exchange, escaped)
        check(one, other, value, data.draw(st.sampled_from((spelled, respell(spelled, dice)))))


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_each_string_of_an_envelope(exchange: str) -> None:
    """Keys and values around the items; a market that nobody knows and a key twice as well."""
    dice = random.Random(exchange)  # noqa: S311
    value = envelope(exchange, ['{"x": 1}', json.dumps(known_items(exchange, "ticker")[0])])
    for text in (
        value,
        value.replace(exchange.upper(), "MTGOX"),
        value.replace('"symbol"', '"market"'),
    ):
        for _, spelling in respell_each(text, dice):
            check(*decoders("ticker", is_extended=False), text, spelling)


@pytest.mark.parametrize("symbol", ["BTC", "B/C", 'B"\\\n', "코인", "\x01\x7f"])
def test_a_symbol_stays_as_it_is_written(symbol: str) -> None:
    raw = "".join(f"\\u{ord(character):04X}" for character in symbol)
    batch = Decoder("ticker").decode([envelope("OKX", ['{"last":1}', "7"], raw).encode()])
    assert f'"coin_symbol":"{raw}",'.encode() in batch.records
    assert f'"symbol": "{raw}",'.encode() in batch.rejects[0].value


@pytest.mark.parametrize("symbol", ["B" * 256, '"' * 256, "\n" * 256, "\x01" * 256, "인" * 85])
def test_a_symbol_is_as_long_as_its_text(symbol: str) -> None:
    """One that is written in more than 256 bytes is shortened as far as its text allows."""
    raw = "".join(f"\\u{ord(character):04x}" for character in symbol)
    value = envelope("OKX", ['{"last":1}', "7"], raw).encode()
    batch = Decoder("ticker").decode([value], [KAFKA_TIME])
    shortest = json.dumps(symbol, ensure_ascii=False)
    assert f'"coin_symbol":{shortest},'.encode() in batch.records
    [reject] = batch.rejects
    assert f'"symbol":{shortest},'.encode() in reject.value
    [again] = Decoder("ticker").decode([reject.value]).rejects
    assert (again.reason, again.value) == (reject.reason, reject.value)
    [longer] = Decoder("ticker").decode([envelope("OKX", [], raw + raw[:6]).encode()]).rejects
    assert longer.reason == "not_an_envelope"


def test_escapes_of_one_item_do_not_touch_others() -> None:
    items = ['{"last":1}', r'{"l\u0061st":2}', '"{\\"last\\":3}"', r'"{\"l\\u0061st\":4}"']
    batch = Decoder("ticker").decode([envelope("OKX", items * 3).encode()])
    prices = [record["data"][0]["trade_price"] for record in parse(batch.records)]
    assert prices == ["1", "2", "3", "4"] * 3


@pytest.mark.parametrize(
    "item",
    [
        r'{"last":1\u0020}',
        r'{"last":\u0031}',
        r'\u007b"last":1}',
        r'{"last":"1\u0022}',
        r'{\u0022last":1}',
        r'{"last":"\u00"}',
        r'{"last":"\x31"}',
        r'{"last":"\\u0031"}',
        r'{"last":"1\u000a"}',
    ],
)
def test_what_is_no_escape_stays_none(item: str) -> None:
    """An escape outside of a string, a wrong one, and one of a control character."""
    inside = json.dumps(item)
    for value in (envelope("OKX", [item]), envelope("OKX", [inside])):
        batch = Decoder("ticker").decode([value.encode()])
        assert len(batch.rejects) == 1, value


def test_time_is_in_proportion() -> None:
    """Work that grows with the square of an item would not end within the time-out."""
    dice = random.Random(1)  # noqa: S311
    inside = escape_characters("x" * 500_000, 1, dice)
    text = f'{{"last":"{escape_characters("1", 1, dice)}","{inside}":"{inside}"}}'
    items = [text, json.dumps(text)] * 3
    batch = Decoder("ticker").decode([envelope("OKX", items).encode()])
    assert batch.records.count(b"\n") == len(items)
