"""Which instrumentors are installed: their entry points are read by package, because three packages share one name."""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution
from typing import Any, NamedTuple

from .table import Framework, Instrumentor

GROUP = "opentelemetry_instrumentor"


class Installed(NamedTuple):
    """An instrumentor that is there."""

    instrumentor: Instrumentor
    version: str
    entry_point: EntryPoint

    def __str__(self) -> str:
        return f"{self.instrumentor.package} {self.version}"

    @property
    def module(self) -> str:
        """The module of its class."""
        return self.entry_point.module

    def refuses(self) -> str:
        """The installed release that its metadata says it cannot trace, empty when it can; imports nothing of it."""
        # Only here, because it takes as long to import as all of switching on.
        from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts

        package = _distribution(self.instrumentor.package)
        found = getattr(get_dist_dependency_conflicts(package) if package is not None else None, "found", None)
        return str(found or "")

    def running(self) -> Any:
        """The instrumentor object where it is switched on already, by whomever; imports nothing."""
        kind = getattr(sys.modules.get(self.module), self.entry_point.attr, None)
        # BaseInstrumentor keeps its one instance and whether it is switched on in these.
        instance = vars(kind).get("_instance") if isinstance(kind, type) else None
        return instance if getattr(instance, "is_instrumented_by_opentelemetry", False) else None


def installed_for(framework: Framework) -> list[Installed]:
    """The framework's instrumentors that are installed, best first."""
    found = []
    for instrumentor in framework.instrumentors:
        package = _distribution(instrumentor.package)
        if package is not None:
            found += [Installed(instrumentor, package.version, one) for one in package.entry_points.select(group=GROUP)]
    return found


def version_of(package: str) -> str | None:
    """The release of a distribution, None where it is not installed."""
    found = _distribution(package)
    return found.version if found is not None else None


def _distribution(package: str) -> Distribution | None:
    try:
        return distribution(package)
    except PackageNotFoundError:
        return None
