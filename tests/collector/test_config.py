"""Settings: precedence with origins, and a wrong one is named with its place and the nearest right one."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner

from evalspan.__main__ import cli
from evalspan.collector.cli.config import config as config_command
from evalspan.collector.cli.config_docs import configuration_markdown
from evalspan.collector.config import TABLES, load_config
from evalspan.errors import ConfigError
from evalspan.queries.host.auth import refuse_open_door


def written(tmp_path, text: str):
    path = tmp_path / "evalspan.toml"
    path.write_text(text)
    return path


def test_flag_beats_environment_beats_file_beats_default_and_each_says_where_from(tmp_path) -> None:
    path = written(tmp_path, "[receive]\nport = 1\ngrpc_port = 2\nsql_port = 3\n")
    environment = {"EVALSPAN_RECEIVE_PORT": "10", "EVALSPAN_RECEIVE_GRPC_PORT": "20", "EVALSPAN_STORE": "chdb:///x"}
    loaded = load_config(path, {"receive.port": 100, "receive.grpc_port": None}, environment)
    receive = loaded.receive
    assert (receive.port, receive.grpc_port, receive.sql_port, receive.sync_ms) == (100, 20, 3, 10)
    assert loaded.store.dsn == "chdb:///x"
    origins = [loaded.origin("receive", key) for key in ("port", "grpc_port", "sql_port", "sync_ms")]
    assert origins == ["--port", "EVALSPAN_RECEIVE_GRPC_PORT", f"{path}:4", "default"]
    assert loaded.origin("store", "dsn") == "EVALSPAN_STORE"


@pytest.mark.parametrize(
    ("text", "place", "fix"),
    [
        ("[recieve]\nport = 1", ":1", "'receive'"),
        ("[receive]\n\nprot = 1", ":3", "'port'"),
        ('[receive]\nport = "high"', ":2", "config show"),
        ("port = 1", ":1", "[receive]"),
        ("[receive", "cannot be read", "TOML"),
    ],
)
def test_a_wrong_file_says_where_and_what_was_meant(tmp_path, text, place, fix) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(written(tmp_path, text), environment={})
    assert place in str(refused.value)
    assert fix in refused.value.hint


def test_a_wrong_variable_and_a_missing_file_are_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match="EVALSPAN_RECEIVE_PROT") as refused:
        load_config(environment={"EVALSPAN_RECEIVE_PROT": "1"})
    assert "'port'" in refused.value.hint
    with pytest.raises(ConfigError, match=r"no configuration file .*nowhere\.toml"):
        load_config(tmp_path / "nowhere.toml", environment={})


def test_a_variable_of_a_misspelt_table_is_named_and_the_instrumentations_own_are_left_alone(tmp_path) -> None:
    path = written(tmp_path, "")
    with pytest.raises(ConfigError, match=r"EVALSPAN_RECIEVE_PORT: there is no table \[recieve\]") as refused:
        load_config(path, environment={"EVALSPAN_RECIEVE_PORT": "1"})
    assert refused.value.hint == "Did you mean 'receive'?"
    load_config(path, environment={"EVALSPAN_MAX_CONTENT_BYTES": "1", "EVALSPAN_CACHE": "x", "EVALSPAN_KEY": "k"})


def test_check_refuses_what_serve_refuses(tmp_path) -> None:
    path = written(tmp_path, '[receive]\nhost = "0.0.0.0"\n')
    checked = CliRunner().invoke(config_command, ["check", str(path)])
    assert isinstance(checked.exception, ConfigError)
    assert "reachable from other machines" in str(checked.exception)


def test_check_says_at_once_all_that_is_wrong_between_settings_and_with_files(tmp_path) -> None:
    path = written(
        tmp_path,
        '[receive]\ntls_cert = "/nowhere.pem"\ntls_key = "/nowhere.key"\nsql_port = 99999\n'
        '[store]\ndsn = "postgres://h"\ncluster = "a b"\n',
    )
    done = CliRunner().invoke(config_command, ["check", str(path)])
    assert isinstance(done.exception, ConfigError)
    text = str(done.exception)
    assert [f"evalspan.toml:{line}" in text for line in (2, 4, 6, 7)] == [True] * 4
    for body, wrong in (
        ('[store]\ncluster = "main"', "embedded"),
        ('[receive]\ntls_cert = "x.pem"', "set together"),
        ('[store]\ndsn = "https://host:99999/db"', "65535"),
    ):
        path.write_text(body)
        assert wrong in str(CliRunner().invoke(config_command, ["check", str(path)]).exception)


# A file, and for each mistake in it: the line, and words of what is said about it.
WRONG = {
    "[dashboard]\nsince = 'soon'\nreplay = 'x'\npublic_url = 'tools'\ntrusted_proxies = ['foo']\nrows = 0\n": {
        2: "length of time", 3: "module:name", 4: "no address", 5: "trusted_proxies", 6: ">= 1",
    },
    "[receive]\nport = 4318\ngrpc_port = 4318\nsql_port = -2\nidle_timeout_s = nan\ndrain_s = inf\n": {
        3: "both 4318", 4: ">= -1", 5: "> 0", 6: "<=",
    },
    "[evaluation]\npoll_s = nan\nstopped_after_s = inf\naggregates_every_s = -5\nshard = '2/2'\n": {
        2: "poll_s", 3: "stopped_after_s", 4: "aggregates_every_s", 5: "I/N",
    },
    "[sampling]\nrate = 0.0\ncontent_rate = 1.5\nmax_traces = 0\nkey = 'converstion'\nmode = 'tial'\n": {
        2: "rate", 3: "content_rate", 4: "max_traces", 5: "'conversation'", 6: "'tail'",
    },
    "[sampling]\nrate = 0.1\n[[sampling.rules]]\nname = 'a'\nrate = 2.0\nslower_than_quantile = 1.0\nfloor = 0\n": {
        5: "rate = 2.0", 6: "between 0 and 1", 7: "floor",
    },
    "[limits]\nsql_queries = 0\nsql_requests = -3\nconnections = 'many'\n": {2: "at least 1", 3: "-3", 4: "`int`"},
    "[auth]\nkeys = { short = 'p', '0123456789abcdef' = '' }\noperator_keys = ['tiny', 'tiny']\n": {
        2: "'p' is shorter than 16 characters; a project's name", 3: "number 2 is there twice",
    },
    "[log]\nformat = 'jsn'\nlevel = 'WARN'\n": {2: "'json'", 3: "warning"},
    "[[prices]]\nmodel = 'm'\ninput_usd = nan\noutput_usd = -1.0\n[[prices]]\nmodel = 'M'\ninput_usd = 1e-6\n": {
        3: "is nan", 4: "output_usd", 6: "twice",
    },
    "dsn = 'x'\n[store]\ndns = 'x'\nproject = 3\n[recieve]\n": {1: "[store]", 3: "'dsn'", 4: "`str`", 5: "'receive'"},
    "[[receive]]\nport = 1\n": {1: "has to be a table"},
    "[prices]\nmodel = 'm'\n": {1: "two brackets"},
    "[[alerts.rules]]\nname = 'r'\nquery = 'score_trend'\ncondition = '1'\nevery_s = 0\nseverity = 'hihg'\nfor = 0\n"
    "[[alerts.rules]]\nname = 'r'\nquery = 'score_trend'\ncondtion = '1'\n": {
        5: "every_s", 6: "'high'", 7: "for = 0", 9: "another one", 11: "'condition'",
    },
    "[[alerts.sinks]]\nname = 'a'\nkind = 'webhook'\nurl = 'ftp://x'\ntries = 0\n[[alerts.sinks]]\nname = 'b'\n"
    "kind = 'slack'\nurl_env = 'EVALSPAN_NOT_SET'\n": {4: "http://", 5: "tries", 9: "not set"},
    "[[evaluation.rules]]\nname = 'a b'\nevaluators = []\nquiet_s = nan\nunit = 'spn'\nprobability = 2.0\nquite_s = 1.0\n": {
        2: "letters", 3: "is empty", 4: "quiet_s", 5: "'span'", 6: "(0, 1]", 7: "'quiet_s'",
    },
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text.partition("]")[0].strip("["))
def test_check_names_every_mistake_of_an_odd_file_at_its_line_and_no_consequence_of_one(
    tmp_path, text, store, monkeypatch
) -> None:
    # Conditions are tried on a store of its own, and this process has one already.
    monkeypatch.setattr("evalspan.queries.store.client.open_store", lambda _: nullcontext(store))
    path = written(tmp_path, text)
    done = CliRunner().invoke(config_command, ["check", str(path)])
    assert isinstance(done.exception, ConfigError)
    said: dict[int, str] = {}
    for place in str(done.exception).split(f"{path}:")[1:]:
        line, _, words = place.partition(": ")
        assert int(line) not in said, str(done.exception)
        said[int(line)] = f"{words} {done.exception.hint}"
    assert set(said) == set(WRONG[text]), str(done.exception)
    assert all(words in said[line] for line, words in WRONG[text].items()), said


def test_short_keys_and_an_open_door_are_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="shorter than 16"):
        load_config(written(tmp_path, '[auth]\nkeys = { short = "p" }'), environment={})
    loaded = load_config(None, {"receive.host": "0.0.0.0"}, {})
    with pytest.raises(ConfigError, match=r"reachable from other machines") as refused:
        refuse_open_door(loaded.receive.host, loaded.auth)
    assert "[auth]" in refused.value.hint


def test_the_page_about_settings_says_what_the_settings_are() -> None:
    page = Path(__file__).parents[2] / "docs" / "configuration.md"
    assert page.read_text() == configuration_markdown(), "run: evalspan config reference > docs/configuration.md"


def test_show_lists_every_key_and_no_secret(tmp_path) -> None:
    path = written(
        tmp_path, '[auth]\nkeys = { a-long-secret-key-123 = "p" }\n[store]\ndsn = "https://u:pw12@h/evalspan"'
    )
    shown = CliRunner().invoke(cli, ["config", "show", "--origin", "--format", "csv", "--config", str(path)])
    assert shown.exit_code == 0
    assert "a-long-secret" not in shown.output
    assert "pw12" not in shown.output
    for table, kind in TABLES.items():
        for key in kind.__struct_fields__:
            assert f"{table},{key}," in shown.output
