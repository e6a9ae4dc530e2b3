"""CPU time of five rule-based evaluators an answer, and of a judge's call beyond the openai SDK's own, in one run.

To reach: 2,000 answers a second and core; under 2 ms a call with 50 calls under way; and for five evaluators of traces
(traces.py) 200 traces of 20 spans a second and core. Exits 1 when missed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from aiohttp import web

from evalspan.evaluators import Constraints, Grounding, Judge, run_evaluator, token_f1
from evalspan.evaluators.builtin.checks import InLanguage, NoRefundPromise, WordCount, no_competitors
from evalspan.evaluators.builtin.private_data import NoPersonalData

from .traces import GOAL, traces_per_second

ANSWERS = Path(__file__).parents[2] / "docs" / "examples" / "support" / "answers.jsonl"
CALLS, AT_ONCE, ROUNDS = 400, 50, 20
GRADE = json.dumps({"reasoning": "ok", "score": 4, "strengths": [], "weaknesses": []})
BODY = json.dumps(
    {
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": GRADE}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
).encode()  # fmt: skip


def rules() -> float:
    """Answers a second and core."""
    suite = [
        Grounding(),
        Constraints("style").add("short", WordCount(at_most=150)).add("english", InLanguage("en")),
        Constraints("brand").add("competitors", no_competitors("Zendesk", "Ring")),
        Constraints("safety").add("refunds", NoRefundPromise()).add("personal data", NoPersonalData()),
    ]
    rows = [json.loads(line) for line in ANSWERS.read_text().splitlines()]
    for one in suite:  # what is compiled and read once in a process
        one(rows[0]["output"], context=rows[0]["context"])
    started = time.process_time()
    for number in range(ROUNDS):
        for row in rows:
            text = f"{row['output']} Item {number}."  # no answer twice, as in production
            for one in suite:
                one(text, context=row["context"])
            token_f1(text, row["output"])
    return ROUNDS * len(rows) / (time.process_time() - started)


async def calls() -> tuple[float, float]:
    """CPU milliseconds of the SDK's bare call, and of a judge's, the server's share in both."""
    from openai import AsyncOpenAI

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(0.3)
        return web.Response(body=BODY, content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    client, judge = AsyncOpenAI(base_url=url, api_key="x", max_retries=0), Judge(model="m", base_url=url, cache=False)
    slots = asyncio.Semaphore(AT_ONCE)

    async def bare(number: int) -> None:
        async with slots:
            body = {"model": "m", "messages": [{"role": "user", "content": f"{number} " + "hello " * 300}]}
            await client.post("/chat/completions", body=body, cast_to=object)

    async def judged(number: int) -> None:
        async with slots:
            assert (await run_evaluator(judge, output=f"text {number} " * 20)).value == 4.0

    spent = []
    for kind in (bare, judged):
        await asyncio.gather(*(kind(number) for number in range(AT_ONCE)))
        started = time.process_time()
        await asyncio.gather(*(kind(number) for number in range(CALLS)))
        spent.append((time.process_time() - started) / CALLS * 1e3)
    await runner.cleanup()
    return spent[0], spent[1]


def main() -> int:
    """Prints both and says whether they are reached."""
    rate = rules()
    sdk, judge = asyncio.run(calls())
    print(f"five rule-based evaluators: {rate:,.0f} answers a second and core (to reach: 2,000)")
    traces = asyncio.run(traces_per_second())
    print(
        f"five rule-based evaluators of traces: {traces:,.0f} traces of 20 spans a second and core (to reach: {GOAL:,.0f})"
    )
    print(f"a judge's call: {judge - sdk:.2f} ms of CPU beyond the SDK's {sdk:.2f} ms (to reach: under 2)")
    return int(rate < 2000 or judge - sdk >= 2 or traces < GOAL)


sys.exit(main())
