"""Calls back once a module has been imported, and neither imports it nor looks for it before.

wrapt has the same, and importing wrapt takes longer than all the rest of switching on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from .safe_call import safe_call

Called = Callable[[Any], Any]
_waiting: dict[str, list[Called]] = {}


def when_imported(name: str, call: Called) -> None:
    """Calls `call` with the module: at once if it is there, even in the middle of its import, else when it has run.

    What the call raises stays hidden from whoever imports; an import that fails is waited for again.
    """
    module = sys.modules.get(name)
    if module is not None:
        safe_call(call, module)
        return
    _waiting.setdefault(name, []).append(call)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


class _Finder:
    """First among the finders: asks the others, and has the loader that they name tell when it is done."""

    def __init__(self) -> None:
        self._asking: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """What the others find; None, as quickly as can be, for whatever nobody waits for."""
        if name not in _waiting or name in self._asking:
            return None
        self._asking.add(name)
        try:
            spec = self._found_by_others(name, path, target)
        finally:
            self._asking.discard(name)
        if spec is not None and spec.loader is not None:
            safe_call(_follow, spec.loader, name)
        return spec

    def _found_by_others(self, name: str, path: Any, target: Any) -> Any:
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None) if finder is not self else None
            spec = find(name, path, target) if find is not None else None
            if spec is not None:
                return spec
        return None


_finder = _Finder()


def _follow(loader: Any, name: str) -> None:
    """Replaces `exec_module` of this one loader, until the module has run."""
    original = loader.exec_module

    def exec_module(module: Any) -> None:
        if module.__name__ != name:
            # The loader of an archive is that of all its modules.
            original(module)
            return
        if vars(loader).get("exec_module") is exec_module:
            del loader.exec_module
        original(module)
        for call in _waiting.pop(name, ()):
            safe_call(call, sys.modules.get(name, module))

    loader.exec_module = exec_module
