"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402, I001
from harness import OPENAI, Q, ROOT, end, start, step

start()
import dspy


def lm(model="openai/gpt-4.1-mini", base=OPENAI, **more):
    return dspy.LM(model, api_base=base, api_key="x", cache=False, num_retries=0, **more)


def get_weather(city: str) -> str:
    "Weather of a city."
    return f"sunny in {city}"


dspy.configure(lm=lm())


async def stream():
    listener = dspy.streaming.StreamListener(signature_field_name="answer")
    program = dspy.streamify(dspy.Predict("question -> answer"), stream_listeners=[listener])
    return len([chunk async for chunk in program(question=Q)])


step("predict", lambda: dspy.Predict("question -> answer")(question=Q).answer)
step("cot", lambda: dspy.ChainOfThought("question -> answer")(question=Q).answer)
step("react", lambda: dspy.ReAct("question -> answer", tools=[get_weather], max_iters=3)(question=Q).answer)
step("responses", lambda: lm(model_type="responses")("hi"))
step(
    "embed",
    lambda: (
        dspy.Embedder("openai/text-embedding-3-small", api_base=OPENAI, api_key="x", caching=False)(["a", "b"]).shape
    ),
)
step("stream", stream)
step("claude", lambda: lm("anthropic/claude-sonnet-4-5", ROOT)("hi"))
step("error", lambda: lm("openai/fail-400")("hi"))
end()
