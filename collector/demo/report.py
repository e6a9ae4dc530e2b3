"""The story as it is printed at the end: what happened, what it showed, where to look further."""

from __future__ import annotations

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .found import Found
from .state import State

_VERDICTS = {0: "passed", 3: "failed", 4: "inconclusive"}
_LINES = 40
_DASHBOARD = "http://127.0.0.1:4318"
"""Where `evalspan serve` shows the store afterwards."""


def print_story(console: Console, found: Found, state: State, minutes: float) -> None:
    """Prints the whole story."""
    console.rule("[bold]What happened")
    console.print(
        f"{len(state.answered)} customers asked {state.model}; somebody edited the system prompt halfway; nobody "
        f"tagged a version. {found.scored} answers were stored (the rest stands behind their weights) and scored."
    )
    print_alerts(console, found)
    _drift(console, found)
    _cases(console, found)
    _gates(console, found)
    _ending(console, found)
    _further(console, found, minutes)


def print_alerts(console: Console, found: Found) -> None:
    """Prints what the service raised, with what it rests on."""
    console.rule("[bold]Alerts of the running service")
    if not found.alerts:
        console.print("None was raised.")
    for alert in found.alerts:
        console.print(Text(f"{alert.severity.upper()} {alert.rule}: {alert.message}", style="bold"))
        lines = [alert.numbers, f"$ {alert.query}    # {alert.condition}"]
        lines += [f"{_DASHBOARD}{path}" for path in alert.links[:1]]
        console.print(Text("\n".join(f"  {line}" for line in lines)), soft_wrap=True)


def _drift(console: Console, found: Found) -> None:
    console.rule("[bold]Drift")
    said = found.drift_report.strip().splitlines()
    shown = said[:_LINES] + ([f"... {len(said) - _LINES} more lines"] if len(said) > _LINES else [])
    console.print(Text(f"$ {found.drift_command}", style="bold"))
    console.print(Text("\n".join(shown)))
    console.print(f"exit {found.drift_code}")


def _cases(console: Console, found: Found) -> None:
    console.rule("[bold]Failures become regression cases")
    console.print(Text(found.export_said))
    cases = found.cases
    if cases is None:
        console.print("No failures were exported, so there are no cases.")
        return
    table = Table("what the review found", "cases", "kept in")
    table.add_row(
        "broken by the edit: right with the old prompt, wrong with the new", str(cases.regression), cases.path.name
    )
    table.add_row("the small model's own weakness: wrong with both", str(cases.weaknesses), cases.set_aside.name)
    table.add_row("did not fail again without chance", str(cases.flaky), cases.set_aside.name)
    console.print(table)


def _gates(console: Console, found: Found) -> None:
    if not found.gates:
        return
    console.rule("[bold]The gate")
    table = Table("replayed", "exit", "verdict")
    for gated in found.gates:
        table.add_row(gated.title, str(gated.code), _VERDICTS.get(gated.code, "did not run"))
    console.print(table)
    for gated in found.gates:
        if gated.code not in _VERDICTS:
            console.print(Text(f"$ {gated.command}\n{gated.said}"))


def _ending(console: Console, found: Found) -> None:
    if found.effect_shown:
        text = "The edit raised an alert, was named by its system_hash, turned into cases, and the gate now stops it."
        console.print(Panel(text, title="the loop is closed", border_style="green"))
        return
    missing = [
        what
        for what, there in (
            ("no alert about quality was raised", bool(found.quality_alerts)),
            ("no drift was found", found.drift_code == 3),
            ("no failure was caused by the edit alone", bool(found.cases and found.cases.regression)),
            ("the gate's verdicts were not 3, 0 and 4", [gated.code for gated in found.gates] == [3, 0, 4]),
        )
        if not there
    ]
    text = f"Nothing here is staged: in this run {'; '.join(missing)}. Another run, or more minutes, may show more."
    console.print(Panel(text, title="not the whole story this time", border_style="yellow"))


def _further(console: Console, found: Found, minutes: float) -> None:
    store = f"chdb://{(found.folder / 'store').resolve()}"
    console.rule("[bold]Look further")
    lines = [
        f"export EVALSPAN_STORE={store}",
        'evalspan sql "SELECT request_model, count(), avg(output_tokens) FROM spans GROUP BY 1"',
        'evalspan sql "SELECT name, system_hash, count(), avgWeighted(score, sample_weight) FROM evaluations GROUP BY ALL"',
        "evalspan queries run score_trend of=usage metric=output_tokens since_s=1296000   # latency, tokens, errors, too",
        "evalspan alert history",
        "evalspan annotate --metric grounded    # your own verdicts on 20 calls; they check and correct the evaluator",
        f"evalspan serve --store {store}    # the dashboard, at {_DASHBOARD}",
    ]
    console.print(Text("\n".join(lines)), soft_wrap=True)
    console.print(
        f"Files in {found.folder}: the store, the cases and the gate's reports. This took {minutes:.1f} minutes."
    )
