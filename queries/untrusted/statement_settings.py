"""The settings of a statement from outside: which it may change, how far, and what it gets whatever it asks."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...errors import QueryError
from ..literals import literal
from ..store.engine import FINAL_SETTINGS, TIMES
from .sql_gate import Limits

READONLY = 164
MAX_SETTINGS, MAX_SETTING_CHARACTERS = 100, 1_000

_ALLOWED_SETTING = re.compile(
    r"^(output_format_(json|csv|tsv|pretty|native|parquet|arrow|orc|avro|msgpack|markdown|xml|values|decimal|sql_insert"
    r"|write_statistics|float|binary|bson|always)\w*"
    r"|format_(csv_delimiter|csv_null_representation|tsv_null_representation|binary_max_\w+)"
    r"|(date_time|bool_true|bool_false)_\w+|join_use_nulls|extremes|final|group_by_use_nulls|union_default_mode"
    r"|session_timezone|max_block_size|max_execution_time|max_result_rows|max_threads|max_rows_to_read"
    r"|result_overflow_mode|limit|offset|low_cardinality_allow_in_native_format|enable_analyzer"
    r"|cast_keep_nullable|cast_string_to_\w+|aggregate_functions_null_for_empty|transform_null_in|log_comment|interactive_delay"
    r"|timeout_overflow_mode|connect_timeout|receive_timeout|send_timeout|input_format_\w+"
    # What our own commands ask with, `--store` being the SQL port of a service elsewhere.
    r"|do_not_merge_across_partitions_select_final)$"
)
# A setting that a limit caps, with the limit.
_CAPPED = {"max_execution_time": "time_s", "max_result_rows": "result_rows", "max_threads": "threads"}
# The engine looks whether to stop between blocks of rows, and not inside a function's call.
MAX_BLOCK_ROWS, SMALL_BLOCK_ROWS, MAX_RANGE_ELEMENTS = 65_536, 256, 10_000_000
_SETTINGS = re.compile(
    r"\bSETTINGS\s+(\w+\s*=\s*(?:[\w.]+|'[\w ./-]*')(?:\s*,\s*\w+\s*=\s*(?:[\w.]+|'[\w ./-]*'))*)\s*((?:FORMAT\s+\w+)?)\s*;?\s*$",
    re.IGNORECASE,
)
_SETTING = re.compile(r"(\w+)\s*=\s*([\w.]+|'[\w ./-]*')")


def take_settings(sql: str) -> tuple[str, dict[str, str]]:
    """The statement without the SETTINGS clause at its end, and what that sets: a read-only handle takes no clause."""
    found = _SETTINGS.search(sql)
    if not found:
        return sql, {}
    values = {name: value.strip("'") for name, value in _SETTING.findall(found.group(1))}
    return sql[: found.start()] + " " + found.group(2), values


def check_settings(settings: Mapping[str, str]) -> None:
    """Raises QueryError, code 164, for a setting that SQL from outside may not change, and for too many or too long ones."""
    if len(settings) > MAX_SETTINGS:
        raise QueryError(f"More than {MAX_SETTINGS} settings.", hint="Leave some out.", code=READONLY)
    for name in settings:
        if not _ALLOWED_SETTING.match(name):
            raise QueryError(
                f"Cannot modify '{name}' setting in readonly mode.",
                hint="docs/sql.md lists what may be set.",
                code=READONLY,
            )
        if len(settings[name]) > MAX_SETTING_CHARACTERS:
            raise QueryError(
                f"The value of setting '{name}' is longer than {MAX_SETTING_CHARACTERS} characters.",
                hint="Shorten it.",
                code=READONLY,
            )


def assignments(settings: dict[str, str], limits: Limits, *, confined: bool) -> str:
    """What SET is given before the statement runs. `confined`: it runs for a project's key."""
    check_settings(settings)
    capped = {
        name: _smaller(settings[name], getattr(limits, field)) for name, field in _CAPPED.items() if name in settings
    }
    if "max_block_size" in settings:
        capped["max_block_size"] = _smaller(settings["max_block_size"], MAX_BLOCK_ROWS)
    capped["function_range_max_elements_in_block"] = str(MAX_RANGE_ELEMENTS)
    if "result_overflow_mode" in settings:
        capped["result_overflow_mode"] = settings["result_overflow_mode"]  # less than the limit, or an error
    every = {**TIMES, **{k: str(v) for k, v in FINAL_SETTINGS.items()}, **settings, **limits.settings(), **capped}
    if confined:
        every["enable_analyzer"] = "1"  # the barrier of the views was tried with this one
    return ", ".join(f"{name} = {literal(value)}" for name, value in every.items())


def array_search_settings() -> dict[str, str]:
    """What a statement gets, after all others, that may go through an array for every row."""
    return {"max_block_size": str(SMALL_BLOCK_ROWS)}


def _smaller(asked: str, most: float) -> str:
    try:
        number = float(asked)
    except ValueError:
        return str(most)
    return asked if 0 < number <= most else str(most)
