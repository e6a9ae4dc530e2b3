"""Reads a running service's /metrics back into rows, for the commands that show them."""

from __future__ import annotations

import re

from ..errors import CollectorUnreachable
from ..queries.host.telemetry import PREFIX
from ..queries.store.lock_file import Owner
from ..queries.store.owner_connection import connect_to_owner

_SAMPLE = re.compile(rf"{PREFIX}(\w+?)(?:\{{(.*)\}})? ([0-9.e+-]+|NaN|\+Inf)")


def counters(owner: Owner) -> list[tuple[str, str, float]]:
    """(name, labels, value) of everything that the service counts. Raises CollectorUnreachable."""
    try:
        connection = connect_to_owner(owner, 10)
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {owner.token}"})
        text = connection.getresponse().read().decode()
        connection.close()
    except OSError as error:
        raise CollectorUnreachable(
            f"The service of process {owner.pid} at {owner.http} does not answer: {error}.",
            hint="It may be starting or stopping; try again.",
        ) from error
    found = (_SAMPLE.fullmatch(line) for line in text.splitlines())
    return [(sample[1], sample[2] or "", float(sample[3])) for sample in found if sample]
