"""Extended records: what they say beyond the usual keys, against the definitions in fractions."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from book_streams import envelope
from conftest import EXCHANGES, FIXTURES, KINDS, lines_of
from marketprep import Decoder, Kind, parse
from marketprep.settings import Settings, load_settings
from oracle_extended import figures

KAFKA_TIME = 1_790_000_000_123
LEVELS, BPS = (3, 10), (10, 25)

#: What the usual record has.
USUAL = {
    "orderbook": 9,
    "ticker": 5,
}


def extended(publish: str = "valid") -> Settings:
    settings = load_settings()
    output = {"extended": True, "imbalance_levels": LEVELS, "depth_bps": BPS}
    rows = {
        name: row.model_copy(update={"publish": publish})
        for name, row in settings.exchanges.items()
    }
    changed = {"output": settings.output.model_copy(update=output), "exchanges": rows}
    return settings.model_copy(update=changed)


SETTINGS = extended()

price = st.decimals(min_value="0", max_value="200", places=2)
size = st.decimals(min_value="0", max_value="50", places=5)
side = st.dictionaries(price, size, max_size=20)


def okx(bids: dict[Decimal, Decimal], asks: dict[Decimal, Decimal]) -> str:
    sides = {
        name: [[f"{price:f}", f"{size:f}", "0", "1"] for price, size in levels.items()]
        for name, levels in (("asks", asks), ("bids", bids))
    }
    data = {**sides, "ts": "1790000000000", "checksum": 0, "seqId": 7, "prevSeqId": -1}
    argument = {"channel": "books", "instId": "BTC-USDT"}
    return json.dumps({"arg": argument, "action": "snapshot", "data": [data]})


def coinone(bids: dict[Decimal, Decimal], asks: dict[Decimal, Decimal]) -> bytes:
    sides = {
        name: [{"price": f"{price:f}", "qty": f"{size:f}"} for price, size in levels.items()]
        for name, levels in (("asks", asks), ("bids", bids))
    }
    data = {"target_currency": "BTC", "id": "1790000000000007", **sides}
    item = json.dumps({"response_type": "DATA", "channel": "ORDERBOOK", "data": data})
    return json.dumps(
        {"region": "korea", "market": "COINONE", "symbol": "BTC", "data": [item]}
    ).encode()


@given(bids=side, asks=side)
def test_figures_of_kept_and_whole_books(
    bids: dict[Decimal, Decimal], asks: dict[Decimal, Decimal]
) -> None:
    wanted = figures(bids.items(), asks.items(), LEVELS, BPS)
    alive = [sum(1 for each in side.items() if all(each)) for side in (bids, asks)]
    best = [
        best((price for price, size in side.items() if price and size), default=None)
        for best, side in ((max, bids), (min, asks))
    ]
    state = "normal"
    if best[0] is not None and best[1] is not None:
        state = {0: "locked", 1: "crossed"}.get(
            (best[0] >= best[1]) + (best[0] > best[1]) - 1, state
        )
    for value, instrument, sequence in (
        (envelope("okx", [okx(bids, asks)]), "BTC-USDT", 7),
        (coinone(bids, asks), "BTC", 1_790_000_000_000_007),
    ):
        [record] = parse(Decoder("orderbook", SETTINGS).decode([value], [KAFKA_TIME]).records)
        more = list(record.items())[USUAL["orderbook"] :]
        assert more == [
            ("instrument", instrument),
            ("quality", "valid"),
            ("book_state", state),
            ("totals_mismatch", None),
            ("bid_levels", alive[0]),
            ("ask_levels", alive[1]),
            *wanted.items(),
            ("exchange_time", "2026-09-21 14:13:20.000000+00:00"),
            ("ingest_time", "2026-09-21 14:13:20.123000+00:00"),
            ("sequence", sequence),
        ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_the_usual_keys_stay_what_they_are(exchange: str, kind: Kind) -> None:
    values = lines_of(FIXTURES / exchange / f"{kind}.jsonl")
    times: list[int | None] = [KAFKA_TIME] * len(values)
    usual = Decoder(kind).decode(values, times)
    more = Decoder(kind, SETTINGS).decode(values, times)
    assert usual.counts == more.counts
    before, after = usual.records.splitlines(), more.records.splitlines()
    assert len(before) == len(after) > 3
    for short, long in zip(before, after, strict=True):
        assert long.startswith(short[:-1] + b',"instrument":')
        json.loads(long)
    if kind == "ticker":
        [basis] = {json.loads(record)["change_basis"] for record in after}
        korean = ("upbit", "bithumb", "coinone", "korbit")
        assert basis == ("prev_close" if exchange in korean else "rolling_24h")


@pytest.mark.parametrize(
    ("exchange", "instrument"),
    [
        ("upbit", "KRW-BTC"),
        ("bithumb", "KRW-BTC"),
        ("coinone", "BTC"),
        ("korbit", "btc_krw"),
        ("okx", "BTC-USDT"),
        ("bybit", "BTCUSDT"),
        ("gateio", "_USDT"),
        ("binance", "BTCUSDT"),
        ("kraken", "BTC/USD"),
    ],
)
def test_instruments(exchange: str, instrument: str) -> None:
    """As the exchange names them; a raw partial book of Binance has no name."""
    for kind in KINDS:
        values = lines_of(FIXTURES / exchange / f"{kind}.jsonl")
        records = parse(Decoder(kind, SETTINGS).decode(values).records)
        names = {record["instrument"] or "" for record in records}
        assert any(name.endswith(instrument) for name in names)


def test_what_is_stale() -> None:
    book = envelope("okx", [okx({Decimal(1): Decimal(1)}, {})])
    for late, quality in ((60_000, "valid"), (60_001, "stale")):
        batch = Decoder("orderbook", SETTINGS).decode([book], [1_790_000_000_000 + late])
        assert parse(batch.records)[0]["quality"] == quality
        assert batch.counts["okx"]["odd_stale"] == (quality == "stale")


def test_without_kafka_there_is_no_time_of_ingestion() -> None:
    book = envelope("okx", [okx({Decimal(1): Decimal(1)}, {})])
    [record] = parse(Decoder("orderbook", SETTINGS).decode_lines(book).records)
    assert record["ingest_time"] is None


def test_totals_that_are_declared_wrongly() -> None:
    def item(total: float) -> Any:  # noqa: ANN401 - JSON
        unit = {"ask_price": 101, "bid_price": 99, "ask_size": 1.5, "bid_size": 2}
        totals = {"total_ask_size": 1.5, "total_bid_size": total}
        return {"type": "orderbook", "code": "KRW-BTC", **totals, "orderbook_units": [unit]}

    value = {"region": "korea", "market": "UPBIT", "symbol": "BTC", "data": [item(2), item(3)]}
    batch = Decoder("orderbook", SETTINGS).decode([json.dumps(value).encode()])
    assert [record["totals_mismatch"] for record in parse(batch.records)] == [False, True]


def test_books_that_are_not_valid_can_be_published() -> None:
    def change(previous: int, number: int) -> str:
        sides = {"asks": [], "bids": [["5", "1", "0", "1"]], "ts": "1790000000000"}
        data = {**sides, "checksum": 0, "seqId": number, "prevSeqId": previous}
        argument = {"channel": "books", "instId": "BTC-USDT"}
        return json.dumps({"arg": argument, "action": "update", "data": [data]})

    book = okx({Decimal(1): Decimal(1)}, {})
    texts = [change(5, 6), book, change(7, 8), change(9, 10), book]
    batch = Decoder("orderbook", extended("all")).decode([envelope("okx", texts)])
    assert [record["quality"] for record in parse(batch.records)] == [
        "warming",
        "valid",
        "valid",
        "suspect",
        "valid",
    ]
    usual = Decoder("orderbook", extended()).decode([envelope("okx", texts)])
    assert usual.counts["okx"]["warming"] == usual.counts["okx"]["suspect"] == 1
