"""Runs clickhouse-connect's own integration tests against the SQL port's protocol, as a yardstick.

    git clone --depth 1 https://github.com/ClickHouse/clickhouse-connect /tmp/clickhouse-connect
    python benchmarks/sqlport/run.py /tmp/clickhouse-connect

Those tests begin by making a database, which the port refuses, so they run against
tests/queries/writable_server.py: the port itself, with the gate taken off and writes let through. They need pytest-mock and
polars beside this project's packages. Suites about TLS, proxies, tokens, fuzzing, the network and SQLAlchemy are left out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
LEFT_OUT = ("test_tls.py", "test_proxy.py", "test_jwt_auth.py", "test_native_fuzz.py", "test_network.py")


def main() -> None:
    checkout = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as directory:
        writable = [sys.executable, str(ROOT / "tests/queries/writable_server.py"), f"{directory}/write"]
        print(against(writable, checkout))


def against(command: list[str], checkout: Path) -> str:
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout
        where = urlsplit(server.stdout.readline().strip())
        # Away from the checkout, whose driver has no compiled parts: the installed one is tested.
        tests_alone = Path(tempfile.mkdtemp())
        shutil.copytree(checkout / "tests", tests_alone / "tests")
        environment = {
            **os.environ,
            "CLICKHOUSE_CONNECT_TEST_HOST": str(where.hostname),
            "CLICKHOUSE_CONNECT_TEST_PORT": str(where.port),
            "PYTHONPATH": str(tests_alone),
        }
        suites = sorted((tests_alone / "tests/integration_tests").glob("test_*.py"))
        chosen = [str(path.relative_to(tests_alone)) for path in suites if path.name not in LEFT_OUT]
        tests = [sys.executable, "-m", "pytest", "-q", "--timeout=60", "-p", "no:evalspan", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*tests, *chosen], cwd=tests_alone, env=environment, capture_output=True, text=True, check=False
        )
        server.terminate()
        failures = Path(tempfile.gettempdir()) / f"clickhouse-connect-{where.port}.txt"
        failures.write_text(done.stdout + done.stderr)
    found = re.findall(r"^.*(?:passed|failed|error).* in .*$", done.stdout, re.MULTILINE)
    return f"{found[-1] if found else (done.stdout + done.stderr)[-500:]}  ({failures})"


if __name__ == "__main__":
    main()
