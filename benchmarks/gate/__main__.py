"""Times `evalspan gate` as a process over 200 examples and a model that takes 200 ms: uncached, cached, and its start.

To reach: 5 s uncached with concurrency 20 (2 s are the target's own), 3 s cached, 1 s to start. Exits 1 when missed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from evalspan.evaluators.datasets import Dataset, Example

APP = """
import os
from openai import OpenAI
from evalspan.evaluators import Constraints, evaluator, token_f1

client = OpenAI(base_url=os.environ["MODEL_URL"], api_key="x")

def answer(input):
    messages = [{"role": "user", "content": str(input["n"])}]
    return client.chat.completions.create(model="m", messages=messages).choices[0].message.content

@evaluator(name="right", version="1")
def right(output, input):
    return output.endswith(str(input["n"]))

suite = [Constraints(name="style").add("short", lambda output: len(output) < 200), right, token_f1]
"""


class Model(BaseHTTPRequestHandler):
    """Answers each chat request after 200 ms."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        return

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(0.2)
        message = {"role": "assistant", "content": f"answer {asked['messages'][0]['content']}"}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        made = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        body = json.dumps(made).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def timed(folder: Path, url: str, *arguments: str) -> float:
    environment = {**os.environ, "EVALSPAN_CACHE": str(folder / "cache"), "MODEL_URL": url}
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "evalspan", "gate", *arguments],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.py").write_text(APP)
        examples = [
            Example(
                id=f"r{n}",
                partition="regression",
                input={"n": n},
                expected_output=f"answer {n}",
                metadata={"root_cause": "x"},
            )
            for n in range(200)
        ]
        Dataset("d", examples=examples).save(folder / "d.jsonl")
        run = [
            "--dataset",
            "d.jsonl",
            "--target",
            "app:answer",
            "--suite",
            "app:suite",
            "--concurrency",
            "20",
            "--report",
        ]
        server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        found = {
            "start (--help)": (timed(folder, url, "--help"), 1.0),
            "200 uncached, 200 ms each, 20 at once": (timed(folder, url, *run, "first.json"), 5.0),
            "200 cached": (timed(folder, url, *run, "second.json"), 3.0),
        }
        reports = [json.loads((folder / name).read_bytes()) for name in ("first.json", "second.json")]
        same = len({tuple(one["status"] for one in report["results"]) for report in reports}) == 1
    for what, (seconds, reach) in found.items():
        print(f"{what:<40} {seconds:6.2f} s   to reach {reach:g} s")
    print(f"the second report has {'the same verdicts' if same else 'OTHER VERDICTS'}")
    return int(not same or any(seconds > reach for seconds, reach in found.values()))


sys.exit(main())
