"""A model server that numbers its tokens: OpenAI, Anthropic, Gemini, Bedrock and Mistral, for real agents of real frameworks.

Not a model. It calls the first tool that it is offered and has no result of, else it answers; the n-th request of a run has
1000 + n input and 100 + n output tokens, so that what was lost or doubled on the way can be told from the sum.
"""

from __future__ import annotations

import base64
import json
import re
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER = "It is sunny in Lisbon."
VECTOR = [0.1, 0.2, 0.3]
_RESULT_MARKS = (
    '"role": "tool"',
    '"function_call_output"',
    '"tool_result"',
    '"functionResponse"',
    '"toolResult"',
    "tool-response",
    "Observation:",
    '"role": "function"',
)
_FINAL_TOOLS = ("final_answer", "final_result", "finish", "submit")


def item_events(item: dict[str, Any], text: str) -> list[dict[str, Any]]:
    """The events in which the Responses API streams one item: a function's call, or a message of these words."""
    part = item.get("content", [{}])[0]
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    empty: dict[str, Any] = {"arguments": ""} if item["type"] == "function_call" else {"content": []}
    opened = {**item, "status": "in_progress", **empty}
    events = [{"type": "response.output_item.added", "output_index": 0, "item": opened}]
    if item["type"] == "function_call":
        told = {"item_id": item["id"], "output_index": 0}
        events.append({"type": "response.function_call_arguments.delta", **told, "delta": item["arguments"]})
        events.append(
            {"type": "response.function_call_arguments.done", **told, "arguments": item["arguments"], "name": text}
        )
    else:
        events.append({"type": "response.content_part.added", **at, "part": {**part, "text": ""}})
        events += [{"type": "response.output_text.delta", **at, "delta": word, "logprobs": []} for word in words(text)]
        events.append({"type": "response.output_text.done", **at, "text": text, "logprobs": []})
        events.append({"type": "response.content_part.done", **at, "part": part})
    events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    return events


class Runs:
    """Every request of every run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests: dict[str, list[dict[str, Any]]] = {}
        self.exports: dict[str, list[bytes]] = {}

    def note(self, run: str, path: str, model: str, stream: bool, traceparent: str | None) -> dict[str, Any]:
        """Counts one request and fixes its tokens."""
        with self._lock:
            made = self.requests.setdefault(run, [])
            counted = not re.search("count_?tokens", path, re.IGNORECASE)
            record = {
                "path": path, "model": model, "stream": stream, "traceparent": traceparent, "status": 200, "reported": True,
                "input": 1000 + len(made) if counted else 0, "output": 100 + len(made) if counted else 0, "counted": counted,
            }  # fmt: skip
            made.append(record)
            return record

    def export(self, run: str, body: bytes) -> None:
        """Keeps one OTLP body."""
        with self._lock:
            self.exports.setdefault(run, []).append(body)


def example_of(schema: dict[str, Any], root: dict[str, Any] | None = None, name: str = "") -> Any:
    """A value that fits a JSON schema."""
    root = root or schema
    if "$ref" in schema:
        node: Any = root
        for part in schema["$ref"].lstrip("#/").split("/"):
            node = node[part]
        return example_of(node, root, name)
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return example_of(schema[choice][0], root, name)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    kind = str(kind[0] if isinstance(kind, list) else kind).lower()
    if kind == "object":
        return {key: example_of(value, root, key) for key, value in schema.get("properties", {}).items()}
    if kind == "array":
        return [example_of(schema.get("items", {}), root, name)]
    plain = {"integer": 7, "number": 7.5, "boolean": True, "null": None}
    return plain[kind] if kind in plain else {"city": "Lisbon", "answer": ANSWER}.get(name, name or "Lisbon")


_PARAMETERS = ("parameters", "parametersJsonSchema", "parameters_json_schema")


def tools_of(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The offered tools, by name, in any API's spelling."""
    found: dict[str, dict[str, Any]] = {}
    configured = body.get("toolConfig")
    for tool in [
        *(body.get("tools") or []),
        *((configured or {}).get("tools", []) if isinstance(configured, dict) else []),
    ]:
        if "functionDeclarations" in tool:
            for one in tool["functionDeclarations"]:
                found[one["name"]] = next((one[key] for key in _PARAMETERS if one.get(key)), {})
        elif "function" in tool:
            found[tool["function"]["name"]] = tool["function"].get("parameters") or {}
        elif "toolSpec" in tool:
            found[tool["toolSpec"]["name"]] = tool["toolSpec"]["inputSchema"].get("json", {})
        elif "input_schema" in tool:
            found[tool["name"]] = tool["input_schema"]
        elif tool.get("type") == "function":
            found[tool["name"]] = tool.get("parameters") or {}
    return found


def decide(body: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """The text to answer and None, or the tool to call and its arguments."""
    said = json.dumps(body.get("messages") or body.get("input") or body.get("contents") or "")
    done = bool(body.get("previous_response_id")) or any(mark in said for mark in _RESULT_MARKS)
    tools, choice = tools_of(body), body.get("tool_choice")
    forced = choice if choice in ("required", "any") else None
    if isinstance(choice, dict):
        forced = (
            (choice.get("function") or {}).get("name")
            or choice.get("name")
            or ("any" if choice.get("type") in ("any", "required") else None)
        )
    if forced in tools:
        return forced, example_of(tools[forced])
    finals = [name for name in tools if name in _FINAL_TOOLS or name.endswith("_output")]
    if done and tools and (forced or (finals and not body.get("response_format"))):
        name = (finals or list(tools))[0]
        return name, example_of(tools[name])
    todo = [name for name in tools if name not in finals and f'"name": "{name}"' not in said]
    if todo and (not done or len(tools) == 1) and not body.get("previous_response_id"):
        return todo[0], example_of(tools[todo[0]])
    return answer_text(body, said), None


def answer_text(body: dict[str, Any], said: str) -> str:
    """The answer, in the shape that was asked for: a JSON schema, DSPy's fields, a ReAct step."""
    shape = body.get("response_format") or (body.get("text") or {}).get("format") or {}
    if shape.get("type") == "json_schema":
        return json.dumps(example_of((shape.get("json_schema") or shape).get("schema") or {}))
    if "[[ ## " in said:
        asked = re.search(r"starting with the field (.*?)(?:and then ending|\.)", said)
        fields = re.findall(r"\[\[ ## (\w+) ## \]\]", asked.group(1)) if asked else ["answer"]
        values = {}
        if "next_tool_name" in said:
            first = "observation_0" not in said
            values = {
                "next_thought": "Look.",
                "next_tool_name": "get_weather" if first else "finish",
                "next_tool_args": '{"city": "Lisbon"}' if first else "{}",
            }
        return (
            "".join(f"[[ ## {one} ## ]]\n{values.get(one, ANSWER)}\n\n" for one in fields if one != "completed")
            + "[[ ## completed ## ]]"
        )
    if "Action Input" in said and "get_weather" in said:
        if "Observation: " in said.rsplit("Begin!", maxsplit=1)[-1] and "sunny" in said:
            return f"Thought: I now know the final answer\nFinal Answer: {ANSWER}"
        return 'Thought: look\nAction: get_weather\nAction Input: {"city": "Lisbon"}'
    return ANSWER


def words(text: str) -> list[str]:
    return re.findall(r"\S+\s*|\s+", text)


class Handler(BaseHTTPRequestHandler):
    """`/r/RUN/...` is the model of a run; `/o/RUN/v1/traces` takes its spans."""

    protocol_version = "HTTP/1.1"
    runs: Runs

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.reply({"object": "list", "data": []})

    def do_POST(self) -> None:
        raw = self.body()
        place, _, rest = self.path.lstrip("/").partition("/")
        run, _, path = rest.partition("/")
        if place == "o":
            if path.endswith("traces"):
                self.runs.export(run, raw)
            self.reply({})
            return
        try:
            self.model(run, f"/{path.partition('?')[0]}", json.loads(raw or b"{}"))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def body(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", "").lower():
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def reply(self, said: Any, status: int = 200) -> None:
        data = json.dumps(said).encode()
        self.send_response(status)
        for name, value in (
            ("content-type", "application/json"),
            ("content-length", str(len(data))),
            ("request-id", "req_1"),
            ("x-amzn-requestid", "r"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def stream(self, events: list[bytes], kind: str = "text/event-stream") -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def model(self, run: str, path: str, body: dict[str, Any]) -> None:
        named = re.search(r"/models?/([^/:]+(?:%3A[^/]*)?)", path)
        model = str(body.get("model") or (named[1] if named else "?"))
        streamed = bool(body.get("stream")) or "stream" in path.lower()
        record = self.runs.note(run, path, model, streamed, self.headers.get("traceparent"))
        if refused := re.search(r"fail-(\d+)", model):
            record.update(status=int(refused[1]), input=0, output=0)
            error = {"type": "api_error", "message": f"scripted {refused[1]}"}
            self.reply(
                {"type": "error", "error": error}
                if path.endswith("messages")
                else {"error": {**error, "code": None, "param": None}},
                int(refused[1]),
            )
            return
        apis = {
            "/embeddings": self.embeddings,
            "/chat/completions": self.chat,
            "/responses": self.respond,
            "/messages": self.messages,
        }
        for ending, api in apis.items():
            if path.endswith(ending):
                api(body, record)
                return
        if "count_tokens" in path or "countTokens" in path:
            self.reply({"input_tokens": 42, "totalTokens": 42})
        elif "enerateContent" in path:
            self.gemini(body, record)
        elif "mbedContent" in path:
            record["reported"] = False
            self.reply(
                {"embeddings": [{"values": VECTOR} for _ in body.get("requests", [1])], "embedding": {"values": VECTOR}}
            )
        elif "/converse" in path:
            self.converse(body, record)
        elif "/invoke" in path:
            record["stream"] = False
            self.messages(body, record)
        else:
            self.reply({})

    def embeddings(self, body: dict[str, Any], record: dict[str, Any]) -> None:
        record["output"] = 0
        given = body.get("input")
        count = len(given) if isinstance(given, list) and not (given and isinstance(given[0], int)) else 1
        vector: Any = (
            base64.b64encode(struct.pack("<3f", *VECTOR)).decode()
            if body.get("encoding_format") == "base64"
            else VECTOR
        )
        data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(count)]
        usage = {"prompt_tokens": record["input"], "total_tokens": record["input"], "completion_tokens": 0}
        self.reply({"object": "list", "model": body.get("model"), "id": "e1", "data": data, "usage": usage})

    def chat(self, body: dict[str, Any], record: dict[str, Any]) -> None:
        text, arguments = decide(body)
        mistral = "mistral" in body["model"]
        usage = {
            "prompt_tokens": record["input"], "completion_tokens": record["output"], "total_tokens": record["input"] + record["output"],
            "prompt_tokens_details": {"cached_tokens": 5}, "completion_tokens_details": {"reasoning_tokens": 3},
        }  # fmt: skip
        head = {"id": f"chatcmpl-{record['input']}", "created": 1763900000, "model": body["model"]}
        message: dict[str, Any] = {"role": "assistant", "content": text}
        call: dict[str, Any] = {}
        if arguments is not None:
            call = {
                "id": f"call{record['input']:05}" if mistral else f"call_{record['input']}",
                "type": "function",
                "index": 0,
                "function": {"name": text, "arguments": json.dumps(arguments)},
            }
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        reason = "tool_calls" if call else "stop"
        if not record["stream"]:
            choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
            self.reply({**head, "object": "chat.completion", "choices": [choice], "usage": usage})
            return

        def chunk(choices: list[dict[str, Any]], **more: Any) -> bytes:
            return (
                b"data: "
                + json.dumps({**head, "object": "chat.completion.chunk", "choices": choices, **more}).encode()
                + b"\n\n"
            )

        def delta(content: dict[str, Any], reason: str | None = None) -> bytes:
            return chunk([{"index": 0, "delta": content, "finish_reason": reason, "logprobs": None}])

        events: list[bytes] = [delta({"role": "assistant", "content": ""})]
        if call:
            whole = call["function"]["arguments"]
            events.append(delta({"tool_calls": [{**call, "function": {"name": text, "arguments": ""}}]}))
            events += [
                delta({"tool_calls": [{"index": 0, "function": {"arguments": part}}]})
                for part in (whole[:5], whole[5:])
            ]
        else:
            events += [delta({"content": word}) for word in words(text)]
        events.append(delta({}, reason))
        if mistral or (body.get("stream_options") or {}).get("include_usage"):
            events.append(chunk([], usage=usage))
        else:
            record["reported"] = False
        self.stream([*events, b"data: [DONE]\n\n"])

    def respond(self, body: dict[str, Any], record: dict[str, Any]) -> None:
        text, arguments = decide(body)
        number = record["input"]
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        item: dict[str, Any] = {
            "type": "message",
            "id": f"msg_{number}",
            "status": "completed",
            "role": "assistant",
            "content": [part],
        }
        if arguments is not None:
            item = {
                "type": "function_call",
                "id": f"fc_{number}",
                "call_id": f"call_{number}",
                "name": text,
                "arguments": json.dumps(arguments),
                "status": "completed",
            }
        usage = {
            "input_tokens": number, "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 0}, "output_tokens": record["output"],
            "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": number + record["output"],
        }  # fmt: skip

        def response(whole: bool) -> dict[str, Any]:
            return {
                "id": f"resp_{number}", "object": "response", "created_at": 1763900000, "status": "completed" if whole else "in_progress",
                "model": body.get("model"), "output": [item] if whole else [], "usage": usage if whole else None, "error": None,
                "incomplete_details": None, "instructions": body.get("instructions"), "metadata": {}, "parallel_tool_calls": True, "tool_choice": "auto",
                "tools": body.get("tools") or [], "temperature": 1.0, "top_p": 1.0, "max_output_tokens": None, "previous_response_id": None,
                "reasoning": {}, "text": {"format": {"type": "text"}}, "truncation": "disabled", "user": None,
            }  # fmt: skip

        if not record["stream"]:
            self.reply(response(whole=True))
            return
        events = [
            {"type": f"response.{step}", "response": response(whole=False)} for step in ("created", "in_progress")
        ]
        events += item_events(item, text)
        events.append({"type": "response.completed", "response": response(whole=True)})
        self.stream(
            [
                f"event: {one['type']}\ndata: {json.dumps({**one, 'sequence_number': index})}\n\n".encode()
                for index, one in enumerate(events)
            ]
        )

    def messages(self, body: dict[str, Any], record: dict[str, Any]) -> None:
        text, arguments = decide(body)
        usage = {
            "input_tokens": record["input"],
            "output_tokens": record["output"],
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
        }
        block: dict[str, Any] = {"type": "text", "text": text}
        if arguments is not None:
            block = {"type": "tool_use", "id": f"toolu_{record['input']}", "name": text, "input": arguments}
        reason = "tool_use" if arguments is not None else "end_turn"
        message = {
            "id": f"msg_{record['input']}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model") or record["model"],
            "content": [block],
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": usage,
        }
        if not record["stream"]:
            self.reply(message)
            return
        events: list[dict[str, Any]] = [
            {
                "type": "message_start",
                "message": {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}},
            }
        ]
        if arguments is not None:
            events.append({"type": "content_block_start", "index": 0, "content_block": {**block, "input": {}}})
            events.append(
                {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "input_json_delta", "partial_json": json.dumps(arguments)},
                }
            )
        else:
            events.append({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
            events += [
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
                for word in words(text)
            ]
        events.append({"type": "content_block_stop", "index": 0})
        events.append(
            {
                "type": "message_delta",
                "delta": {"stop_reason": reason, "stop_sequence": None},
                "usage": {"output_tokens": record["output"]},
            }
        )
        events.append({"type": "message_stop"})
        self.stream([f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events])

    def gemini(self, body: dict[str, Any], record: dict[str, Any]) -> None:
        text, arguments = decide(body)
        usage = {
            "promptTokenCount": record["input"],
            "candidatesTokenCount": record["output"],
            "totalTokenCount": record["input"] + record["output"],
        }

        def chunk(part: dict[str, Any], last: bool) -> dict[str, Any]:
            candidate = {
                "content": {"role": "model", "parts": [part]},
                **({"finishReason": "STOP"} if last else {}),
                "index": 0,
            }
            return {
                "candidates": [candidate],
                "usageMetadata": usage,
                "modelVersion": record["model"],
                "responseId": f"g{record['input']}",
            }

        if arguments is not None:
            chunks = [chunk({"functionCall": {"name": text, "args": arguments}}, last=True)]
        else:
            pieces = words(text) if record["stream"] else [text]
            chunks = [chunk({"text": piece}, last=index == len(pieces) - 1) for index, piece in enumerate(pieces)]
        if record["stream"]:
            self.stream([b"data: " + json.dumps(one).encode() + b"\r\n\r\n" for one in chunks])
        else:
            self.reply(chunks[0])

    def converse(self, body: dict[str, Any], record: dict[str, Any]) -> None:
        text, arguments = decide(body)
        usage = {
            "inputTokens": record["input"],
            "outputTokens": record["output"],
            "totalTokens": record["input"] + record["output"],
        }
        used = {"toolUseId": f"t{record['input']}", "name": text}
        reason = "tool_use" if arguments is not None else "end_turn"
        if not record["stream"]:
            block = {"toolUse": {**used, "input": arguments}} if arguments is not None else {"text": text}
            self.reply(
                {
                    "output": {"message": {"role": "assistant", "content": [block]}},
                    "stopReason": reason,
                    "usage": usage,
                    "metrics": {"latencyMs": 5},
                }
            )
            return
        events: list[tuple[str, dict[str, Any]]] = [("messageStart", {"role": "assistant"})]
        if arguments is not None:
            events.append(("contentBlockStart", {"start": {"toolUse": used}, "contentBlockIndex": 0}))
            events.append(
                ("contentBlockDelta", {"delta": {"toolUse": {"input": json.dumps(arguments)}}, "contentBlockIndex": 0})
            )
        else:
            events += [("contentBlockDelta", {"delta": {"text": word}, "contentBlockIndex": 0}) for word in words(text)]
        events += [
            ("contentBlockStop", {"contentBlockIndex": 0}),
            ("messageStop", {"stopReason": reason}),
            ("metadata", {"usage": usage, "metrics": {"latencyMs": 5}}),
        ]
        self.stream([frame(*event) for event in events], "application/vnd.amazon.eventstream")


def frame(kind: str, payload: dict[str, Any]) -> bytes:
    """One message of Amazon's event stream."""
    data, headers = json.dumps(payload).encode(), b""
    for name, value in ((":event-type", kind), (":content-type", "application/json"), (":message-type", "event")):
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    start = struct.pack(">II", 16 + len(headers) + len(data), len(headers))
    whole = start + struct.pack(">I", zlib.crc32(start)) + headers + data
    return whole + struct.pack(">I", zlib.crc32(whole))


class _Server(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True


@contextmanager
def model_server() -> Iterator[tuple[str, Runs]]:
    """The address of a running server, and what it has counted."""
    runs = Runs()
    server = _Server(("127.0.0.1", 0), type("Bound", (Handler,), {"runs": runs}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", runs
    finally:
        server.shutdown()
        server.server_close()
