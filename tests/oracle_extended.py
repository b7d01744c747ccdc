"""The oracle of an order book's derived figures: their definitions in fractions, digit by digit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

Level: TypeAlias = tuple[Decimal, Decimal]

BPS = 10_000
# Decimals of a figure that has no last one.
PLACES = 10


def figures(
    bids: Iterable[Level],
    asks: Iterable[Level],
    imbalance_levels: Iterable[int],
    depth_bps: Iterable[int],
) -> dict[str, Decimal | None]:
    """All figures of a book in the order of a record, each as it is written there.

    The levels may be in any order, of which that of levels at one price is kept. Those without a
    price or without a size do not count.
    """
    exact = fractions_of(bids, asks, sorted(set(imbalance_levels)), sorted(set(depth_bps)))
    return {
        name: None if value is None else Decimal(render(value)) for name, value in exact.items()
    }


def fractions_of(
    bids: Iterable[Level],
    asks: Iterable[Level],
    imbalance_levels: Sequence[int],
    depth_bps: Sequence[int],
) -> dict[str, Fraction | None]:
    """The figures before they are rounded."""
    buys = sorted(live(bids), key=price_of, reverse=True)
    sells = sorted(live(asks), key=price_of)
    exact: dict[str, Fraction | None] = {
        "best_bid_size": buys[0][1] if buys else None,
        "best_ask_size": sells[0][1] if sells else None,
    }
    mid: Fraction | None = None
    spread_bps: Fraction | None = None
    weighted_mid: Fraction | None = None
    if buys and sells:
        (bid, bid_size), (ask, ask_size) = buys[0], sells[0]
        mid = (bid + ask) / 2
        spread_bps = BPS * (ask - bid) / mid
        weighted_mid = (bid * ask_size + ask * bid_size) / (bid_size + ask_size)
    exact |= {"mid_price": mid, "spread_bps": spread_bps, "weighted_mid": weighted_mid}
    exact["imbalance_l1"] = imbalance(buys[:1], sells[:1])
    for levels in imbalance_levels:
        exact[f"imbalance_{levels}"] = imbalance(buys[:levels], sells[:levels])
    for bps in depth_bps:
        bid_depth: Fraction | None = None
        ask_depth: Fraction | None = None
        if mid is not None:
            width = mid * bps / BPS
            bid_depth = total(level for level in buys if level[0] >= mid - width)
            ask_depth = total(level for level in sells if level[0] <= mid + width)
        exact |= {f"bid_depth_{bps}bps": bid_depth, f"ask_depth_{bps}bps": ask_depth}
    return exact


def live(levels: Iterable[Level]) -> list[tuple[Fraction, Fraction]]:
    return [(Fraction(price), Fraction(size)) for price, size in levels if price > 0 and size > 0]


def price_of(level: tuple[Fraction, Fraction]) -> Fraction:
    return level[0]


def total(levels: Iterable[tuple[Fraction, Fraction]]) -> Fraction:
    return sum((size for _, size in levels), start=Fraction())


def imbalance(
    bids: Sequence[tuple[Fraction, Fraction]], asks: Sequence[tuple[Fraction, Fraction]]
) -> Fraction | None:
    """Between -1, asks only, and 1, bids only; nothing if there are no levels at all."""
    if not bids and not asks:
        return None
    return (total(bids) - total(asks)) / (total(bids) + total(asks))


def render(value: Fraction) -> str:
    """Plain notation: all decimals if they end, else ten, rounded half to even."""
    places = decimals(value)
    if places is None:
        value = Fraction(round(value * 10**PLACES), 10**PLACES)
        places = PLACES
    units = value * 10**places
    digits = str(abs(units.numerator)).zfill(places + 1)
    whole, fraction = digits[: len(digits) - places], digits[len(digits) - places :].rstrip("0")
    return ("-" if value < 0 else "") + whole + ("." + fraction if fraction else "")


def decimals(value: Fraction) -> int | None:
    """How many decimals a number has, or nothing if they never end."""
    rest = value.denominator
    powers = []
    for factor in (2, 5):
        power = 0
        while rest % factor == 0:
            rest //= factor
            power += 1
        powers.append(power)
    return max(powers) if rest == 1 else None
