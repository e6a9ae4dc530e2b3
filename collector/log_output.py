"""The `[log]` table of evalspan.toml, and the service's own log on stderr: lines of text, or one JSON object a line."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from ..queries.plain_json import plain_json

Level = Literal["debug", "info", "warning", "error", "critical"]
_NAME = "evalspan.service"


class LogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[log]`: what the service says of itself on stderr."""

    format: Literal["text", "json"] = "text"
    """`json`: one object a line with time, level, logger and message, for whatever collects logs."""
    level: Level = "warning"
    """The least severe record that is written; what the service says when it starts and stops always is."""


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        written: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            written["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(plain_json(written)).decode()


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        if record.name == _NAME:
            return record.getMessage()
        return super().format(record)


def configure_log(config: LogConfig) -> None:
    """Sends every logger of the process to stderr as `[log]` says; called once, when the service starts."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if config.format == "json" else _Text("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=config.level.upper(), handlers=[handler], force=True)
    logging.getLogger(_NAME).setLevel(logging.INFO)


def announce(message: str, **fields: Any) -> None:
    """A line that is always written: addresses at the start, what is left at the stop, the scores of a window.

    As text it is the message alone; as JSON the fields stand beside it.
    """
    logging.getLogger(_NAME).info("%s", message, extra={"fields": fields})
