"""Constraints: named rules that run on every evaluation; breaking one is always a failure and is looked at first.

A rule is a callable on the output's text; `checks.py` has the usual ones. A rule that raises has failed, with its
error, and the others still run.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from ...errors import UsageError
from ..contract import ARGUMENTS, Direction, Score, Unscored, fingerprint, source_of
from ..text.passages import passage_text

Check = Callable[..., Any]


class Tolerance(msgspec.Struct, frozen=True):
    """How a set of constraints fares on outputs that are known to be bad."""

    outputs: int
    caught: int
    never_failing: tuple[str, ...]
    """Constraints that no known-bad output breaks."""
    warning: str | None
    """What is wrong and what to do, None when every known-bad output is caught."""


class Constraints:
    """A set of named rules: `Constraints("support").add("short", WordCount(at_most=150)).add(...)`.

    The score is the share of rules kept, in [0, 1]; it passes only when all are. `details` hold `all_passed` and
    `constraints`, for each name `{"passed": bool | None, "error": str | None}`, None for what could not be checked. An empty set is refused, because it would
    pass everything, and so is a name used twice.
    """

    kind = "constraints"
    source = "code"
    direction: Direction = "higher"
    threshold: float | None = None
    inline = True

    def __init__(
        self, name: str = "constraints", checks: Mapping[str, Check] | None = None, *, version: str | None = None
    ) -> None:
        self.name = name
        self._version = version
        self._checks: dict[str, tuple[Check, tuple[str, ...]]] = {}
        for key, check in (checks or {}).items():
            self.add(key, check)

    @property
    def version(self) -> str:
        """A fingerprint of all names and rules, unless one was given."""
        return self._version or fingerprint(*(f"{name}={source_of(one)}" for name, (one, _) in self._checks.items()))

    @property
    def names(self) -> list[str]:
        """The names of the rules, in the order in which they were added."""
        return list(self._checks)

    def add(self, name: str, check: Check) -> Constraints:
        """Adds a rule and returns the set.

        `check(output)` returns True or False, a text (what is wrong), `(passed, what is wrong)` or
        `Unscored(reason)` for what it cannot check, which makes the whole result Unscored unless another rule fails;
        anything else fails. Further parameters may be named `input`, `context`, `expected`, `span` or `example`.
        Raises UsageError for a name used twice, or something that is not a plain callable.
        """
        if not name or name in self._checks:
            raise UsageError(
                f"{self.name}: the constraint {name!r} exists already" if name else f"{self.name}: a constraint needs a name",
                hint="give each constraint a name of its own: of two with one name only one would be seen",
            )  # fmt: skip
        if not callable(check) or isinstance(check, type) or inspect.iscoroutinefunction(check):
            raise UsageError(
                f"{self.name}: the constraint {name!r} is {check!r}, which cannot be called on a text",
                hint="pass a function of the output, for example lambda output: len(output) < 500",
            )
        self._checks[name] = (check, _further_arguments(check))
        return self

    def ready(self) -> None:
        """Raises UsageError when there is no rule in the set."""
        if not self._checks:
            raise UsageError(
                f"{self.name} has no constraints: it would pass everything",
                hint="add at least one with .add(name, check)",
            )

    async def evaluate(self, **arguments: Any) -> Score | Unscored:
        """The score of `output`; the other arguments are there for rules that ask for them."""
        return self(arguments.pop("output", None), **arguments)

    def __call__(self, output: Any, **arguments: Any) -> Score | Unscored:
        """As `evaluate`, without a loop."""
        self.ready()
        if output is None:
            return Unscored("no output")
        # An object is what it would be on the wire; messages and passages are their text.
        text = json.dumps(output, ensure_ascii=False, default=str) if isinstance(output, dict) else passage_text(output)
        results = {name: self._run(check, text, wanted, arguments) for name, (check, wanted) in self._checks.items()}
        failed = {name: result["error"] for name, result in results.items() if result["passed"] is False}
        unread = {name: result["error"] for name, result in results.items() if result["passed"] is None}
        if unread and not failed:
            said = "; ".join(f"{name}: {reason}" for name, reason in unread.items())
            return Unscored(said, {"all_passed": False, "constraints": results})
        return Score(
            1 - (len(failed) + len(unread)) / len(results),
            label=None if not failed else ", ".join(failed),
            passed=not failed,
            explanation="; ".join(f"{name}: {error}" for name, error in failed.items()) or None,
            details={"all_passed": not failed, "constraints": results},
        )

    def leniency(self, known_bad: Iterable[str]) -> Tolerance:
        """Runs the set on outputs that are known to be bad: a set that passes them all says nothing about quality.

        Raises UsageError when there are none.
        """
        scores = [score for score in map(self, known_bad) if isinstance(score, Score)]
        if not scores:
            raise UsageError(f"{self.name}: no known-bad outputs to try", hint="collect a few answers that must fail")
        broken = {name for score in scores for name, one in score.details["constraints"].items() if not one["passed"]}
        caught = sum(score.passed is False for score in scores)
        never = tuple(name for name in self._checks if name not in broken)
        return Tolerance(len(scores), caught, never, self._warning(len(scores), caught, never))

    def _warning(self, outputs: int, caught: int, never: tuple[str, ...]) -> str | None:
        if caught == outputs:
            return None
        verdict = "too lenient, a pass rate is not quality" if not caught else "lenient"
        idle = f"; none of them breaks {', '.join(never)}" if never else ""
        return (
            f"{self.name} is {verdict}: {outputs - caught} of {outputs} known-bad outputs pass{idle}. "
            "Tighten the constraints, or add one for what is wrong with these outputs"
        )

    def _run(self, check: Check, text: str, wanted: tuple[str, ...], arguments: Mapping[str, Any]) -> dict[str, Any]:
        try:
            result = check(text, **{name: arguments.get(name) for name in wanted})
            if isinstance(result, Unscored):
                return {"passed": None, "error": result.reason}
            passed, error = _verdict(result)
        except Exception as problem:  # noqa: BLE001 - a rule that breaks has failed, with its error
            return {"passed": False, "error": f"{type(problem).__name__}: {problem}"}
        return {"passed": passed, "error": None if passed else error or "not met"}


def _verdict(result: Any) -> tuple[bool, str | None]:
    if isinstance(result, tuple) and len(result) == 2:
        return bool(result[0]), str(result[1]) if result[1] else None
    if isinstance(result, str):
        return False, result
    if isinstance(result, bool) or type(result).__name__ in ("bool", "bool_"):
        return bool(result), None
    return False, f"the check returned {type(result).__name__}, not a bool, a text or (bool, text)"


def _further_arguments(check: Check) -> tuple[str, ...]:
    try:
        parameters = list(inspect.signature(check).parameters.values())
    except ValueError:  # a built-in without a signature
        return ()
    return tuple(one.name for one in parameters[1:] if one.name in ARGUMENTS and one.kind is not one.POSITIONAL_ONLY)
