"""The local model is real: both SDKs get answers, token counts and streams from it."""

from __future__ import annotations

import sys
from pathlib import Path

import anthropic
import openai
import pytest

from evalspan.collector.demo.local_model import MODEL_NAME, local_model
from evalspan.errors import EvalspanError

pytestmark = pytest.mark.model


def test_openai_sdk_gets_a_chat_answer_with_usage(model_url: str) -> None:
    client = openai.OpenAI(base_url=model_url + "/v1", api_key="none")
    answer = client.chat.completions.create(
        model=MODEL_NAME,
        messages=[{"role": "user", "content": "The Pro plan costs $49. What does Pro cost?"}],
        max_tokens=12,
    )
    assert answer.model == MODEL_NAME
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert 0 < answer.usage.completion_tokens <= 12


def test_anthropic_sdk_gets_a_streamed_message(model_url: str) -> None:
    client = anthropic.Anthropic(base_url=model_url, api_key="none")
    with client.messages.stream(
        model=MODEL_NAME,
        max_tokens=8,
        messages=[{"role": "user", "content": "The Pro plan costs $49. What does Pro cost?"}],
        extra_body={"temperature": 0},
    ) as stream:
        assert "".join(stream.text_stream)
        assert stream.get_final_message().usage.output_tokens > 0


@pytest.mark.parametrize(
    ("fault", "says", "fix"),
    [
        ("ModuleNotFoundError('No module named xllamacpp')", "not installed", "pip install 'evalspan"),
        ("ImportError('libgomp.so.1: cannot open shared object file')", "libgomp.so.1: cannot open", "apt-get install"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_which_library_is_missing_and_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str, says: str, fix: str
) -> None:
    (tmp_path / "xllamacpp.py").write_text(f"raise {fault}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "xllamacpp", raising=False)
    with pytest.raises(EvalspanError, match=says) as raised, local_model():
        pass
    assert fix in str(raised.value.hint)
