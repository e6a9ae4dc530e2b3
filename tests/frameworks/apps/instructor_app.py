"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402
from harness import Q, end, start, step

start()
import anthropic
import instructor
import openai
from pydantic import BaseModel, field_validator

ASKED = [{"role": "user", "content": Q}]


class Weather(BaseModel):
    city: str
    degrees: int


class Never(BaseModel):
    city: str

    @field_validator("city")
    @classmethod
    def no(cls, value):
        raise ValueError("never good")


client = instructor.from_openai(openai.OpenAI(max_retries=0))
claude = instructor.from_anthropic(anthropic.Anthropic())


async def aio():
    return await instructor.from_openai(openai.AsyncOpenAI()).chat.completions.create(
        model="gpt-4.1-mini", response_model=Weather, messages=ASKED
    )


step("tools", lambda: client.chat.completions.create(model="gpt-4.1-mini", response_model=Weather, messages=ASKED))
step(
    "partial",
    lambda: list(client.chat.completions.create_partial(model="gpt-4.1-mini", response_model=Weather, messages=ASKED))[
        -1
    ],
)
step(
    "claude",
    lambda: claude.messages.create(model="claude-sonnet-4-5", max_tokens=100, response_model=Weather, messages=ASKED),
)
step("async", aio)
step(
    "retries",
    lambda: client.chat.completions.create(model="gpt-4.1-mini", response_model=Never, messages=ASKED, max_retries=2),
)
step("error", lambda: client.chat.completions.create(model="fail-400", response_model=Weather, messages=ASKED))
end()
