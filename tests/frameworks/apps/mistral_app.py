"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402, I001
from harness import Q, ROOT, end, start, step

start()
from mistralai.client import Mistral

client = Mistral(api_key="m", server_url=ROOT)
ASKED = [{"role": "user", "content": Q}]
SMALL = "mistral-small-latest"
step("chat", lambda: client.chat.complete(model=SMALL, messages=ASKED).choices[0].message.content)
step(
    "stream",
    lambda: "".join(
        str(one.data.choices[0].delta.content)
        for one in client.chat.stream(model=SMALL, messages=ASKED)
        if one.data.choices
    ),
)
step("embed", lambda: len(client.embeddings.create(model="mistral-embed", inputs=["a"]).data))
end()
