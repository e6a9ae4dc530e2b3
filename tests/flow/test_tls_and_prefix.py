"""The service with TLS on all ports, its certificate renewed while it runs, and its pages under a path behind nginx."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from evalspan.collector.receivers.tls import Certificate, follow, load

from ..collector.serving import Collector, serving
from ..collector.traffic import request_of


def certificate(folder: Path, name: str) -> None:
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
            "-addext",
            f"subjectAltName=DNS:{name}",
            "-keyout",
            str(folder / "new.key"),
            "-out",
            str(folder / "new.crt"),
        ],
        check=True,
        capture_output=True,
    )
    (folder / "new.key").replace(folder / "tls.key")
    (folder / "new.crt").replace(folder / "tls.crt")


def presented(address: str) -> str:
    host, port = address.split(":")
    return ssl.get_server_certificate((host, int(port)))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("tls")
    certificate(folder, "spans.example")
    settings = f'[receive]\ntls_cert = "{folder}/tls.crt"\ntls_key = "{folder}/tls.key"\n'
    settings += '[dashboard]\npublic_url = "https://tools.example/evalspan"\n'
    with serving(folder / "store", "--sql-port", "0", "--grpc-port", "0", settings=settings) as collector:
        yield collector


def test_every_port_speaks_tls_and_commands_reach_the_service_by_its_own_certificate(secured: Collector) -> None:
    assert secured.owner["http"].startswith("https://")
    assert secured.owner["sql"].startswith("https://")
    trusting = ssl.create_default_context(cafile=str(secured.path.parent / "tls.crt"))
    trusting.check_hostname = False
    connection = http.client.HTTPSConnection(secured.address, timeout=20, context=trusting)
    connection.request(
        "POST", "/v1/traces", request_of(3).SerializeToString(), {"Content-Type": "application/x-protobuf"}
    )
    assert connection.getresponse().status == 200
    for sql, wanted in (("SELECT 1", "1"), ("SELECT count() FROM spans", "3")):
        for _ in range(100):
            done = subprocess.run(
                [sys.executable, "-m", "evalspan", "sql", sql, "--store", f"chdb://{secured.path}", "--format", "csv"],
                capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            if done.stdout.split()[-1:] == [wanted]:
                break
            time.sleep(0.3)
        assert done.stdout.split()[-1:] == [wanted], done.stderr
    chain = (secured.path.parent / "tls.crt").read_bytes()
    address = re.search(r"gRPC at https://([^,\s]+)", "".join(secured.said))
    assert address is not None
    credentials = grpc.ssl_channel_credentials(chain)
    options = (("grpc.ssl_target_name_override", "spans.example"),)
    with grpc.secure_channel(address[1], credentials, options) as channel:
        grpc.channel_ready_future(channel).result(20)
    plain = http.client.HTTPConnection(secured.address, timeout=5)
    plain.request("GET", "/healthz")
    with pytest.raises((OSError, http.client.HTTPException)):
        plain.getresponse()


def test_links_of_commands_begin_with_the_public_address(secured: Collector) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evalspan", "alert", "list", "--store", f"chdb://{secured.path}"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "dashboard: https://tools.example/evalspan/alerts" in done.stderr


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ('[receive]\ntls_cert = "/nowhere.crt"\n', "set together"),
        ('[receive]\ntls_cert = "/nowhere.crt"\ntls_key = "/nowhere.key"\n', "cannot be used"),
        ('[dashboard]\npublic_url = "tools.example/evalspan"\n', "public_url"),
        ('[dashboard]\npublic_url = "https://tools.example/a?b=c"\n', "public_url"),
    ],
)
def test_a_certificate_or_address_that_cannot_be_is_refused_at_the_start(tmp_path: Path, settings, wrong) -> None:
    with pytest.raises(AssertionError, match=wrong):
        Collector(tmp_path / "store", settings=settings)


async def test_a_renewed_certificate_is_presented_without_a_restart(tmp_path: Path) -> None:
    certificate(tmp_path, "first.example")
    files = Certificate(tmp_path / "tls.crt", tmp_path / "tls.key")
    context = load(files)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    before = await asyncio.to_thread(presented, address)
    following = asyncio.create_task(follow(files, context, every_s=0.05))
    (tmp_path / "tls.crt").write_text("not a certificate")
    await asyncio.sleep(0.3)
    assert await asyncio.to_thread(presented, address) == before
    certificate(tmp_path, "second.example")
    for _ in range(100):
        if await asyncio.to_thread(presented, address) != before:
            break
        await asyncio.sleep(0.05)
    after = await asyncio.to_thread(presented, address)
    following.cancel()
    server.close()
    assert after == (tmp_path / "tls.crt").read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; events {{}}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {shipped}
}}
"""
DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"


def shipped_nginx(folder: Path, name: str, **replaced: tuple[str, str]) -> list[str]:
    """The configuration that is shipped, on another address; the command that runs it."""
    text = (DEPLOY / name).read_text()
    for before, after in replaced.values():
        assert before in text, before
        text = text.replace(before, after)
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, shipped=text))
    return [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(configuration)]


def nginx(folder: Path, port: int, upstream: str) -> list[str]:
    certificate(folder, "tools.example.com")
    return shipped_nginx(
        folder,
        "nginx-path.conf",
        listen=("listen 443 ssl http2;", f"listen 127.0.0.1:{port};"),
        upstream=("127.0.0.1:4318", upstream),
        chain=("/etc/ssl/evalspan.crt", str(folder / "tls.crt")),
        key=("/etc/ssl/evalspan.key", str(folder / "tls.key")),
    )


@pytest.mark.parametrize("name", ["nginx.conf", "nginx-path.conf"])
def test_nginx_takes_the_configuration_that_is_shipped_with_its_tls_and_grpc(name: str, tmp_path: Path) -> None:
    certificate(tmp_path, "evalspan.example.com")
    command = shipped_nginx(
        tmp_path,
        name,
        listen=("listen 443 ", f"listen 127.0.0.1:{free_port()} "),
        chain=("/etc/ssl/evalspan.crt", str(tmp_path / "tls.crt")),
        key=("/etc/ssl/evalspan.key", str(tmp_path / "tls.key")),
    )
    done = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def caddy(folder: Path, port: int, upstream: str) -> list[str]:
    """The configuration that is shipped, on another address."""
    shipped = (DEPLOY / "Caddyfile").read_text()
    text = shipped.replace("tools.example.com {", f"http://127.0.0.1:{port} {{").replace("127.0.0.1:4318", upstream)
    assert text != shipped
    configuration = folder / "Caddyfile"
    configuration.write_text("{\n\tadmin off\n\tauto_https off\n}\n" + text)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(configuration)]


@pytest.fixture(params=[nginx, caddy], ids=["nginx", "caddy"])
def behind_a_proxy(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[int, Collector]]:
    port = free_port()
    settings = f'[dashboard]\npublic_url = "http://127.0.0.1:{port}/evalspan"\ntrusted_proxies = ["127.0.0.1"]\n'
    with serving(tmp_path / "store", settings=settings) as collector:
        command = request.param(tmp_path, port, collector.address)
        own = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
        running = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=own)
        try:
            yield port, collector
        finally:
            running.terminate()
            running.wait(20)


def test_every_address_of_every_page_works_under_a_path_behind_a_real_proxy(behind_a_proxy) -> None:
    port, collector = behind_a_proxy
    assert collector.post(request_of(2).SerializeToString()).status == 200

    def get(path: str) -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read().decode(errors="replace")

    for _ in range(50):
        try:
            get("/evalspan/healthz")
            break
        except OSError:
            time.sleep(0.1)
    seen: set[str] = set()
    waiting = ["/evalspan/"]
    while waiting and len(seen) < 45:
        path = waiting.pop(0)
        seen.add(path)
        status, kind, text = get(path)
        assert status == 200, path
        if not kind.startswith("text/html"):
            continue
        named = re.findall(r'(?:href|src|action|hx-get|hx-post)="(/[^"#?]*)', text)
        assert not [one for one in named if not one.startswith("/evalspan/")], path
        read = [one for one in re.findall(r'(?:href|src)="(/[^"#?]*)', text) if not one.endswith(".csv")]
        waiting += [one for one in dict.fromkeys(read) if one not in seen | set(waiting)]
    assert {"/evalspan/traces", "/evalspan/alerts", "/evalspan/static/app.js"} <= seen
