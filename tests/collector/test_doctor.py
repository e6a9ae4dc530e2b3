"""`evalspan doctor` in the app's environment: what it asks, what it makes of every odd answer, and what is traced here."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ..environments import variables

NO_SERVER = (
    "import sys\n"
    "for name in ('chdb', 'clickhouse_connect', 'aiohttp', 'numpy', 'openai', 'anthropic', 'jinja2', 'rich'): sys.modules[name] = None\n"
    "from evalspan.__main__ import main; main(sys.argv[1:])"
)


def doctor(*arguments: str, code: str = NO_SERVER, **more: str) -> subprocess.CompletedProcess[str]:
    """The command as with `pip install evalspan` alone."""
    command = [sys.executable, "-c", code, "doctor", *arguments]
    return subprocess.run(command, env=variables(**more), capture_output=True, text=True, timeout=60, check=False)


class Pretending:
    """A service that answers what it is told to."""

    def __init__(self, answers: dict[str, int], headers: dict[str, str]) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                pass

            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                outer.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                kind = next((name for name in answers if name in self.path), "")
                self.send_response(answers.get(kind, 404))
                for name, value in {"content-length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            do_GET = do_POST = _answer  # noqa: N815 - the names of http.server

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def pretend() -> Iterator[Any]:
    made: list[Pretending] = []

    def start(answers: dict[str, int], **headers: str) -> Pretending:
        made.append(Pretending(answers, headers))
        return made[-1]

    yield start
    for one in made:
        one.server.shutdown()
        one.server.server_close()


WELL = {"/v1/traces": 200, "/healthz": 200, ".json": 200}


def test_the_base_install_proves_the_whole_way(pretend: Any) -> None:
    service = pretend(WELL)
    done = doctor("--endpoint", service.address)
    assert done.returncode == 0, done.stderr
    assert f"accepted by {service.address}" in done.stdout
    assert "queryable" in done.stdout


def test_it_sends_what_the_app_would_send(pretend: Any) -> None:
    service = pretend(WELL)
    done = doctor(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"{service.address}/",
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20k1,x-team=a",
    )
    assert done.returncode == 0, done.stderr
    path, headers = service.seen[0]
    assert path == "/v1/traces"
    assert (headers["authorization"], headers["x-team"]) == ("Bearer k1", "a")


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "--key"),
        (403, "OTEL_EXPORTER_OTLP_HEADERS"),
        (404, "4318"),
        (405, "4318"),
        (503, "evalspan status"),
        (429, "evalspan status"),
        (413, "proxy"),
        (500, "evalspan status"),
    ],
)
def test_every_refusal_says_what_to_do(pretend: Any, status: int, hint: str) -> None:
    done = doctor("--endpoint", pretend({"/v1/traces": status}).address)
    assert done.returncode == 5
    assert f"answered {status}" in done.stderr
    assert hint in done.stderr.split("fix:")[1]


def test_a_wrong_path_is_named(pretend: Any) -> None:
    done = doctor("--endpoint", f"{pretend({}).address}/api/otel")
    assert done.returncode == 5
    assert "/api/otel" in done.stderr.split("fix:")[1]


def test_a_redirect_is_named_and_not_followed(pretend: Any) -> None:
    service = pretend({"/v1/traces": 308}, location="https://elsewhere.example/")
    done = doctor("--endpoint", service.address)
    assert done.returncode == 5
    assert "https://elsewhere.example/" in done.stderr.split("fix:")[1]


def test_a_span_that_never_becomes_queryable_is_exit_6(pretend: Any) -> None:
    done = doctor("--endpoint", pretend({"/v1/traces": 200, "/healthz": 200}).address, "--timeout", "0.3")
    assert done.returncode == 6
    assert "does not have trace" in done.stderr
    assert "--counters" in done.stderr


def test_a_collector_in_front_is_told_from_evalspan(pretend: Any) -> None:
    done = doctor("--endpoint", pretend({"/v1/traces": 200}).address)
    assert done.returncode == 0
    assert "accepted" in done.stdout
    assert "queryable" not in done.stdout
    assert "collector in front" in done.stdout


@pytest.mark.slow
def test_a_refused_connection_an_unknown_name_and_a_proxy_are_told_apart() -> None:
    refused = doctor("--endpoint", "http://127.0.0.1:9")
    unknown = doctor("--endpoint", "http://no-such-host.invalid:4318")
    proxied = doctor(
        "--endpoint", "http://evalspan.internal:4318", HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="", no_proxy=""
    )
    assert [one.returncode for one in (refused, unknown, proxied)] == [5, 5, 5]
    assert "evalspan serve" in refused.stderr
    assert "no-such-host.invalid is not known" in unknown.stderr
    assert "NO_PROXY=evalspan.internal" in proxied.stderr


@pytest.mark.slow
def test_tls_that_is_not_trusted_or_not_there_is_told(pretend: Any, tmp_path: Path) -> None:
    plain = pretend(WELL)
    done = doctor("--endpoint", plain.address.replace("http:", "https:"))
    assert done.returncode == 5
    assert "write http://" in done.stderr
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "1",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    secured = pretend(WELL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    secured.server.socket = context.wrap_socket(secured.server.socket, server_side=True)
    address = secured.address.replace("http:", "https:")
    untrusted = doctor("--endpoint", address)
    assert untrusted.returncode == 5
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in untrusted.stderr
    trusted = doctor("--endpoint", address, OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificate))
    assert trusted.returncode == 0, trusted.stderr


def test_libraries_are_listed_with_who_traces_them_also_when_the_collector_is_away() -> None:
    done = doctor("--endpoint", "http://127.0.0.1:9")
    assert "openai " in done.stdout
    assert "is traced by evalspan" in done.stdout


def test_a_library_that_nobody_traces_is_named_with_the_extra(tmp_path: Path) -> None:
    for package, release in (("litellm", "9.9"), ("google-genai", "3.6.1"), ("langchain-core", "1.8")):
        folder = tmp_path / f"{package.replace('-', '_')}-{release}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {release}\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{NO_SERVER}"
    done = doctor("--endpoint", "http://127.0.0.1:9", code=code)
    assert "litellm 9.9 is not traced: pip install 'evalspan[litellm]'" in done.stdout
    assert "google-genai 3.6.1 is not traced" in done.stdout
    assert "langchain (langchain-core 1.8) is not traced" in done.stdout


@pytest.mark.parametrize("endpoint", ["localhost:4318", "1e9", "a b"])
def test_an_endpoint_that_is_no_url_is_a_wrong_argument(endpoint: str) -> None:
    done = doctor("--endpoint", endpoint)
    assert done.returncode == 2
    assert "no URL" in done.stderr
    assert "http://" in done.stderr
