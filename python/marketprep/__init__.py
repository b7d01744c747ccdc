"""Exact, uniform records from the raw websocket messages of crypto exchanges.

>>> import marketprep
>>> decoder = marketprep.Decoder("orderbook")
>>> batch = decoder.decode([kafka_value, ...])
>>> marketprep.parse(batch.records)[0]["highest_bid"]
Decimal('66609.22')
"""

from marketprep._core import Batch, Reject
from marketprep.decoder import Decoder, Totals, parse
from marketprep.kind import Kind
from marketprep.settings import ExchangeSettings, Settings, SettingsError, load_settings

__all__ = [
    "Batch",
    "Decoder",
    "ExchangeSettings",
    "Kind",
    "Reject",
    "Settings",
    "SettingsError",
    "Totals",
    "load_settings",
    "parse",
]
