"""How an insert of OTLP records runs: which schema they have, and what is not planned for each of them."""

from __future__ import annotations

from .migrations import SCHEMA

# A server has no file of ours, so it gets the text; the embedded engine would keep a copy of the text in the directory
# that the process happens to be in, which may be nobody's to write to.
_PROTO = SCHEMA / "otlp.proto"
OTLP_FILE = {"format_schema_source": "file", "format_schema": f"{_PROTO}:Request"}
OTLP_TEXT = {
    "format_schema_source": "string",
    "format_schema": "\n".join(
        line for line in _PROTO.read_text(encoding="utf-8").splitlines() if not line.startswith("//")
    ),
    "format_schema_message_name": "Request",
}


def rows_settings(token: str) -> dict[str, str | int]:
    """The settings of one insert of rows; a token that was inserted before adds nothing."""
    return {
        "insert_deduplication_token": token,
        "max_partitions_per_insert_block": 0,  # clocks are wrong by years on somebody's machine
        "max_insert_threads": 1,
        "max_threads": 1,
        # The statements are planned anew for every insert; there is nothing to optimise in them, only time to lose.
        "query_plan_enable_optimizations": 0,
        # Doubles within one insert and the indexes of a part this small are left to the first merge, which looks at
        # every row anyway; readers (final = 1) see each span once before it, too.
        "optimize_on_insert": 0,
        "materialize_skip_indexes_on_insert": 0,
    }


def otlp_settings(token: str, *, embedded: bool) -> dict[str, str | int]:
    """The settings of one insert of records, which the decoder's views read."""
    return {
        **(OTLP_FILE if embedded else OTLP_TEXT),
        **rows_settings(token),
        "input_format_protobuf_oneof_presence": 1,
        "deduplicate_blocks_in_dependent_materialized_views": 1,
    }
