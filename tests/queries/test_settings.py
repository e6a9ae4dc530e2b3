"""All commands read the same settings: the store of the file counts for each, and every mistake is named at its line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from evalspan.__main__ import cli
from evalspan.collector.config import check_config
from evalspan.queries import settings
from evalspan.queries.cli.options import any_project_option, project_option
from evalspan.queries.store import client
from evalspan.queries.store.config import cluster_for, named_store, parse_dsn

from ..borrowed import Borrowed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a settings file that names a store which is not there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "evalspan.toml").write_text(f'[store]\ndsn = "chdb://{tmp_path}/named-in-file"\n')
    return tmp_path


def test_flag_beats_variable_beats_file_beats_default_for_the_store(folder, monkeypatch) -> None:
    assert parse_dsn(None).described == f"chdb://{folder}/named-in-file (evalspan.toml:2)"
    monkeypatch.setenv("EVALSPAN_STORE", f"chdb://{folder}/named-in-variable")
    assert parse_dsn(None).described == f"chdb://{folder}/named-in-variable (EVALSPAN_STORE)"
    assert parse_dsn(f"chdb://{folder}/flag").described == f"chdb://{folder}/flag (--store)"
    assert named_store(None) == parse_dsn(None)
    monkeypatch.delenv("EVALSPAN_STORE")
    (folder / "evalspan.toml").unlink()
    assert parse_dsn(None).origin == "default"
    assert named_store(None) is None


# What each command that finds a store needs beside it; the others of the tree take none.
READING: dict[str, list[str]] = {
    "status": [],
    "tail": ["--limit", "1"],
    "traces list": [],
    "traces show": ["ab" * 16],
    "sql": ["SELECT 1"],
    "queries run": ["latest_traces"],
    "alert list": [],
    "alert history": [],
    "alert silence": ["some-rule", "--for", "1h"],
    "alert test": ["pass_rate_low"],
    "drift": [],
    "drift accept": ["m"],
    "why": ["m"],
    "annotate": ["--metric", "m"],
    "calibrate": ["--metric", "m"],
    "export failures": ["--to", "cases.jsonl"],
    "export spans": ["--to", "spans"],
    "dataset sample": ["sample.jsonl", "--size", "5"],
    "dataset pull": ["name", "file.jsonl"],
    "experiment list": [],
    "experiment compare": ["a", "b"],
    "score": ["--since", "1d", "--suite", "evalspan.evaluators:exact_match"],
    "gate": ["--dataset", "stored", "--target", "math:sqrt", "--suite", "evalspan.evaluators:exact_match"],
    "backup": ["folder"],
    "erase": ["--user", "u"],
    "migrate": ["--check"],
    "replay": ["--unpriced"],
    "mcp": [],
}
# They make a store where there is none: that is what they are for.
MAKING = {"serve", "dataset push", "experiment run", "restore", "doctor"}


def taking_a_store(command: click.Command, *path: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from taking_a_store(inner, *path, name)
    if any("--store" in parameter.opts for parameter in command.params):
        yield " ".join(path)


def test_every_command_that_takes_a_store_is_in_this_table() -> None:
    assert set(taking_a_store(cli)) == set(READING) | MAKING


@pytest.mark.parametrize("name", READING)
def test_a_command_that_reads_takes_the_store_of_the_file_says_so_and_makes_none(name, folder) -> None:
    done = CliRunner().invoke(cli, [*name.split(), *READING[name]])
    assert done.exit_code, done.output
    assert f"chdb://{folder}/named-in-file (evalspan.toml:2)" in str(done.exception) + done.output
    assert sorted(path.name for path in folder.iterdir()) == ["evalspan.toml"]


# Without rows: what they print says it, or they make a file of nothing on purpose.
EMPTY = sorted(set(READING) - {"tail", "sql", "backup", "migrate", "replay", "mcp", "alert silence", "alert test"})


@pytest.mark.parametrize("name", EMPTY)
def test_a_command_that_finds_nothing_says_in_which_store_and_project_and_who_named_them(
    name, folder, monkeypatch, store
) -> None:
    (folder / "evalspan.toml").write_text('[store]\ndsn = "chdb:///the/one/of/the/file"\nproject = "nobody-s"\n')
    assert list(taking_a_store(cli))  # each is imported before what they connect by is another
    real = client.connect

    borrowed = Borrowed(store, parse_dsn(None).described)
    for module in list(sys.modules.values()):
        if getattr(module, "connect", None) is real:
            monkeypatch.setattr(module, "connect", lambda *_, **__: borrowed)
    done = CliRunner().invoke(cli, [*name.split(), *READING[name]])
    said = str(done.exception) + done.output
    assert "chdb:///the/one/of/the/file (evalspan.toml:2)" in said, said
    with_project = any("--project" in parameter.opts for parameter in command_of(name).params)
    assert not with_project or "nobody-s" in said, said


def command_of(name: str) -> click.Command:
    found: click.Command = cli
    for part in name.split():
        assert isinstance(found, click.Group)
        inner = found.get_command(click.Context(found), part)
        assert inner is not None
        found = inner
    return found


def test_flag_beats_variable_beats_file_beats_default_for_the_project(folder, monkeypatch) -> None:
    asked: list[str] = []
    for option, fallback in ((project_option, "default"), (any_project_option, "")):
        probe = click.command()(option(lambda project: asked.append(project)))
        (folder / "evalspan.toml").write_text("")
        CliRunner().invoke(probe, [])
        (folder / "evalspan.toml").write_text('[store]\nproject = "of-file"\n')
        CliRunner().invoke(probe, [])
        monkeypatch.setenv("EVALSPAN_PROJECT", "1")
        CliRunner().invoke(probe, [])
        CliRunner().invoke(probe, ["--project", "of-flag"])
        monkeypatch.delenv("EVALSPAN_PROJECT")
        assert asked == [fallback, "of-file", "1", "of-flag"]
        asked.clear()


def test_a_cluster_of_the_file_counts_wherever_tables_are_made_on_a_server(folder) -> None:
    (folder / "evalspan.toml").write_text('[store]\ncluster = "main"\n')
    assert cluster_for(parse_dsn("http://u:p@h/db")) == "main"
    assert cluster_for(parse_dsn("chdb:///x")) == ""


@pytest.mark.parametrize("name", READING)
def test_config_names_the_file_of_any_command(name, folder) -> None:
    (folder / "other.toml").write_text(f'\n[store]\ndsn = "chdb://{folder}/other"\n')
    try:
        done = CliRunner().invoke(cli, [*name.split(), *READING[name], "--config", "other.toml"])
    finally:
        settings.choose_file(None)
    assert f"chdb://{folder}/other (other.toml:3)" in str(done.exception) + done.output


def test_every_mistake_is_reported_at_once_with_its_line_and_the_nearest_name(folder) -> None:
    path = folder / "evalspan.toml"
    path.write_text(
        "[recieve]\nport = 1\n"
        '[receive]\nport = 99999\ngrpc_prot = 1\nmax_body_bytes = 0\nflush_ms = "soon"\n'
        "[store]\nreaders = 0\n"
        "[retention]\nspans_days = -1\n"
        '[[sampling.rules]]\nname = "a"\nerrors = true\n'
        '[[sampling.rules]]\nname = "b"\nerorrs = true\n'
        '[[sampling.rules]]\nname = "c"\nerrors = true\nrate = 2.0\n'
    )
    _, mistakes = check_config(path, environment={})
    found = {str(one).removeprefix(str(path)): one.hint for one in mistakes}
    lines = sorted(int(text.split(":")[1]) for text in found)
    assert lines == [1, 4, 5, 6, 7, 9, 11, 15, 17, 21], found
    hints = " ".join(found.values())
    assert "'receive'" in hints
    assert "'grpc_port'" in hints
    assert "'errors'" in hints


def test_one_wrong_table_does_not_stop_a_command_that_needs_another(folder) -> None:
    (folder / "evalspan.toml").write_text(f'[receive]\nprot = 1\n[store]\ndsn = "chdb://{folder}/s"\n')
    assert parse_dsn(None).path == f"{folder}/s"


def test_a_file_with_a_byte_order_mark_is_read_and_a_broken_one_says_where(folder) -> None:
    (folder / "evalspan.toml").write_bytes(b"\xef\xbb\xbf[store]\nreaders = 3\n")
    assert settings.read_sources(environment={}).values == {"store": {"readers": 3}}
