"""All settings in one place: each table is its owner's struct; here they are read, overlaid and explained.

Precedence: flag > environment (EVALSPAN_<TABLE>_<KEY>, and EVALSPAN_STORE for the DSN) > evalspan.toml > default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from ..dashboard.config import DashboardConfig
from ..evaluators.online.config import EvaluationConfig
from ..queries.host.auth import AuthConfig
from ..queries.host.limits import LimitsConfig
from ..queries.setting_checks import convert_list, convert_table, refuse, unknown_names
from ..queries.settings import Mistake, Sources, line_of, read_sources
from ..queries.store.config import RetentionConfig, StoreConfig
from .alerts.config import AlertsConfig
from .insert.price_settings import PriceSetting
from .log_output import LogConfig
from .receivers.config import ReceiveConfig
from .sampling.config import SamplingConfig


class Config(msgspec.Struct, frozen=True):
    """Every table of evalspan.toml, and where each value that is not a default came from."""

    store: StoreConfig = StoreConfig()
    retention: RetentionConfig = RetentionConfig()
    receive: ReceiveConfig = ReceiveConfig()
    sampling: SamplingConfig = SamplingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    alerts: AlertsConfig = AlertsConfig()
    auth: AuthConfig = AuthConfig()
    limits: LimitsConfig = LimitsConfig()
    dashboard: DashboardConfig = DashboardConfig()
    log: LogConfig = LogConfig()
    prices: tuple[PriceSetting, ...] = ()
    origins: dict[str, str] = {}  # "receive.port" -> "evalspan.toml:3"

    def origin(self, table: str, key: str) -> str:
        """Where the value comes from: a flag, a variable, file and line, or "default"."""
        return self.origins.get(f"{table}.{key}", "default")


TABLES: dict[str, type[msgspec.Struct]] = {
    name: kind
    for name, kind in get_type_hints(Config).items()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
}
LISTS: dict[str, type[msgspec.Struct]] = {"prices": PriceSetting}
"""Settings that are lists of tables, `[[prices]]`."""


def load_config(
    path: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """The settings for this process. `flags` are {"table.key": value}; None values were not given.

    `path` None means `--config`, EVALSPAN_CONFIG, else ./evalspan.toml if there is one.

    Raises:
        ConfigError: an unreadable file, unknown tables or keys, values of the wrong type; all of them, with places.
    """
    config, mistakes = check_config(path, flags, environment)
    refuse(mistakes)
    return config


def check_config(
    path: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[Config, list[Mistake]]:
    """The settings with defaults where they are wrong, and everything that is wrong with them.

    Raises:
        ConfigError: the file is not there or not TOML.
    """
    sources = read_sources(path, flags, environment)
    mistakes = list(unknown_names(sources, {**TABLES, **LISTS}))
    tables: dict[str, Any] = {}
    for table, kind in TABLES.items():
        tables[table], found = convert_table(sources, table, kind)
        mistakes += found
    for name, kind in LISTS.items():
        tables[name], found = convert_list(sources, name, kind)
        mistakes += found
    mistakes += _doubled_prices(sources)
    return Config(**tables, origins=sources.origins), mistakes


def _doubled_prices(sources: Sources) -> Iterator[Mistake]:
    """Prices of the same calls: the first would count, and the others never."""
    given = sources.values.get("prices")
    seen = set()
    for number, one in enumerate(given if isinstance(given, list) else ()):
        if not isinstance(one, dict) or not isinstance(one.get("model"), str):
            continue
        key = (one["model"].lower(), *(str(one.get(name, "")).lower() for name in ("provider", "service_tier")))
        if key in seen:
            where = f"{sources.file}:{line_of(sources.text, ['prices', number, 'model'])}"
            yield Mistake(where, f"[[prices]] has {one['model']!r} twice.", "Keep one of them: the first would count.")
        seen.add(key)
