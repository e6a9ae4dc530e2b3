"""Files that are no text are refused in words by every command that reads one, and by a pipe."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from evalspan.__main__ import main

NO_TEXT = {
    "cut off": (b"SELECT 1\n\xff", "2, byte 1: not UTF-8"),
    "UTF-16": ("SELECT 1".encode("utf-16"), "UTF-16"),
    "packed": (b"\x1f\x8b\x08\x00", "gzip"),
}


@pytest.mark.parametrize("name", NO_TEXT)
@pytest.mark.parametrize("way", ["file", "pipe"])
def test_what_is_no_text_is_refused_with_the_place(
    name: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content, said = NO_TEXT[name]
    path = tmp_path / "given"
    path.write_bytes(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    words = {"file": ["sql", "--file", str(path)], "pipe": ["sql", "-"]}[way]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
