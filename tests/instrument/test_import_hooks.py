"""Being told of an import: once, after the module has run, whoever else hooks imports, and whatever fails."""

from __future__ import annotations

import importlib
import sys
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
import wrapt

from evalspan.instrument.import_hooks import when_imported


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    sys.path.insert(0, str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    sys.path.remove(str(tmp_path))
    for name in set(sys.modules) - before:
        if name.startswith("hooked_"):
            del sys.modules[name]


def test_the_call_comes_once_after_the_module_has_run_and_not_when_it_is_only_looked_for(folder: Path):
    (folder / "hooked_plain.py").write_text("value = 1\n")
    seen: list[tuple[str, int]] = []
    when_imported("hooked_plain", lambda module: seen.append((module.__name__, module.value)))
    assert find_spec("hooked_plain") is not None
    assert seen == []
    module = importlib.import_module("hooked_plain")
    assert seen == [("hooked_plain", 1)]
    assert "exec_module" not in vars(module.__loader__)
    importlib.reload(module)
    assert len(seen) == 1
    when_imported("hooked_plain", lambda module: seen.append(("again", module.value)))
    assert seen[1:] == [("again", 1)]


def test_an_import_that_fails_is_waited_for_again_and_a_call_that_fails_hurts_nobody(folder: Path):
    source = folder / "hooked_late.py"
    source.write_text("raise ValueError('not yet')\n")
    seen: list[ModuleType] = []

    def broken(module: ModuleType) -> None:
        raise RuntimeError(module.__name__)

    when_imported("hooked_late", broken)
    when_imported("hooked_late", seen.append)
    with pytest.raises(ValueError, match="not yet"):
        importlib.import_module("hooked_late")
    source.write_text("value = 'a longer text'\n")
    importlib.invalidate_caches()
    assert seen == []
    module = importlib.import_module("hooked_late")
    assert seen == [module]


@pytest.mark.parametrize("wrapt_first", [True, False])
def test_hooks_of_wrapt_for_the_same_module_are_called_too(folder: Path, wrapt_first: bool):
    name = f"hooked_shared_{wrapt_first}".lower()
    (folder / f"{name}.py").write_text("")
    seen: list[str] = []
    ours = lambda: when_imported(name, lambda module: seen.append("ours"))  # noqa: E731
    theirs = lambda: wrapt.register_post_import_hook(lambda module: seen.append("theirs"), name)  # noqa: E731
    for register in (theirs, ours) if wrapt_first else (ours, theirs):
        register()
    importlib.import_module(name)
    assert sorted(seen) == ["ours", "theirs"]


def test_modules_of_one_archive_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive = tmp_path / "modules.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("hooked_outer/__init__.py", "import hooked_inner\n")
        file.writestr("hooked_inner.py", "")
    monkeypatch.syspath_prepend(str(archive))
    seen: list[str] = []
    for name in ("hooked_inner", "hooked_outer"):
        when_imported(name, lambda module: seen.append(module.__name__))
    importlib.import_module("hooked_outer")
    assert seen == ["hooked_inner", "hooked_outer"]
    for name in seen:
        del sys.modules[name]
