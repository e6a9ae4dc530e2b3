"""google-genai's automatic function calls: each request of the loop is a call of its own, inside one span for the run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any

import wrapt
from opentelemetry import trace

from .. import semconv
from ..decorators import observe
from ..safe_call import safe_call
from .patches import Patches
from .policy import set_content

_RUN = observe(kind="agent", name="generate_content", capture_output=False)


def trace_requests(patches: Patches) -> None:
    """Moves the instrumentor's wrappers from the loops to the requests that the loops make, and puts spans around runs.

    It traces `generate_content`, which asks, calls functions and asks again: one span, with the tokens of the last
    answer. A chat has such a loop of its own.
    """
    models, chats = import_module("google.genai.models"), import_module("google.genai.chats")
    for kind, run, stream in ((models.Models, _run, _stream), (models.AsyncModels, _run_async, _stream_async)):
        for name, around in (("generate_content", run), ("generate_content_stream", stream)):
            loop, request = vars(kind).get(name), vars(kind).get(f"_{name}")
            wrapper = getattr(loop, "_self_wrapper", None)
            if wrapper is None or request is None:
                continue  # another instrumentor, or another release: it stays as it is
            patches.wrap(kind, f"_{name}", partial(_wrapped, wrapper))
            patches.wrap(kind, name, partial(_around_bare, around))
    patches.wrap(chats.Chat, "send_message", _run)
    patches.wrap(chats.Chat, "send_message_stream", _stream)
    patches.wrap(chats.AsyncChat, "send_message", _run_async)
    patches.wrap(chats.AsyncChat, "send_message_stream", _stream_async)
    functions = import_module("google.genai._extra_utils")
    patches.wrap(functions, "invoke_function_from_dict_args", _tool)
    patches.wrap(functions, "invoke_function_from_dict_args_async", _tool_async)


def _wrapped(wrapper: Any, original: Any) -> Any:
    return wrapt.FunctionWrapper(original, wrapper)


def _around_bare(around: Callable[[Any], Any], original: Any) -> Any:
    return around(original.__wrapped__)


def _calls_functions(owner: Any, given: dict[str, Any]) -> bool:
    """Whether a function of the app's, or a session of MCP, is among the tools, and may be called."""
    config = given.get("config") or getattr(owner, "_config", None)
    if _field(_field(config, "automatic_function_calling"), "disable"):
        return False
    return any(callable(tool) or hasattr(tool, "call_tool") for tool in _field(config, "tools") or ())


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def _has_loop(owner: Any, given: dict[str, Any]) -> bool:
    return bool(safe_call(_calls_functions, owner, given))


def _asked(args: tuple[Any, ...], given: dict[str, Any]) -> Any:
    """What is sent: only a chat takes it by position."""
    return args[0] if args else given.get("contents", given.get("message"))


def _run(original: Callable[..., Any]) -> Callable[..., Any]:
    def generate(self: Any, *args: Any, **given: Any) -> Any:
        if not _has_loop(self, given):
            return original(self, *args, **given)

        def run(contents: Any) -> Any:  # noqa: ARG001 - what the span shows
            response = original(self, *args, **given)
            safe_call(_answered, _text_of(response))
            return response

        return _RUN(run)(_asked(args, given))

    return generate


def _run_async(original: Callable[..., Any]) -> Callable[..., Any]:
    async def generate(self: Any, *args: Any, **given: Any) -> Any:
        if not _has_loop(self, given):
            return await original(self, *args, **given)

        async def run(contents: Any) -> Any:  # noqa: ARG001 - what the span shows
            response = await original(self, *args, **given)
            safe_call(_answered, _text_of(response))
            return response

        return await _RUN(run)(_asked(args, given))

    return generate


def _stream(original: Callable[..., Any]) -> Callable[..., Any]:
    def generate_stream(self: Any, *args: Any, **given: Any) -> Any:
        if not _has_loop(self, given):
            return original(self, *args, **given)

        def run(contents: Any) -> Iterator[Any]:  # noqa: ARG001 - what the span shows
            said = []
            for chunk in original(self, *args, **given):
                said.append(_text_of(chunk))
                yield chunk
            safe_call(_answered, "".join(said))

        return _RUN(run)(_asked(args, given))

    return generate_stream


def _stream_async(original: Callable[..., Any]) -> Callable[..., Any]:
    async def generate_stream(self: Any, *args: Any, **given: Any) -> Any:
        stream = await original(self, *args, **given)
        if not _has_loop(self, given):
            return stream

        async def run(contents: Any) -> AsyncIterator[Any]:  # noqa: ARG001 - what the span shows
            said = []
            async for chunk in stream:  # nothing has been asked yet: the first chunk does it
                said.append(_text_of(chunk))
                yield chunk
            safe_call(_answered, "".join(said))

        return _RUN(run)(_asked(args, given))

    return generate_stream


def _text_of(response: Any) -> str:
    """Its text, without the warning that `response.text` logs where an answer has other parts, too."""
    return str(safe_call(_joined, response) or "")


def _joined(response: Any) -> str:
    parts = response.candidates[0].content.parts if response.candidates else ()
    return "".join(part.text for part in parts or () if part.text and not part.thought)


def _answered(text: str) -> None:
    if text:
        answer = [{"role": "assistant", "parts": [{"type": "text", "content": text}], "finish_reason": "stop"}]
        set_content(trace.get_current_span(), semconv.OPERATION_AGENT, {semconv.OUTPUT_MESSAGES: answer})


def _tool(original: Callable[..., Any]) -> Callable[..., Any]:
    def invoke(arguments: Any, function: Any) -> Any:
        def call(**_: Any) -> Any:
            return original(arguments, function)

        return observe(_name_of(function), kind="tool")(call)(**_named(arguments))

    return invoke


def _tool_async(original: Callable[..., Any]) -> Callable[..., Any]:
    async def invoke(arguments: Any, function: Any) -> Any:
        async def call(**_: Any) -> Any:
            return await original(arguments, function)

        return await observe(_name_of(function), kind="tool")(call)(**_named(arguments))

    return invoke


def _named(arguments: Any) -> dict[str, Any]:
    return {str(name): value for name, value in arguments.items()} if isinstance(arguments, dict) else {}


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", "") or type(function).__name__)
