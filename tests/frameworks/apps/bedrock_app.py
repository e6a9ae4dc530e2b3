"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402, I001
import json

from harness import Q, ROOT, end, start, step

start()
import boto3
from langchain_aws import ChatBedrockConverse

client = boto3.client("bedrock-runtime", endpoint_url=ROOT, region_name="us-east-1")
MODEL = "anthropic.claude-3-5-sonnet-20240620-v1:0"
ASKED = [{"role": "user", "content": [{"text": Q}]}]
SCHEMA = {"json": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOLS = {"tools": [{"toolSpec": {"name": "get_weather", "description": "w", "inputSchema": SCHEMA}}]}
BODY = json.dumps(
    {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
)
step("converse", lambda: client.converse(modelId=MODEL, messages=ASKED)["output"]["message"]["content"][0]["text"])
step("stream", lambda: len(list(client.converse_stream(modelId=MODEL, messages=ASKED)["stream"])))
step("tools", lambda: client.converse(modelId=MODEL, messages=ASKED, toolConfig=TOOLS)["stopReason"])
step("invoke", lambda: json.loads(client.invoke_model(modelId=MODEL, body=BODY)["body"].read())["content"][0]["text"])
step("langchain", lambda: ChatBedrockConverse(model=MODEL, client=client).invoke("hi").content)
end()
