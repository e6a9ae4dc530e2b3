"""All commands read the same settings: the store of the file counts for each, and every mistake is named at its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from evalspan.__main__ import COMMANDS, cli
from evalspan.collector.config import check_config
from evalspan.queries import settings
from evalspan.queries.store.config import explicit_dsn, parse_dsn


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
    assert explicit_dsn(None) == f"chdb://{folder}/named-in-variable"
    monkeypatch.delenv("EVALSPAN_STORE")
    (folder / "evalspan.toml").unlink()
    assert parse_dsn(None).origin == "default"
    assert explicit_dsn(None) is None


READING = [
    ["status"],
    ["tail", "--limit", "1"],
    ["traces", "list"],
    ["traces", "show", "ab" * 16],
    ["sql", "SELECT 1"],
    ["queries", "run", "latest_traces"],
    ["alert", "list"],
    ["alert", "history"],
    ["alert", "silence", "some-rule", "--for", "1h"],
    ["drift"],
    ["annotate", "--metric", "m"],
    ["calibrate", "--metric", "m"],
    ["export", "failures", "--to", "cases.jsonl"],
    ["dataset", "sample", "sample.jsonl", "--size", "5"],
    ["dataset", "pull", "name", "file.jsonl"],
    ["experiment", "list"],
]


@pytest.mark.parametrize("arguments", READING, ids=lambda arguments: " ".join(arguments[:2]))
def test_a_command_that_reads_takes_the_store_of_the_file_says_so_and_makes_none(arguments, folder) -> None:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code, done.output
    assert f"chdb://{folder}/named-in-file (evalspan.toml:2)" in str(done.exception) + done.output
    assert sorted(path.name for path in folder.iterdir()) == ["evalspan.toml"]


@pytest.mark.parametrize("arguments", READING[2:5], ids=lambda arguments: " ".join(arguments[:2]))
def test_config_names_the_file_of_any_command(arguments, folder) -> None:
    (folder / "other.toml").write_text(f'\n[store]\ndsn = "chdb://{folder}/other"\n')
    try:
        done = CliRunner().invoke(cli, [*arguments, "--config", "other.toml"])
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
    assert lines == [1, 4, 5, 6, 7, 9, 11, 15, 17, 18], found
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


def test_every_command_that_may_take_a_store_takes_a_settings_file() -> None:
    import click

    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        leaves = command.commands.values() if isinstance(command, click.Group) else [command]
        for leaf in leaves:
            options = {option for parameter in leaf.params for option in parameter.opts}
            assert "--store" not in options or "--config" in options, (name, leaf.name)
