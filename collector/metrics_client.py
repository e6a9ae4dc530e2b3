"""Reads a running service's /metrics and /readyz back, for the commands that show them."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ..errors import CollectorUnreachable
from ..queries.host.telemetry import PREFIX
from ..queries.store.lock_file import Owner
from ..queries.store.owner_connection import connect_to_owner

_SAMPLE = re.compile(rf"{PREFIX}(\w+?)(?:\{{(.*)\}})? ([0-9.e+-]+|NaN|\+Inf)")


def counters(owner: Owner) -> list[tuple[str, str, float]]:
    """(name, labels, value) of everything that the service counts. Raises CollectorUnreachable."""
    found = (_SAMPLE.fullmatch(line) for line in _ask(owner, "/metrics").splitlines())
    return [(sample[1], sample[2] or "", float(sample[3])) for sample in found if sample]


def parts(owner: Owner) -> dict[str, dict[str, Any]]:
    """Every part of the service with its `state`, `since`, `restarts` and `detail`. Raises CollectorUnreachable."""
    found: dict[str, dict[str, Any]] = msgspec.json.decode(_ask(owner, "/readyz"))["parts"]
    return found


def _ask(owner: Owner, path: str) -> str:
    try:
        connection = connect_to_owner(owner, 10)
        connection.request("GET", path, headers={"Authorization": f"Bearer {owner.token}"})
        text = connection.getresponse().read().decode()
        connection.close()
    except OSError as error:
        raise CollectorUnreachable(
            f"The service of process {owner.pid} at {owner.http} does not answer: {error}.",
            hint="It may be starting or stopping; try again.",
        ) from error
    return text
