"""`make frameworks`: runs every framework for real, records what it exports and writes the table of docs/frameworks.md.

`python -m tests.frameworks.matrix [NAME ...]` from the repository's root; each framework has an environment of its own,
kept between runs (tests/environments.py). `--table` runs none and writes the table anew. Exit 1 when something is not as tests/frameworks/truth.py wants it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from evalspan.queries.store.client import Store, open_store

from .catalog import CASES, JAVASCRIPT
from .model_server import Runs, model_server
from .recording import RECORDINGS, Recording, load
from .running import run, run_javascript
from .truth import Stored, case_of, faults

PAGE = Path(__file__).parents[2] / "docs" / "frameworks.md"
BEGIN, END = "<!-- table: made by `make frameworks` -->", "<!-- end of the table -->"
_HEAD = (
    "| framework | install | traced by | calls | tokens | agents | tools | retrieval | what to know |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def record(name: str, address: str, runs: Runs) -> Recording:
    """Runs one app bare and with the one line, and saves what the second exported."""
    if name in JAVASCRIPT:
        recorded = run_javascript(name, address, runs)
        recorded.save()
        return recorded
    plain = run(name, "plain", address, runs)
    traced = run(name, "one", address, runs)
    traced.plain_steps = plain.steps
    traced.save()
    return traced


def row(stored: Stored) -> str:
    """One line of the table."""
    recording, case = stored.recording, case_of(stored.recording)
    counted = [one for one in recording.requests if one["counted"] and one["status"] == 200]
    calls = [one for one in stored.of("call") if one["status"] != "ERROR"]
    tokens = sum(one["input"] + one["output"] for one in counted if one["reported"])
    kept = sum((one["input_tokens"] or 0) + (one["output_tokens"] or 0) for one in calls)
    by = recording.traced_by.get(recording.framework.replace("_", "-"), [None])[0]
    cells = [
        f"{case.version_of.rstrip('0123456789')} {recording.version}",
        f"`evalspan[{case.extra}]`" if case.extra else "npm",
        ("plain OTLP" if recording.framework in JAVASCRIPT else str(by or "evalspan"))
        .replace("opentelemetry-instrumentation-", "")
        .replace("openinference-instrumentation-", "OpenInference "),
        f"{len(calls)} of {len(counted)}",
        f"{kept:,} of {tokens:,}",
        *(str(len(stored.of(role))) for role in ("agent", "tool", "retrieval")),
        case.note,
    ]
    return f"| {' | '.join(cells)} |"


def write_page(rows: list[str]) -> None:
    """Puts the table between its marks."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{_HEAD}\n" + "\n".join(rows) + f"\n{END}{after}")


def stored_recordings(store: Store) -> list[Stored]:
    """Every recording there is, in the order of the catalog."""
    found = {path.name.split(".")[0]: path for path in RECORDINGS.glob("*.one.msgpack.gz")}
    return [Stored(load(found[name]), store) for name in [*CASES, *JAVASCRIPT] if name in found]


def main(names: list[str]) -> int:
    """Runs the named frameworks, all without names; the table is always of all recordings."""
    wrong = 0
    with model_server() as (address, runs):
        for name in [] if names == ["--table"] else names or [*CASES, *JAVASCRIPT]:
            try:
                recorded = record(name, address, runs)
                print(f"{name} {recorded.version}: {len(recorded.requests)} requests", flush=True)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                wrong += 1
                print(f"{name}: could not be run: {error}", flush=True)
    with tempfile.TemporaryDirectory() as folder, open_store(f"chdb://{folder}/store") as store:
        everything = stored_recordings(store)
        write_page([row(one) for one in everything])
        for one in everything:
            for fault in faults(one):
                wrong += 1
                print(f"{one.recording.framework}: {fault}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
