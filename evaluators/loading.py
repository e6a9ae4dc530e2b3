"""Finds what the user names as `module:name` (targets, suites), with the working directory on the import path."""

from __future__ import annotations

import hashlib
import sys
import sysconfig
import traceback
from importlib import import_module, util
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import UsageError, or_did_you_mean
from .contract import Evaluator
from .runner import check_suite


def load_object(reference: str) -> Any:
    """The object that `module:name`, `module:name.attribute` or `path/file.py:name` stands for.

    Raises UsageError that says whether the module, something it imports, or the name is what is missing.
    """
    place, colon, name = reference.rpartition(":")
    if not colon or not place or not name:
        raise UsageError(f"{reference!r} does not name an object", hint="write module:name, for example app:answer")
    module = _module(place, reference)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            known = [known for known in dir(found) if not known.startswith("_")]
            hint = f"define it there{or_did_you_mean(part, known)}"
            if place in sys.stdlib_module_names and Path(f"{place}.py").is_file():
                hint = f"{place} is Python's own module; name yours as a file: {place}.py:{name}"
            raise UsageError(f"{place!r} ({getattr(module, '__file__', 'built in')}) has no {part!r}", hint=hint)
        found = getattr(found, part)
    return found


def load_suite(reference: str) -> list[Evaluator]:
    """The checked list of evaluators that `module:name` stands for (a list, or one evaluator).

    Raises UsageError as `load_object` and `check_suite` do.
    """
    return check_suite(load_object(reference), where=f"the suite {reference}")


def _module(place: str, reference: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(_after_the_standard_library(), here)
    try:
        return _file_module(Path(place)) if place.endswith(".py") else import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not (place == error.name or place.startswith(f"{error.name}.")):
            raise UsageError(
                f"importing {place!r} for {reference!r} failed: it imports {error.name!r}, which is not installed",
                hint=f"pip install {error.name}" if error.name else "",
            ) from error
        files = [path.stem for path in Path(here).glob("*.py")]
        raise UsageError(
            f"no module {error.name!r} in {here} or on the import path",
            hint=f"run it from the folder that holds {place.split('.', maxsplit=1)[0]}.py{or_did_you_mean(place, files)}",
        ) from error
    except UsageError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise UsageError(
            f"importing {place!r} failed at {last.filename}:{last.lineno}: {type(error).__name__}: {error}",
            hint="the module must import without side effects that fail",
        ) from error


def _after_the_standard_library() -> int:
    """Where the working directory goes on the import path: before what is installed, never before Python's own modules."""
    standard = Path(sysconfig.get_path("stdlib"))
    own = [n for n, folder in enumerate(sys.path) if Path(folder) in (standard, standard / "lib-dynload")]
    return max(own, default=-1) + 1


def _file_module(path: Path) -> ModuleType:
    """The file as a module under a private name: `statistics.py` of the user must not become everybody's `statistics`."""
    path = path.resolve()
    if not path.is_file():
        near = or_did_you_mean(path.name, [other.name for other in path.parent.glob("*.py")])
        raise UsageError(f"no file {path}", hint=f"check the path{near}")
    name = f"_evalspan_file_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[name] = module  # pickle and dataclasses look a module up by its name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module
