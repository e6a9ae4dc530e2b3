"""`evalspan sql`, `queries` and `traces` on the terminal: what is printed, what is refused, and with which code."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from evalspan.errors import EvalspanError, QueryError, UsageError
from evalspan.queries import catalog
from evalspan.queries.cli.named import queries
from evalspan.queries.cli.prompt import Prompt
from evalspan.queries.cli.sql import sql
from evalspan.queries.cli.traces import traces
from evalspan.queries.durations import format_duration, parse_duration
from evalspan.queries.store.client import Store
from evalspan.queries.untrusted.reader import trailing_format
from evalspan.queries.untrusted.suggestions import with_suggestion

from ..collector.serving import serving


def run(command: Any, *arguments: str, store: Store, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(command, [*arguments, "--store", store.dsn], input=stdin)
    if isinstance(result.exception, EvalspanError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def span(project: str, trace: str, name: str, **cells: Any) -> dict[str, Any]:
    return {
        "project": project,
        "trace_id": trace,
        "span_id": uuid.uuid4().hex[:16],
        "start_time": datetime.now(UTC) - timedelta(minutes=5),
        "duration_ns": 1_500_000_000,
        "name": name,
        **cells,
    }


def test_every_format_prints_the_same_rows(store: Store) -> None:
    text = "SELECT number AS n, ['a|b', NULL] AS list, toDateTime64(0.5, 3, 'UTC') AS t, NULL AS gone FROM numbers(2)"
    printed = {
        name: run(sql, text, "--format", name, store=store).stdout
        for name in ("json", "jsonl", "csv", "markdown", "table")
    }
    rows = json.loads(printed["json"])
    assert rows == [{"n": n, "list": ["a|b", None], "t": "1970-01-01T00:00:00.500000Z", "gone": None} for n in (0, 1)]
    assert [json.loads(line) for line in printed["jsonl"].splitlines()] == rows
    assert [row["n"] for row in csv.DictReader(io.StringIO(printed["csv"]))] == ["0", "1"]
    assert printed["markdown"].splitlines()[0] == "| n | list | t | gone |"
    assert "a\\|b" in printed["markdown"]
    assert printed["table"].split()[:4] == ["n", "list", "t", "gone"]


def test_a_table_in_a_pipe_cuts_nothing_and_hides_terminal_escapes(store: Store) -> None:
    printed = run(sql, "SELECT repeat('x', 500) AS long, '\\x1b[31mred' AS red", store=store).stdout
    assert "x" * 500 in printed
    assert "\x1b" not in printed


def test_the_statement_comes_from_the_argument_a_file_or_the_pipe(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "q.sql"
    file.write_text("SELECT {a:UInt8} + 1 AS x")
    assert run(sql, "-f", str(file), "-p", "a=4", "--format", "jsonl", store=store).stdout == '{"x":5}\n'
    assert run(sql, "--format", "jsonl", store=store, stdin="SELECT 7 AS x").stdout == '{"x":7}\n'
    with pytest.raises(UsageError, match="no SQL"):
        run(sql, store=store, stdin="")
    with pytest.raises(UsageError, match="NAME=VALUE"):
        run(sql, "SELECT 1", "-p", "oops", store=store)


@pytest.mark.parametrize(
    ("text", "marked", "meant"),
    [
        ("SELECT model, count() FROM spans GROUP BY request_modle", "`request_modle`", "`request_model`"),
        ("SELECT count() FROM evaluation", "`evaluation`", "`evaluations`"),
        ("SELECT toStartOfHuor(start_time) FROM spans", "`toStartOfHuor`", "`toStartOfHour`"),
    ],
)
def test_a_name_that_is_unknown_is_marked_and_the_nearest_one_told(
    store: Store, text: str, marked: str, meant: str
) -> None:
    if "model, count" in text:
        text = text.replace("model,", "request_model,", 1)
    with pytest.raises(QueryError) as refusal:
        run(sql, text, store=store)
    assert marked in str(refusal.value)
    assert "^^^" in str(refusal.value)
    assert meant in refusal.value.hint


def test_the_command_line_reads_and_nothing_else(store: Store) -> None:
    for attack in ("DROP TABLE spans", "SELECT file('/etc/passwd')", "INSERT INTO spans (name) VALUES ('x')"):
        with pytest.raises(QueryError):
            run(sql, attack, store=store)


def test_the_prompt_runs_statements_over_several_lines_and_keeps_its_history(
    store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    typed = [
        "SELECT 40\r+ 2 AS answer;\r",
        "\\d evaluations\r",
        "\\n\r",
        "\\f jsonl\r",
        "SELECT 1 AS one;\r",
        "SELECT nope;\r",
        "\\q\r",
    ]
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        for line in typed:
            pipe.send_text(line)
        Prompt(store, "table", 10).run()
    shown = capsys.readouterr()
    assert "answer\n    42" in shown.out
    assert "evaluator_version" in shown.out
    assert "e_detector" in shown.out
    assert '{"one":1}' in shown.out
    assert "nope" in shown.err
    history = tmp_path / "evalspan" / "sql_history"
    assert "+ 2 AS answer" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


def test_named_queries_are_listed_shown_and_run(store: Store) -> None:
    listed = CliRunner().invoke(queries, ["list", "--format", "csv"]).stdout
    assert [line.split(",")[0] for line in listed.splitlines()[1:]] == catalog.names()
    shown = CliRunner().invoke(queries, ["show", "trace_ids"]).stdout
    assert "prefix" in shown
    assert "required" in shown
    assert run(queries, "run", "trace_ids", "prefix=ffffffffffff", "--format", "jsonl", store=store).stdout == ""
    with pytest.raises(UsageError, match="needs prefix"):
        run(queries, "run", "trace_ids", store=store)
    with pytest.raises(UsageError, match="no parameter") as refusal:
        run(queries, "run", "trace_ids", "prefx=1", store=store)
    assert "prefix" in refusal.value.hint
    with pytest.raises(UsageError, match="no query named"):
        run(queries, "run", "trace_idz", store=store)


def test_a_broken_header_of_a_named_query_names_the_line() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        catalog.parse("x", "-- title: x\n-- nonsense\nSELECT 1")
    with pytest.raises(ValueError, match="not a parameter"):
        catalog.parse("x", "-- param a\nSELECT 1")
    read = catalog.parse(
        "x",
        "-- title: A\n-- answers: B\n--   more\n-- param n UInt8 = 3 -- how many\n-- column c -- what\nSELECT {n:UInt8} AS c;\n",
    )
    assert (read.answers, read.parameters[0].default, read.sql) == ("B more", "3", "SELECT {n:UInt8} AS c")


@pytest.mark.slow
def test_traces_are_listed_with_totals_and_one_is_shown_as_a_tree(store: Store) -> None:
    project, trace = str(uuid.uuid4()), uuid.uuid4().hex
    said = [{"role": "user", "parts": [{"type": "text", "content": "Wie viel?"}]}]
    root = span(project, trace, "answer", service="shop", kind="SERVER")
    call = span(
        project, trace, "chat gpt", parent_span_id=root["span_id"], operation="chat", request_model="gpt-5-mini",
        input_tokens=1200, output_tokens=34, cost_usd=0.0021, input=said, output="plain", start_time=root["start_time"] + timedelta(seconds=1),
    )  # fmt: skip
    lost = span(project, trace, "orphan", parent_span_id="dead" * 4, status="ERROR", error_type="TimeoutError")
    store.insert("spans", [root, call, lost])
    store.insert(
        "evaluations",
        [
            {
                "project": project,
                "evaluation_id": str(uuid.uuid4()),
                "name": "faithfulness",
                "source": "code",
                "trace_id": trace,
                "span_id": call["span_id"],
                "score": 0.31,
                "passed": "fail",
            }
        ],
    )
    listed = json.loads(run(traces, "list", "--project", project, "--format", "json", store=store).stdout)
    assert [(row["trace_id"], row["spans"], row["errors"], row["tokens"]) for row in listed] == [(trace, 3, 1, 1234)]
    table = run(traces, "list", "--project", project, store=store).stdout
    assert trace in table
    assert "1.50s" in table
    shown = run(traces, "show", trace[:12], store=store).stdout
    lines = shown.splitlines()
    assert any(
        line.startswith("└─ chat gpt") and "1,200+34 tok" in line and "faithfulness 0.31 ✗" in line for line in lines
    )
    assert "Wie viel?" in shown
    assert any(line.startswith("orphan") and "TimeoutError" in line for line in lines)
    whole = json.loads(run(traces, "show", trace, "--format", "json", store=store).stdout)
    assert {s["name"] for s in whole["spans"]} == {"answer", "chat gpt", "orphan"}
    assert whole["evaluations"][0]["score"] == 0.31
    for wrong in ("zzzz", "0000ffff", "ab"):
        with pytest.raises(UsageError):
            run(traces, "show", wrong, store=store)


def test_a_trace_whose_spans_are_each_others_parents_does_not_hang(store: Store) -> None:
    project, trace = str(uuid.uuid4()), uuid.uuid4().hex
    a, b = span(project, trace, "a"), span(project, trace, "b")
    a["parent_span_id"], b["parent_span_id"] = b["span_id"], a["span_id"]
    selfish = span(project, trace, "selfish")
    selfish["parent_span_id"] = selfish["span_id"]
    store.insert("spans", [a, b, selfish])
    shown = run(traces, "show", trace, store=store).stdout
    for name in ("a", "b", "selfish"):
        assert any(line.lstrip("└─├│ ").startswith(f"{name} ") for line in shown.splitlines()), name


def test_lengths_of_time_are_read_and_written() -> None:
    assert [parse_duration(text).total_seconds() for text in ("30s", "1.5h", "7d", "2w")] == [30, 5400, 604800, 1209600]
    for wrong in ("", "7", "0d", "-1h", "week"):
        with pytest.raises(UsageError):
            parse_duration(wrong)
    assert [format_duration(n) for n in (850_000, 12_300_000, 1_840_000_000, 185_000_000_000)] == [
        "850µs",
        "12ms",
        "1.84s",
        "3m05s",
    ]


def evalspan_sql(path: Path, text: str, *flags: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "evalspan", "sql", text, "--store", f"chdb://{path}", *flags]
    return subprocess.run(command, capture_output=True, timeout=120, check=False)


@pytest.fixture(scope="module", params=["opened here", "through the service"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("formats") / "store"
    if request.param == "opened here":
        made = [sys.executable, "-m", "evalspan", "migrate", "--store", f"chdb://{path}"]
        subprocess.run(made, check=True, capture_output=True, timeout=120)
        yield path
    else:
        with serving(path, "--sql-port", "0"):
            yield path


@pytest.mark.slow
def test_a_statement_with_a_format_of_its_own_comes_out_in_it(place: Path) -> None:
    rows = evalspan_sql(place, "SELECT number AS n FROM numbers(200000) FORMAT TSV")
    assert (rows.returncode, rows.stderr) == (0, b"")
    assert rows.stdout == b"".join(b"%d\n" % n for n in range(200_000))
    parquet = evalspan_sql(place, "SELECT number AS n, 'é' AS text FROM numbers(3) FORMAT Parquet")
    assert (parquet.stdout[:4], parquet.stdout[-4:]) == (b"PAR1", b"PAR1")
    twice = evalspan_sql(place, "SELECT 1 FORMAT TSV", "--format", "json")
    assert (twice.returncode, twice.stdout) == (2, b"")
    assert b"two formats" in twice.stderr
    refused = evalspan_sql(place, "SELECT throwIf(number = 90000) FROM numbers(100000) FORMAT TSV")
    assert refused.returncode == 2, "an answer that broke off is no success"
    assert b"FUNCTION_THROW_IF" in refused.stderr
    outside = evalspan_sql(place, "SELECT * FROM file('/etc/passwd', 'LineAsString') FORMAT TSV")
    assert (outside.returncode, outside.stdout) == (2, b"")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("SELECT 1 FORMAT TSV", "TSV"),
        ("select 1 format Parquet ;\n", "Parquet"),
        ("SELECT '-- /* ' FORMAT CSV -- for the sheet", "CSV"),
        ("SELECT number AS format FROM numbers(2) ORDER BY format DESC", ""),
        ("SELECT 1 -- in no format please", ""),
        ("SELECT 1 /* format TSV */", ""),
        ("SELECT 'format TSV'", ""),
        ("SELECT 'it''s \\' format TSV'", ""),
    ],
)
def test_only_a_format_clause_is_one(store: Store, text: str, named: str) -> None:
    assert trailing_format(text) == named
    if not named:
        assert run(sql, text, "--format", "jsonl", store=store).stdout.startswith("{")


def test_a_refused_format_gives_its_handle_back_while_the_error_is_held(store: Store) -> None:
    held = []
    for _ in range(6):  # more than there are slots
        with pytest.raises(QueryError, match="format of its own") as caught:
            store.query_untrusted("SELECT number FROM numbers(300000) FORMAT TSV")
        held.append(caught)
    assert store.query_untrusted("SELECT 1 AS a").rows == [(1,)]


@pytest.mark.slow
def test_a_stream_that_is_not_read_to_the_end_gives_its_handle_back(store: Store) -> None:
    for _ in range(6):
        blocks = store.stream_untrusted("SELECT number FROM numbers(300000) FORMAT TSV")
        assert next(blocks).startswith(b"0\n1\n")
        blocks.close()
    assert store.query_untrusted("SELECT 1 AS a").rows == [(1,)]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("SELEC 1", "SELECT"),
        ("SELECT 1 FRM spans", "FROM"),
        ("SELECT 1 FROM spans WERE 1", "WHERE"),
        ("SELECT 1,\n 2 FROM spans GRUOP BY 1", "GROUP"),
        ("SELECT name FROM spans LIMT 5", "LIMIT"),
        ("SELECT a b c FROM spans", ""),
        ("SELECT count( FROM spans", ""),
        (")", ""),
    ],
)
def test_a_mistyped_keyword_is_answered_in_a_line_that_names_the_one_meant(written, meant, store) -> None:
    with pytest.raises(QueryError) as refused:
        store.query_untrusted(written)
    # A service's own words for the same, which the driver passes on with the statement's end.
    stopped = re.search(r"position (\d+) \((.*?)\)", str(refused.value))
    assert stopped is not None
    place, token = stopped.groups()
    remote = f"Syntax error: failed at position {place} ({token}) (line 1, col 1): {token}\n FORMAT Native. Expected one of: token."
    for said in (str(refused.value), remote):
        told = with_suggestion(QueryError(said, code=62, hint="In: it"), written, store)
        assert "\n" not in str(told)
        assert str(told).startswith("Syntax error at position")
        assert (f"Did you mean {meant}?" in told.hint) == bool(meant), told.hint
