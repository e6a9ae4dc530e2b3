"""The evaluator contract: a function decorated once scores examples in CI and spans in production, unchanged.

A score goes on to the gate (experiments), to the store (rows) and to the statistics. Nothing here fails open: what
raises, hangs or is not a finite number is Unscored with its reason, never a pass and never silently left out.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import inspect
import math
from collections.abc import Callable
from typing import Any, Literal, Protocol, overload, runtime_checkable

import msgspec

from ..errors import UsageError, or_did_you_mean
from ..queries.plain_json import plain_json, plain_text

Direction = Literal["higher", "lower"]
MAX_REASON = 10_000
TRANSIENT_ERRORS = frozenset(
    {
        "APIConnectionError", "APITimeoutError", "RateLimitError", "InternalServerError", "ServiceUnavailableError",
        "JudgeUnavailable",
    }
)  # fmt: skip
Unit = Literal["span", "trace", "conversation"]
UNITS: tuple[Unit, ...] = ("span", "trace", "conversation")
ARGUMENTS = ("input", "output", "expected", "context", "span", "trace", "conversation", "example")


class EvaluationWarning(UserWarning):
    """A metric is used in a way that makes its numbers misleading; the message says what to use instead."""


class Score(msgspec.Struct, frozen=True):
    """One judgement of one output."""

    value: float
    """A finite number; its unit and range are the evaluator's."""
    label: str | None = None
    passed: bool | None = None
    """None: left to the evaluator's threshold, or nothing to pass."""
    explanation: str | None = None
    details: dict[str, Any] = {}
    """What lies behind the value, JSON-serialisable; `cost_usd` and `judge_model` become columns."""

    def __float__(self) -> float:
        return float(self.value)


class UnscoredCause(enum.Enum):
    """Why there is no score, for whoever has to decide what happens next; the reason in words stands beside it."""

    NOT_APPLICABLE = "not_applicable"
    """There is nothing of this kind to judge: no answer, no context, no checkable claim."""
    TRANSIENT = "transient"
    """What is needed was unreachable or overloaded: the same evaluation may succeed later."""
    OVER_BUDGET = "over_budget"
    TIMEOUT = "timeout"
    ERROR = "error"
    """The evaluator is broken, or its judge gave no verdict."""


class Unscored(msgspec.Struct, frozen=True):
    """Could not be judged, and why: counted beside the scores, never a pass and never a zero."""

    reason: str
    details: dict[str, Any] = {}
    cause: UnscoredCause = UnscoredCause.NOT_APPLICABLE


@runtime_checkable
class Evaluator(Protocol):
    """What a suite is made of. `name` and `version` together are the identity of the metric."""

    @property
    def name(self) -> str:
        """The metric's name, the same in CI and in production."""

    @property
    def version(self) -> str:
        """Changes whenever scores stop being comparable."""

    @property
    def direction(self) -> Direction:
        """Whether higher or lower values are better."""

    @property
    def threshold(self) -> float | None:
        """The value that still passes, None when the evaluator says itself what passes or nothing does."""

    async def evaluate(
        self,
        *,
        input: Any = None,  # noqa: A002 - the contract's word
        output: Any = None,
        expected: Any = None,
        context: Any = None,
        span: Any = None,
        trace: Any = None,
        conversation: Any = None,
        example: Any = None,
    ) -> Score | Unscored:
        """The score of one output; may raise, `run_evaluator` is the safety valve."""


class FunctionEvaluator:
    """A decorated function: call it as the function it is, or `await .evaluate(...)` it as an evaluator."""

    source = "code"

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str,
        version: str,
        direction: Direction = "higher",
        threshold: float | None = None,
        inline: bool = False,
        unit: Unit | None = None,
    ) -> None:
        self.function = function
        self.name = name
        self.version = version
        self.direction: Direction = direction
        self.threshold = threshold
        self.inline = inline
        self.wanted = _wanted_arguments(function, name)
        self.unit: Unit = unit or _unit_of(self.wanted)
        _check_unit(self.unit, self.wanted, name)
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function itself returns (a coroutine when it is async)."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<evaluator {self.name} {self.version}>"

    def using(self, *, name: str | None = None, threshold: float | None = None, **settings: Any) -> FunctionEvaluator:
        """The same evaluator under another name, threshold or value of its own parameters; its version says so."""
        bound = functools.partial(self.function, **settings) if settings else self.function
        changed = fingerprint(self.version, repr(sorted(settings.items()))) if settings else self.version
        return FunctionEvaluator(
            bound,
            name=name or self.name,
            version=changed,
            direction=self.direction,
            threshold=self.threshold if threshold is None else threshold,
            inline=self.inline,
            unit=self.unit,
        )

    async def evaluate(self, **arguments: Any) -> Score | Unscored:
        """Calls the function with the arguments that it names; a sync one in a thread unless it is `inline`."""
        from .function_call import call  # the loop and its threads are needed only here

        wanted = {name: arguments.get(name) for name in self.wanted}
        if self.inline:
            result = self.function(**wanted)
            result = await result if inspect.isawaitable(result) else result
        else:
            result = await call(self.function, wanted, inline=self.inline)
        return as_score(result, direction=self.direction, threshold=self.threshold)


@overload
def evaluator(function: Callable[..., Any], /) -> FunctionEvaluator: ...
@overload
def evaluator(
    function: None = None,
    /,
    *,
    name: str | None = None,
    version: str | None = None,
    direction: Direction = "higher",
    threshold: float | None = None,
    inline: bool = False,
    unit: Unit | None = None,
) -> Callable[[Callable[..., Any]], FunctionEvaluator]: ...
def evaluator(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    version: str | None = None,
    direction: Direction = "higher",
    threshold: float | None = None,
    inline: bool = False,
    unit: Unit | None = None,
) -> Any:
    """Makes an evaluator of a sync or async function, partial or callable object.

    Its parameters are any of `input, output, expected, context, span, trace, conversation, example`; others need
    defaults. It returns a bool, a number, a `Score` or `Unscored(reason)`. With `threshold`, a value that reaches it in
    `direction` passes. `unit` is what it judges: "span", "trace" or "conversation"; left out, it follows from a
    parameter `trace` or `conversation`. Of a trace, `input, output, context` are its question, its final answer and all
    that the answer could rest on.
    `version` defaults to a fingerprint of the function's source, so that edited code is a new metric. `inline` runs a
    sync function in the event loop instead of a thread: for functions far below a millisecond only.

    Raises UsageError for an unknown parameter, direction or a threshold that is not a finite number.
    """
    if direction not in ("higher", "lower"):
        raise UsageError(f"evaluator direction {direction!r} is unknown", hint='use "higher" or "lower"')
    if threshold is not None and not math.isfinite(threshold):
        raise UsageError(f"evaluator threshold {threshold!r} is not a finite number", hint="leave it out for none")
    if unit is not None and unit not in UNITS:
        raise UsageError(
            f"evaluator unit {unit!r} is unknown{or_did_you_mean(str(unit), UNITS)}", hint=f"units: {', '.join(UNITS)}"
        )

    def decorate(inner: Callable[..., Any]) -> FunctionEvaluator:
        own = name or _name_of(inner)
        return FunctionEvaluator(
            inner,
            name=own,
            version=version or fingerprint(source_of(inner)),
            direction=direction,
            threshold=threshold,
            inline=inline,
            unit=unit,
        )

    return decorate if function is None else decorate(function)


NO_TEXT_ANSWER = "the turn has no text answer: it only calls tools"


def needs_answer(evaluator: Any) -> bool:
    """Whether an evaluator of spans judges the text of an answer, and so has nothing to say of a turn without one."""
    if unit_of(evaluator) != "span":
        return False
    if isinstance(evaluator, FunctionEvaluator):
        return "output" in evaluator.wanted and "span" not in evaluator.wanted
    return bool(getattr(evaluator, "needs_answer", True))


def unit_of(evaluator: Any) -> Unit:
    """What an evaluator judges: "span" (one call or answer), "trace" or "conversation"."""
    unit: Unit = getattr(evaluator, "unit", "span")
    return unit


def as_score(result: Any, *, direction: Direction = "higher", threshold: float | None = None) -> Score | Unscored:
    """What a function returned, as a Score with `passed` settled by the threshold, or Unscored with the reason."""
    if isinstance(result, Unscored):
        return Unscored(plain_text(result.reason), _plain_details(result.details), result.cause)
    score = result if isinstance(result, Score) else _bare_score(result)
    if score is None:
        return _broken(f"returned {type(result).__name__}, not a bool, a number, a Score or Unscored")
    value = _number(score.value)
    if value is None or not math.isfinite(value):
        return _broken(f"the score {plain_text(repr(score.value))} is not a finite number", score.details)
    if score.passed is not None and not _is_verdict(score.passed):
        return _broken(f"passed is {plain_text(repr(score.passed))}, not True, False or None", score.details)
    passed = None if score.passed is None else bool(score.passed)
    if passed is None and threshold is not None:
        passed = value >= threshold if direction == "higher" else value <= threshold
    return Score(
        value, _optional_text(score.label), passed, _optional_text(score.explanation), _plain_details(score.details)
    )


def reason_of(error: BaseException) -> str:
    """Why something is Unscored, when the reason is an exception; an error that cannot be printed is known by type."""
    try:
        said = plain_text(str(error))
    except Exception:  # noqa: BLE001 - the code under test may have any __str__
        said = ""
    return f"{type(error).__name__}: {said[:MAX_REASON]}" if said else type(error).__name__


def cause_of(error: BaseException) -> UnscoredCause:
    """What kind of reason an exception is: as it says itself, else by what connections raise."""
    own = getattr(error, "cause", None)
    if isinstance(own, UnscoredCause):
        return own
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return UnscoredCause.TRANSIENT if status in (408, 409, 425, 429) or status >= 500 else UnscoredCause.ERROR
    # Errors of SDKs are known by name: importing every SDK to name their classes would cost more than it tells.
    passing = isinstance(error, ConnectionError | TimeoutError) or type(error).__name__ in TRANSIENT_ERRORS
    return UnscoredCause.TRANSIENT if passing else UnscoredCause.ERROR


def unscored_by(error: BaseException, details: dict[str, Any] | None = None) -> Unscored:
    """The result of an evaluation that ended in an exception."""
    return Unscored(reason_of(error), details or {}, cause_of(error))


def fingerprint(*parts: str) -> str:
    """Twelve hex digits over the parts: a version that changes when any of them does."""
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:12]


def source_of(function: Any) -> str:
    """What tells one function from another: its source text with the plain values bound to it, else its bytecode.

    A callable object with a `repr` of its own (a configured check) is known by that.
    """
    if isinstance(function, functools.partial):
        return source_of(function.func) + repr((function.args, sorted(function.keywords.items())))
    if isinstance(function, msgspec.Struct) or (not inspect.isroutine(function) and "__repr__" in vars(type(function))):
        return repr(function)
    target = function if inspect.isroutine(function) else type(function)
    code = getattr(target, "__code__", None)
    try:
        source = inspect.getsource(target)
    except (OSError, TypeError):  # typed at a prompt, or built in
        source = code.co_code.hex() + repr(code.co_consts) if code else repr(target)
    cells = [cell.cell_contents for cell in getattr(target, "__closure__", None) or ()]
    bound = [
        *cells,
        *(getattr(target, "__defaults__", None) or ()),
        *(getattr(target, "__kwdefaults__", None) or {}).items(),
    ]
    return source + repr([value for value in bound if isinstance(value, str | int | float | tuple | None)])


def _broken(reason: str, details: Any = None) -> Unscored:
    return Unscored(reason, _plain_details(details), UnscoredCause.ERROR)


def _optional_text(value: Any) -> str | None:
    return None if value is None else plain_text(value)


def _plain_details(details: Any) -> dict[str, Any]:
    """The details as JSON data, whatever the evaluator put there."""
    made = plain_json(details) if details else {}
    return made if isinstance(made, dict) else {"details": made}


def _bare_score(result: Any) -> Score | None:
    number = _number(result)
    if number is None:
        return None
    return Score(number, passed=bool(result) if _is_verdict(result) else None)


def _is_verdict(value: Any) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")  # numpy's own bool


def _number(value: Any) -> float | None:
    if value is None or isinstance(value, str | bytes | complex):
        return None
    try:
        return float(value)
    except Exception:  # noqa: BLE001 - any object may come here, with any __float__; 10**400 overflows
        return None


def _name_of(function: Any) -> str:
    # A functools.partial or a callable object has no __name__ of its own.
    inner = getattr(function, "func", function)
    return getattr(inner, "__name__", None) or type(inner).__name__


def _unit_of(wanted: tuple[str, ...]) -> Unit:
    """The unit that the parameters name; a function that takes everything judges spans unless it says otherwise."""
    if wanted == ARGUMENTS or not {"trace", "conversation"} & set(wanted):
        return "span"
    return "conversation" if "conversation" in wanted else "trace"


def _check_unit(unit: Unit, wanted: tuple[str, ...], name: str) -> None:
    """A parameter of another unit would always be None: the score would rest on nothing."""
    if wanted == ARGUMENTS:
        return
    foreign = {"span": ("trace", "conversation"), "trace": ("span", "conversation"), "conversation": ("span", "trace")}
    empty = [argument for argument in foreign[unit] if argument in wanted]
    if empty:
        raise UsageError(
            f"evaluator {name!r} judges a {unit}, but has a parameter {empty[0]!r}, which only a {empty[0]} fills",
            hint="one evaluator judges one unit: leave that parameter out, or write unit= for the other",
        )


def _wanted_arguments(function: Callable[..., Any], name: str) -> tuple[str, ...]:
    wanted = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            return ARGUMENTS
        if parameter.name in ARGUMENTS and parameter.kind is not parameter.POSITIONAL_ONLY:
            wanted.append(parameter.name)
        elif parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL:
            raise UsageError(
                f"evaluator {name!r} has a parameter {parameter.name!r} that nothing can fill",
                hint=f"the parameters are {', '.join(ARGUMENTS)}{or_did_you_mean(parameter.name, ARGUMENTS)}",
            )
    return tuple(wanted)
