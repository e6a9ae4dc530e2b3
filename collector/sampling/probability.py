"""Consistent probability sampling, the arithmetic under every sampling decision between the log and the insert.

OpenTelemetry's rule: a trace has 56 random bits R (the low 56 bits of its id, or `ot=rv:` in its trace state); a stage
with rejection threshold T keeps it when R >= T, so it is kept with probability 1 - T/2^56 and stands for
2^56/(2^56 - T) traces. Stages and machines that never talk agree, because they all look at the same R.
Source: opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling.
"""

from __future__ import annotations

import hashlib
import re

SPACE = 1 << 56
NEVER = SPACE  # the threshold that keeps nothing
_HEX = re.compile(r"[0-9a-f]{1,14}\Z")
_HEX14 = re.compile(r"[0-9a-f]{14}\Z")


def threshold_of(probability: float) -> int:
    """The rejection threshold of a keep probability in [0, 1]; 0 keeps everything, 2^56 nothing."""
    return min(max(SPACE - round(probability * SPACE), 0), SPACE)


def probability_of(threshold: int) -> float:
    """The keep probability of a threshold."""
    return (SPACE - threshold) / SPACE


def weight_of(threshold: int) -> float:
    """How many spans one kept span stands for: 2^56/(2^56 - T).

    Raises:
        ZeroDivisionError: for the threshold that keeps nothing, since nothing kept has that weight.
    """
    return SPACE / (SPACE - threshold)


def randomness_of(trace_id: bytes, trace_state: str = "") -> int:
    """The 56 random bits of a trace: `ot=rv:` where the trace state has it, else the low 7 bytes of the id."""
    if "rv:" in trace_state:
        value = _fields(trace_state).get("rv", "")
        if _HEX14.match(value):
            return int(value, 16)
    return int.from_bytes(trace_id[-7:], "big")


def randomness_of_conversation(conversation_id: str) -> int:
    """56 random bits of a conversation, the same on every machine: all of its traces are kept or dropped together."""
    return int.from_bytes(hashlib.sha256(conversation_id.encode("utf-8", "replace")).digest()[:7], "big")


def incoming_threshold(trace_state: str, randomness: int) -> int:
    """The threshold a sampler before us applied (`ot=th:`); 0 when none, or when it contradicts the randomness.

    A span that says T but has R < T was not sampled that way, so its T says nothing about its weight.
    """
    if "th:" not in trace_state:
        return 0
    value = _fields(trace_state).get("th", "")
    if not _HEX.match(value):
        return 0
    threshold = int(value.ljust(14, "0"), 16)
    return threshold if randomness >= threshold else 0


def with_threshold(trace_state: str, threshold: int) -> str:
    """The trace state with `th` in its `ot` member set to the threshold, everything else kept."""
    fields = _fields(trace_state)
    fields["th"] = f"{threshold:014x}".rstrip("0") or "0"
    member = "ot=" + ";".join(f"{key}:{value}" for key, value in fields.items())
    others = [part for part in _members(trace_state) if not part.startswith("ot=")]
    return ",".join([member, *others])


def _members(trace_state: str) -> list[str]:
    return [part.strip() for part in trace_state.split(",") if part.strip()]


def _fields(trace_state: str) -> dict[str, str]:
    for member in _members(trace_state):
        if member.startswith("ot="):
            return dict(pair.split(":", 1) for pair in member[3:].split(";") if ":" in pair)
    return {}
