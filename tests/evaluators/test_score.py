"""`evalspan score` as a person runs it: a file, a kill in the middle, a budget, bad input, and what the table says."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from evalspan.errors import UsageError
from evalspan.evaluators.reports.score_report import advice, mean_interval, summaries
from evalspan.evaluators.runner import EvaluationResult
from evalspan.evaluators.scoring.outputs import Results, Scored, read_outputs, score_all

SUITE = """
import asyncio, os
from evalspan.evaluators import Constraints, Grounding, Judge, evaluator
from evalspan.evaluators.builtin.checks import WordCount

@evaluator(name="slow", version="1", threshold=0.5)
async def slow(output):
    await asyncio.sleep(float(os.environ.get("SLOW", "0")))
    if "boom" in output:
        raise ValueError("boom")
    return 0.5

SUITE = [Constraints("style").add("short", WordCount(at_most=8)), Grounding(), slow]
JUDGED = [Judge("tone", model="unpriced-model", base_url="http://127.0.0.1:9/v1", cache=False, retries=0)]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "checks.py").write_text(SUITE)
    return tmp_path


def write(folder, records):
    (folder / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))


def run(folder, *arguments, **environment):
    command = [sys.executable, "-m", "evalspan", "score", *arguments]
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)


def answers(n, **more):
    return [
        {"id": str(i), "output": f"The plan costs ${49 + i % 2}.", "context": "The plan costs $49.", **more}
        for i in range(n)
    ]


@pytest.mark.slow
def test_p06_the_table_has_n_interval_unscored_and_why(folder):
    write(folder, [*answers(10), {"id": "b", "output": "boom", "context": "The plan costs $49."}])
    done = run(folder, "--input", "a.jsonl", "--suite", "checks:SUITE", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = {row["evaluator"]: row for row in json.loads(done.stdout)}
    assert (rows["slow"]["n"], rows["slow"]["unscored"], rows["slow"]["why"]) == (10, 1, "1 x ValueError: boom")
    assert rows["grounding"]["pass_rate"] == 0.5
    assert rows["grounding"]["pass_low"] < 0.5 < rows["grounding"]["pass_high"]
    assert rows["style"]["n"] == 11


def begun(folder: Path, suite: str, *, concurrency: int, **variables: str) -> subprocess.Popen[bytes]:
    """A run that the test is about to kill."""
    command = [sys.executable, "-m", "evalspan", "score", "--input", "a.jsonl", "--suite", suite]
    return subprocess.Popen(
        [*command, "--concurrency", str(concurrency)], cwd=folder, env={**os.environ, **variables},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.slow
def test_a_killed_run_is_resumed_and_nothing_is_scored_twice(folder):
    write(folder, answers(60))
    running = begun(folder, "checks:SUITE", concurrency=2, SLOW="0.2")
    results = folder / "a.scores.jsonl"
    deadline = time.monotonic() + 60
    while not (results.exists() and results.read_bytes().count(b"\n") >= 5) and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    before = results.read_bytes().count(b"\n")
    assert 5 <= before < 180
    with results.open("ab") as file:
        file.write(b'{"id": "torn')  # a line under way
    done = run(folder, "--input", "a.jsonl", "--suite", "checks:SUITE", "--format", "json")
    assert f"{180 - before} judgements made, {before} kept" in done.stderr, done.stderr
    assert all(row["n"] == 60 for row in json.loads(done.stdout))
    assert results.read_bytes().count(b"\n") == 180


def judge_that_holds_the_fourth_call(asked: list[int], hold: threading.Event) -> ThreadingHTTPServer:
    """An OpenAI endpoint that always grades with 4; the fourth call waits until `hold` is set."""
    grade = json.dumps({"reasoning": "fine", "score": 4, "strengths": [], "weaknesses": []})
    body = json.dumps(
        {
            "id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": grade}}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020},
        }
    ).encode()  # fmt: skip

    class Endpoint(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            asked.append(1)
            if len(asked) == 4:
                hold.wait(30)  # the run is killed while this call is under way
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.mark.slow
def test_what_a_killed_run_spent_is_known_and_counts_against_the_budget_of_the_next(folder):
    asked, hold = [], threading.Event()
    server = judge_that_holds_the_fourth_call(asked, hold)
    url = f"http://127.0.0.1:{server.server_port}/v1"
    (folder / "priced.py").write_text(
        "from evalspan.evaluators import Judge\n"
        f"SUITE = [Judge('tone', model='m', base_url={url!r}, cache=False, retries=0, price=(10, 10), max_tokens=100)]\n"
    )
    write(folder, answers(8))
    running = begun(folder, "priced:SUITE", concurrency=1)
    deadline = time.monotonic() + 60
    while len(asked) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    running.kill()
    running.wait()
    hold.set()
    bill = folder / "a.scores.spent.jsonl"
    assert bill.exists()
    # Three calls of $0.0102, and the one under way: with it, nothing of four cents is left for a fifth.
    done = run(folder, "--input", "a.jsonl", "--suite", "priced:SUITE", "--max-usd", "0.04", "--format", "json")
    assert "an unfinished run made 4 judge calls, 1 of them under way" in done.stderr, done.stderr
    assert len(asked) == 4, "the budget was spent before"
    assert "is spent" in json.loads(done.stdout)[0]["why"]
    assert not bill.exists(), "this run ended by itself"
    done = run(folder, "--input", "a.jsonl", "--suite", "priced:SUITE", "--max-usd", "5", "--format", "json")
    assert json.loads(done.stdout)[0]["n"] == 8
    assert len(asked) == 9
    server.shutdown()


def test_an_unpriced_judge_is_refused_under_a_dollar_budget_and_the_run_is_inconclusive(folder):
    write(folder, answers(2))
    done = run(folder, "--input", "a.jsonl", "--suite", "checks:JUDGED", "--max-usd", "5", "--format", "json")
    assert done.returncode == 4
    (row,) = json.loads(done.stdout)
    assert (row["n"], row["unscored"]) == (0, 2)
    assert "price of 'unpriced-model' is unknown" in row["why"]


@pytest.mark.slow
def test_labels_are_put_beside_the_scores_for_calibration(folder):
    write(folder, [*answers(2), {"id": "x", "output": "boom"}])
    (folder / "labels.jsonl").write_text('{"id": "0", "label": true}\n{"id": "x", "label": false, "rater": "ann"}\n')
    run(folder, "--input", "a.jsonl", "--suite", "checks:SUITE", "--labels", "labels.jsonl")
    rows = [json.loads(line) for line in (folder / "a.scores.slow.labelled.jsonl").read_text().splitlines()]
    assert {"id": "0", "label": True, "score": 0.5, "passed": True} in rows
    assert {"id": "x", "label": False, "rater": "ann"} in rows  # unscored, and counted
    (folder / "labels.jsonl").write_text('{"id": "nobody", "label": true}\n')
    done = run(folder, "--input", "a.jsonl", "--suite", "checks:SUITE", "--labels", "labels.jsonl")
    assert (done.returncode, "no label has the id" in done.stderr) == (2, True)


def test_judge_prompts_are_printed_on_request(folder):
    done = run(folder, "--suite", "checks:JUDGED", "--prompts")
    assert "5 = Excellent" in done.stdout
    assert "{{material}}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "checks:SUITE"], "either --input FILE or --since"),
        (["--input", "a.jsonl"], "needs a suite"),
        (["--input", "none.jsonl", "--suite", "checks:SUITE"], "cannot read none.jsonl"),
        (["--input", "a.jsonl", "--suite", "checks:SUITE", "--evaluator", "styl"], "did you mean 'style'"),
        (["--input", "a.jsonl", "--suite", "checks:SUITE", "--evaluator", "style@new"], "use it with --since"),
        (["--follow"], "--follow needs rules"),
        (["--follow", "--suite", "checks:SUITE", "--shard", "2/2"], "is not I/N"),
    ],
)
def test_bad_usage_says_what_and_how_and_exits_2(folder, arguments, message):
    write(folder, answers(1))
    done = run(folder, *arguments)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", ":2 is not JSON"),
        ("[1]", ":2 is not a JSON object"),
        ('{"outptu": "x"}', ":2 has no output; did you mean 'outptu'"),
        ('{"id": "0", "output": "x"}', "the id '0' was there before"),
        ('{"output": "x", "weight": 0}', "weight 0 is not above 0"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"id": "0", "output": "x"}}\n{line}\n')
    with pytest.raises(UsageError, match=message):
        read_outputs(path)
    path.write_text("\n")
    with pytest.raises(UsageError, match="holds no outputs"):
        read_outputs(path)


def test_results_of_something_else_are_not_overwritten(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"not": "ours"}\n')
    with pytest.raises(UsageError, match="is not a result of evalspan score"):
        Results(path)


async def test_a_changed_output_or_version_is_scored_again(tmp_path):
    from evalspan.evaluators import evaluator

    calls = []

    def suite(version):
        def watched(output):
            calls.append(output)
            return 1.0

        return [evaluator(name="e", version=version)(watched)]

    path = tmp_path / "a.jsonl"
    results = Results(tmp_path / "r.jsonl")
    path.write_text('{"id": "1", "output": "a"}\n')
    await score_all(read_outputs(path), suite("1"), results)
    await score_all(read_outputs(path), suite("1"), results)
    path.write_text('{"id": "1", "output": "b"}\n')
    await score_all(read_outputs(path), suite("1"), results)
    await score_all(read_outputs(path), suite("2"), results)
    assert calls == ["a", "b", "b"]


def scored(value=1.0, name="e", unscored=None, words=5, source="code", weight=1.0, cluster="", **details):
    outcome = EvaluationResult(
        name,
        "1",
        None if unscored else value,
        passed=None if unscored else value >= 0.5,
        details=details,
        unscored=unscored,
    )
    return Scored(f"{id(outcome)}", "", outcome, weight, cluster, words, source)


def test_b16_unscored_outputs_leave_the_rate_alone_and_are_counted():
    (row,) = summaries([scored(1.0), scored(0.0), scored(unscored="timed out"), scored(unscored="timed out")])
    assert (row.n, row.mean, row.pass_rate, row.unscored, row.why) == (2, 0.5, 0.5, 2, "2 x timed out")


def test_b02_weights_and_b11_clusters_enter_the_interval():
    values = [1.0, 0.0, 0.0, 1.0]
    mean, low, high = mean_interval(values, [1, 1, 1, 1], [""] * 4)
    assert (mean, high - mean) == (0.5, pytest.approx(3.182446 * math.sqrt(1 / 3) / 2, rel=1e-5))
    assert low == pytest.approx(1 - high)
    assert mean_interval([1.0, 0.0], [20, 1], ["", ""])[0] == pytest.approx(20 / 21)
    _, alone_low, _ = mean_interval([1, 1, 0, 0, 1, 1], [1] * 6, [""] * 6)
    _, together_low, _ = mean_interval([1, 1, 0, 0, 1, 1], [1] * 6, ["a", "a", "b", "b", "c", "c"])
    assert together_low < alone_low
    assert mean_interval([1.0], [1], [""]) == (1.0, -math.inf, math.inf)


def test_p08_warnings_are_printed_with_their_remedy():
    notes = advice(
        [
            *(
                scored(float(n), "tone", words=n, source="llm_judge", warnings=["same family: use another"])
                for n in range(1, 9)
            ),
            *(scored(0.2, "facts", has_hallucinations=True) for _ in range(5)),
            scored(0.9, "sim", calibration="uncalibrated"),
        ]
    )
    text = "\n".join(notes)
    assert "tone: same family: use another (8 of 8 outputs)" in text
    assert "longer outputs score higher" in text  # j06
    assert "REASONABLE_INFERENCE" in text  # h07
    assert "evalspan calibrate" in text  # r07


KILLED_MIDWAY = """
import os, signal
from evalspan.evaluators import Judge
from evalspan.evaluators.cli.score import _budget, _journal_path
suite = [Judge("tone", model="m", base_url="http://127.0.0.1:9/v1")]
options = {"input_path": None, "output_path": None, "dsn": "chdb:///x", "project": "default", "since": SINCE, "where": "1",
           "fraction": 1.0, "max_usd": 5.0, "max_tokens": None}
with _budget(options, _journal_path(suite, options)) as budget:
    print(round(budget.spent.usd, 4), budget.spent.calls)
    with budget.reserve("m", 100, 0.5):
        budget.record(60, 40, 0.2)
    with budget.reserve("m", 100, 0.5):
        if END == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_killed_run_over_stored_spans_leaves_its_bill_to_the_same_command_only(tmp_path):
    def score_since(since, end):
        code = KILLED_MIDWAY.replace("SINCE", repr(since)).replace("END", repr(end))
        environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
        return done.stdout.split()

    assert score_since("24h", "killed") == ["0.0", "0"]
    assert score_since("24h", "killed") == ["0.7", "2"]  # 0.2, and the most that the call under way may have cost
    assert score_since("7d", "whole") == ["0.0", "0"]
    assert score_since("24h", "whole") == ["1.4", "4"]
    assert score_since("24h", "whole") == ["0.0", "0"]  # the one before ended by itself
    assert list((tmp_path / "state" / "evalspan").iterdir()) == []


def test_rules_over_stored_spans_need_no_place_for_a_bill(monkeypatch):
    from evalspan.evaluators import exact_match
    from evalspan.evaluators.cli.score import _journal_path

    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    assert _journal_path([exact_match], {"input_path": None, "output_path": None}) is None
