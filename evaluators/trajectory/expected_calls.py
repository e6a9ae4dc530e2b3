"""`ToolCalls`: were the right tools called, in the right order, with the right arguments? Compared with what a case expects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from ...errors import UsageError
from ...queries.plain_json import plain_json
from ..contract import Direction, Score, Unit, Unscored, fingerprint, source_of
from .tool_calls import ToolCall
from .trace import Trace

Order = Literal["exact", "any", "subset", "superset"]
ArgumentsRule = Literal["exact", "subset", "ignore"]
ORDERS: tuple[Order, ...] = ("exact", "any", "subset", "superset")
RULES: tuple[ArgumentsRule, ...] = ("exact", "subset", "ignore")
NO_SPANS = (
    "no span was captured: the target is not instrumented. Call evalspan.init() in it, or return its steps beside the "
    'output: {"output": ..., "tool_calls": [{"name": ..., "arguments": {...}}]}'
)


class ExpectedCall(msgspec.Struct, frozen=True):
    """A tool call that a case expects; without arguments any will do."""

    name: str
    arguments: dict[str, Any] | None = None


class ToolCalls:
    """Compares the tool calls of a trace with the expected ones.

    `expected` are objects with `name` and, where they matter, `arguments`; left out, the example's `expected_tools`.
    `order`: "exact" wants the same calls in the same order; "any" the same calls in any order; "subset" no call that is
    not expected; "superset" every expected call, others may come in between. `arguments`: "exact" wants equal
    arguments; "subset" the expected ones among the actual ones; "ignore" compares names alone; a function gets
    (expected, actual) arguments and says whether they match. `ignore` names tools that do not count at all.

    The value is the share of the calls that match, 1 only when all do; it passes at 1. `details` hold what was
    missing, what was unexpected, what had other arguments, and the spans concerned.
    """

    kind = "tools"
    source = "code"
    direction: Direction = "higher"
    threshold: float | None = None
    unit: Unit = "trace"
    inline = True

    def __init__(
        self,
        expected: Sequence[Mapping[str, Any] | str] | None = None,
        *,
        order: Order = "exact",
        arguments: ArgumentsRule | Callable[[Any, Any], bool] = "exact",
        ignore: Sequence[str] = (),
        name: str = "tool_calls",
    ) -> None:
        if order not in ORDERS:
            raise UsageError(f"ToolCalls order {order!r} is unknown", hint=f"one of {', '.join(ORDERS)}")
        if not callable(arguments) and arguments not in RULES:
            raise UsageError(
                f"ToolCalls arguments {arguments!r} is unknown", hint=f"one of {', '.join(RULES)}, or a function"
            )
        self.name = name
        self.expected = None if expected is None else expected_calls(expected, "ToolCalls(expected=...)")
        self.order, self.arguments = order, arguments
        self.ignore = frozenset([ignore] if isinstance(ignore, str) else ignore)
        rule = arguments if isinstance(arguments, str) else source_of(arguments)
        wanted = "" if self.expected is None else repr(self.expected)
        self.version = fingerprint("tool-calls-1", order, rule, wanted, *sorted(self.ignore))

    def __repr__(self) -> str:
        return f"<ToolCalls {self.name} order={self.order} {self.version}>"

    async def evaluate(self, *, trace: Any = None, example: Any = None, **_: Any) -> Score | Unscored:
        """The score of a trace; Unscored without a trace, without spans, and where nothing says what is expected."""
        return self(trace, example=example)

    def __call__(self, trace: Trace | None, *, example: Any = None, **_: Any) -> Score | Unscored:
        """As `evaluate`, without a loop."""
        if trace is None or not trace.spans:
            return Unscored(NO_SPANS)
        wanted = self.expected if self.expected is not None else expected_of(example)
        if wanted is None:
            return Unscored("nothing says which tools are expected: give ToolCalls(expected=...) or expected_tools")
        made = [call for call in trace.tool_calls if call.name not in self.ignore]
        wanted = [one for one in wanted if one.name not in self.ignore]
        pairs = self._in_order(wanted, made) if self.order == "exact" else self._anyhow(wanted, made)
        return self._score(wanted, made, pairs)

    def _score(self, wanted: list[ExpectedCall], made: list[ToolCall], pairs: dict[int, int]) -> Score:
        of = {
            "exact": max(len(wanted), len(made)),
            "any": max(len(wanted), len(made)),
            "subset": len(made),
            "superset": len(wanted),
        }[self.order]
        value = len(pairs) / of if of else 1.0
        missing = [one for at, one in enumerate(wanted) if at not in pairs]
        matched = set(pairs.values())
        extra = [call for at, call in enumerate(made) if at not in matched]
        others = _other_arguments(missing, extra) if self.arguments != "ignore" else []
        if self.order == "subset":
            missing = []
        elif self.order == "superset":
            extra = [call for call in extra if any(call is other for _, other in others)]
        said = _difference(missing, extra, others)
        if value < 1 and not said:
            said = "the calls are the expected ones in another order"
        details = {
            "expected": [_plain(one) for one in wanted],
            "calls": [{"name": call.name, "arguments": plain_json(call.arguments)} for call in made[:100]],
            "missing": [_plain(one) for one in missing],
            "unexpected": [call.name for call in extra],
            "wrong_arguments": [
                {
                    "name": call.name,
                    "expected": one.arguments,
                    "actual": plain_json(call.arguments),
                    "span_id": call.span_id,
                }
                for one, call in others
            ],
            "span_ids": [call.span_id for call in extra][:50],
        }
        return Score(
            value,
            label="as expected" if value == 1 else "other calls",
            passed=value == 1,
            explanation=said or "the tool calls are the expected ones",
            details=details,
        )

    def _matches(self, one: ExpectedCall, call: ToolCall) -> bool:
        if one.name != call.name:
            return False
        if one.arguments is None or self.arguments == "ignore":
            return True
        if callable(self.arguments):
            return bool(self.arguments(one.arguments, call.arguments))
        return (
            _equal(one.arguments, call.arguments)
            if self.arguments == "exact"
            else _within(one.arguments, call.arguments)
        )

    def _in_order(self, wanted: list[ExpectedCall], made: list[ToolCall]) -> dict[int, int]:
        """The longest run of matches in the same order (longest common subsequence)."""
        lengths = [[0] * (len(made) + 1) for _ in range(len(wanted) + 1)]
        for i in range(len(wanted) - 1, -1, -1):
            for j in range(len(made) - 1, -1, -1):
                if self._matches(wanted[i], made[j]):
                    lengths[i][j] = lengths[i + 1][j + 1] + 1
                else:
                    lengths[i][j] = max(lengths[i + 1][j], lengths[i][j + 1])
        pairs: dict[int, int] = {}
        i = j = 0
        while i < len(wanted) and j < len(made):
            if self._matches(wanted[i], made[j]):
                pairs[i] = j
                i, j = i + 1, j + 1
            elif lengths[i + 1][j] >= lengths[i][j + 1]:
                i += 1
            else:
                j += 1
        return pairs

    def _anyhow(self, wanted: list[ExpectedCall], made: list[ToolCall]) -> dict[int, int]:
        """As many matches as possible, each call used once: augmenting paths (Kuhn), grown breadth first."""
        options = [[j for j, call in enumerate(made) if self._matches(one, call)] for one in wanted]
        partner: dict[int, int] = {}  # of a call: the expectation that it fulfils
        for start in range(len(wanted)):
            came_from: dict[int, int] = {}
            frontier, free = [start], None
            while frontier and free is None:
                i = frontier.pop(0)
                for j in options[i]:
                    if j in came_from:
                        continue
                    came_from[j] = i
                    if j not in partner:
                        free = j
                        break
                    frontier.append(partner[j])
            while free is not None:
                i = came_from[free]
                before = next((j for j, owner in partner.items() if owner == i), None)
                partner[free] = i
                free = before
        return {i: j for j, i in partner.items()}


def expected_calls(raw: Any, where: str) -> list[ExpectedCall]:
    """Expected calls as objects with `name` and `arguments`, or bare names. Raises UsageError for anything else."""
    found = []
    for number, one in enumerate([raw] if isinstance(raw, str | Mapping) else raw or (), start=1):
        if isinstance(one, str):
            found.append(ExpectedCall(one))
            continue
        arguments = one.get("arguments") if isinstance(one, Mapping) else None
        named = isinstance(one, Mapping) and isinstance(one.get("name"), str) and one["name"]
        if not named or not isinstance(arguments, Mapping | None):
            raise UsageError(
                f"{where}, number {number}: {one!r} is no expected tool call",
                hint='write {"name": "find_order", "arguments": {"order": "A1"}}; arguments may be left out',
            )
        found.append(ExpectedCall(one["name"], None if arguments is None else dict(arguments)))
    return found


def expected_of(example: Any) -> list[ExpectedCall] | None:
    """The expected calls of an example, from its `expected_tools` or its metadata; None when it says nothing."""
    if example is None:
        return None
    raw = example.get("expected_tools") if isinstance(example, Mapping) else getattr(example, "expected_tools", None)
    if raw is None:
        metadata = example.get("metadata") if isinstance(example, Mapping) else getattr(example, "metadata", None)
        raw = metadata.get("expected_tools") if isinstance(metadata, Mapping) else None
    return None if raw is None else expected_calls(raw, f"expected_tools of example {getattr(example, 'id', '')!r}")


def _equal(expected: Any, actual: Any) -> bool:
    """Equality of JSON values: true is no number, 1 and 1.0 are one number, and 0.1 + 0.2 is 0.3."""
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, int | float) and isinstance(actual, int | float):
        return expected == actual or abs(expected - actual) <= 1e-9 * max(abs(expected), abs(actual))
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        return expected.keys() == actual.keys() and all(_equal(value, actual[key]) for key, value in expected.items())
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        return len(expected) == len(actual) and all(map(_equal, expected, actual))
    return bool(expected == actual)


def _within(expected: Any, actual: Any) -> bool:
    """Whether all that is expected is there; objects may hold more, lists may not."""
    if isinstance(expected, Mapping):
        return isinstance(actual, Mapping) and all(
            key in actual and _within(value, actual[key]) for key, value in expected.items()
        )
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        return len(expected) == len(actual) and all(map(_within, expected, actual))
    return _equal(expected, actual)


def _other_arguments(missing: list[ExpectedCall], extra: list[ToolCall]) -> list[tuple[ExpectedCall, ToolCall]]:
    """Expected calls that were made with other arguments."""
    left = list(extra)
    found = []
    for one in missing:
        call = next((call for call in left if call.name == one.name), None)
        if call is not None and one.arguments is not None:
            left.remove(call)
            found.append((one, call))
    return found


def _difference(missing: list[ExpectedCall], extra: list[ToolCall], others: list[tuple[ExpectedCall, ToolCall]]) -> str:
    wrong = {id(one) for one, _ in others} | {id(call) for _, call in others}
    said = [f"{call} instead of {one.name}({_arguments_text(one)})" for one, call in others[:5]]
    said += [f"{one.name} was not called" for one in missing[:10] if id(one) not in wrong]
    said += [f"{call} was not expected" for call in extra[:10] if id(call) not in wrong]
    return "; ".join(said)


def _arguments_text(one: ExpectedCall) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in (one.arguments or {}).items())


def _plain(one: ExpectedCall) -> dict[str, Any]:
    return {"name": one.name, "arguments": plain_json(one.arguments)}
