"""The two kinds of messages."""

from typing import Literal, get_args

Kind = Literal["ticker", "orderbook"]

#: Both kinds.
KINDS: tuple[Kind, ...] = get_args(Kind)
