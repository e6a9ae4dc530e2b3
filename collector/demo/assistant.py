"""The app that the demo watches: a support assistant in plain SDK code; nothing in it knows evalspan but two names.

It retrieves passages, asks the model, and answers. `OPENAI_BASE_URL` and `OPENAI_API_KEY` may name any
OpenAI-compatible endpoint in place of the local model.
"""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai

import evalspan

from ...instrument import semconv
from .knowledge import search

GOOD_PROMPT = (
    "You are the support assistant of Lanternboard. "
    "Answer the customer's question in one short sentence, using only the facts given."
)
"""The system prompt of week one."""

BAD_PROMPT = (
    "It is the holiday season! You are the cheerful holiday elf of Lanternboard. "
    "Wish the customer happy holidays in a warm, festive greeting full of holiday joy. "
    "Then answer the customer's question."
)
"""What somebody made of it in week two. No version was tagged."""

MAX_TOKENS = 48


class Assistant:
    """Answers questions from the help centre.

    Args:
        base_url: the server, without `/v1`, as both SDKs can reach it.
        model: the model's name there.
        api_key: the key for it.
        openai_url: the OpenAI-compatible base URL where it is not `base_url + "/v1"`.
    """

    def __init__(self, base_url: str, model: str, *, api_key: str = "none", openai_url: str | None = None) -> None:
        self.model = model
        self._openai = openai.OpenAI(base_url=openai_url or f"{base_url}/v1", api_key=api_key, max_retries=1)
        # Only the local server speaks Anthropic's protocol too.
        self._anthropic = None if openai_url else anthropic.Anthropic(base_url=base_url, api_key=api_key, max_retries=1)

    def answer(
        self, question: str, prompt: str, *, temperature: float = 0.0, seed: int = 0, way: str = "openai"
    ) -> dict[str, Any]:
        """One answer with the passages that it was given, as `{"output": str, "context": list[str]}`.

        Args:
            question: what the customer asks.
            prompt: the system prompt.
            temperature: of the sampling; 0 repeats itself.
            seed: of the sampling.
            way: `openai`, `stream` (OpenAI, streamed) or `anthropic`.
        """
        with evalspan.span("answer question", **{semconv.OPERATION: semconv.OPERATION_WORKFLOW}):
            facts = self._retrieve(question)
            content = "Facts:\n" + "\n".join(facts) + f"\n\nQuestion: {question}"
            if way == "anthropic" and self._anthropic is not None:
                text = self._ask_anthropic(prompt, content, temperature)
            elif way == "stream":
                text = self._ask_streaming(prompt, content, temperature, seed)
            else:
                text = self._ask(prompt, content, temperature, seed)
            return {"output": text.strip(), "context": facts}

    def _retrieve(self, question: str) -> list[str]:
        attributes = {
            semconv.OPERATION: semconv.OPERATION_RETRIEVAL,
            semconv.DATA_SOURCE_ID: "help-centre",
            semconv.RETRIEVAL_QUERY: question,
        }
        with evalspan.span("retrieval help-centre", **attributes) as span:
            hits = search(question)
            documents = [{"id": p.id, "score": round(score, 3), "content": p.text} for p, score in hits]
            span.set_attribute(semconv.RETRIEVAL_DOCUMENTS, json.dumps(documents))
        return [passage.text for passage, _ in hits]

    def _ask(self, prompt: str, content: str, temperature: float, seed: int) -> str:
        completion = self._openai.chat.completions.create(
            model=self.model,
            messages=[{"role": "system", "content": prompt}, {"role": "user", "content": content}],
            temperature=temperature,
            seed=seed,
            max_tokens=MAX_TOKENS,
        )
        return completion.choices[0].message.content or ""

    def _ask_streaming(self, prompt: str, content: str, temperature: float, seed: int) -> str:
        chunks = self._openai.chat.completions.create(
            model=self.model,
            messages=[{"role": "system", "content": prompt}, {"role": "user", "content": content}],
            temperature=temperature,
            seed=seed,
            max_tokens=MAX_TOKENS,
            stream=True,
            stream_options={"include_usage": True},
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    def _ask_anthropic(self, prompt: str, content: str, temperature: float) -> str:
        assert self._anthropic is not None
        message = self._anthropic.messages.create(
            model=self.model,
            system=prompt,
            messages=[{"role": "user", "content": content}],
            # This SDK no longer names the parameter; the local server takes it.
            extra_body={"temperature": temperature},
            max_tokens=MAX_TOKENS,
        )
        return "".join(block.text for block in message.content if block.type == "text")
