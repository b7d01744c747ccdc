"""The settings: the only reader of YAML and of the environment."""

from marketprep.settings.load import Loaded, load_settings, read_settings, shown
from marketprep.settings.model import (
    REGIONS,
    ExchangeSettings,
    KafkaSettings,
    LaneTopics,
    Region,
    Settings,
    SinkSettings,
    StoreSettings,
)
from marketprep.settings.problem import Problem, SettingsError

__all__ = [
    "REGIONS",
    "ExchangeSettings",
    "KafkaSettings",
    "LaneTopics",
    "Loaded",
    "Problem",
    "Region",
    "Settings",
    "SettingsError",
    "SinkSettings",
    "StoreSettings",
    "load_settings",
    "read_settings",
    "shown",
]
