"""Which LLM libraries are installed, who traces each, and whether a call was seen: the same for code and `doctor`."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import msgspec

from ..context import scopes_seen
from .activation import ITSELF, Activation, to_install
from .installed import installed_for, version_of
from .table import FRAMEWORKS, OUR_SDKS, Framework, release_of

_OURS = "evalspan"


class LibraryCoverage(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one installed LLM library."""

    name: str
    version: str
    """Release of `package`."""
    package: str
    """Distribution that was looked up: langchain's is langchain-core."""
    imported: bool
    traced_by: str | None
    """`evalspan`, `itself`, the package of an instrumentor, or None."""
    call_seen: bool
    """Whether a span of it has been started in this process."""
    note: str = ""
    """What is missing, and how to get it."""

    @property
    def release(self) -> str:
        """Name and release as people read them: `openai 3.57.0`, `langchain (langchain-core 1.8.3)`."""
        return release_of(self.name, self.package, self.version)


def coverage(activation: Activation | None, our_sdks: Mapping[str, str | None]) -> dict[str, LibraryCoverage]:
    """Every LLM library that is installed here, by name.

    `our_sdks` says for openai and anthropic who else has a switched-on instrumentor, where ours is on.
    """
    found: dict[str, LibraryCoverage] = {}
    for name in OUR_SDKS:
        version = version_of(name)
        if version is None:
            continue
        other = our_sdks.get(name)
        traced_by = (other or _OURS) if name in our_sdks else None
        found[name] = LibraryCoverage(
            name=name,
            version=version,
            package=name,
            imported=name in sys.modules,
            traced_by=traced_by,
            call_seen=_seen((other,) if other else (f"{_OURS}.{name}",), scopes_seen),
            note="" if traced_by else f"init(instrument=...) leaves {name} out",
        )
    for framework in FRAMEWORKS:
        version = version_of(framework.package)
        if version is not None:
            found[framework.name] = _framework(framework, version, activation)
    return found


def installed_coverage(scopes: set[str]) -> dict[str, LibraryCoverage]:
    """The same for an environment in which nothing is switched on: what `init()` would trace, by whom.

    `scopes` are names of instrumentations whose spans have been seen elsewhere, such as in a store.
    """
    found: dict[str, LibraryCoverage] = {}
    for name in OUR_SDKS:
        if (version := version_of(name)) is not None:
            seen = _seen((f"{_OURS}.{name}",), scopes)
            found[name] = LibraryCoverage(
                name=name, version=version, package=name, imported=False, traced_by=_OURS, call_seen=seen
            )
    for framework in FRAMEWORKS:
        if (version := version_of(framework.package)) is None:
            continue
        by, note = _expected(framework)
        modules = tuple(one.module for one in installed_for(framework)) or (framework.scope or framework.name,)
        found[framework.name] = LibraryCoverage(
            name=framework.name,
            version=version,
            package=framework.package,
            imported=False,
            traced_by=by,
            call_seen=_seen(modules, scopes),
            note=note,
        )
    return found


def _framework(framework: Framework, version: str, activation: Activation | None) -> LibraryCoverage:
    state = activation.states.get(framework.name) if activation is not None else None
    imported = framework.module in sys.modules
    if state is None:
        traced_by, note = None, "init(frameworks=...) leaves it out"
    elif state.imported:
        traced_by, note = state.traced_by, state.note
        if traced_by is None:
            note = f"{note}: {to_install(framework)}" if note else to_install(framework)
    else:
        traced_by, note = _expected(framework)
    return LibraryCoverage(
        name=framework.name,
        version=version,
        package=framework.package,
        imported=imported,
        traced_by=traced_by,
        call_seen=bool(state and state.scopes) and _seen(state.scopes if state else (), scopes_seen),
        note=note,
    )


def _expected(framework: Framework) -> tuple[str | None, str]:
    """Who will trace it once it is imported."""
    if framework.native:
        return ITSELF, "once it is imported"
    refusals = []
    for candidate in installed_for(framework):
        if refused := candidate.refuses():
            refusals.append(f"{candidate} refuses {refused}")
        else:
            return str(candidate), "once it is imported"
    return None, ": ".join([*refusals, to_install(framework)])


def _seen(beginnings: tuple[str, ...], scopes: set[str]) -> bool:
    return any(
        scope == begin or scope.startswith((f"{begin}.", f"{begin} ", f"{begin}-"))
        for begin in beginnings
        for scope in scopes
    )
