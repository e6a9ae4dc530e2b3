"""With [log] format = "json" every line on stderr is one object, whoever wrote it; as text none is."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging, sys
from evalspan.collector.log_output import LogConfig, announce, configure_log
configure_log(LogConfig(format=sys.argv[1], level=sys.argv[2]))
announce("evalspan: OTLP at http://127.0.0.1:4318", port=4318)
logging.getLogger("evalspan.alerts").info("an info")
logging.getLogger("some.library").warning("half a %s", chr(0xd83e))
try:
    raise ValueError("line one\\nline two")
except ValueError:
    logging.getLogger("x").exception("it broke")
"""


def lines(form: str, level: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, form, level], capture_output=True, text=True, check=True)
    assert not done.stdout
    return done.stderr.splitlines()


def test_every_line_is_an_object_with_time_level_logger_and_message_also_a_traceback() -> None:
    found = [json.loads(line) for line in lines("json", "warning")]
    assert [(one["level"], one["logger"]) for one in found] == [
        ("info", "evalspan.service"),
        ("warning", "some.library"),
        ("error", "x"),
    ]
    assert found[0]["port"] == 4318
    assert found[1]["message"] == "half a \ufffd"
    assert "line two" in found[2]["exception"]
    assert all("T" in one["time"] for one in found)


def test_as_text_what_the_service_says_stands_alone_and_the_level_holds() -> None:
    found = lines("text", "error")
    assert found[0] == "evalspan: OTLP at http://127.0.0.1:4318"
    assert found[1] == "ERROR x: it broke"
    assert not [line for line in found if "an info" in line or "half" in line]
