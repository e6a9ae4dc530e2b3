"""The load generator, a process of its own: N connections that send as fast as they are answered, or at a given pace.

Its argument is JSON: url, headers, spans a body, connections, seconds, and if wanted the most spans to send and spans a
second, both over all connections, where 0 is without a bound, then spans a trace and bytes a span.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from urllib.parse import urlsplit

from .spans import templates


class Connection(threading.Thread):
    """One keep-alive connection; waits as long as a 503 says."""

    def __init__(
        self, url: str, headers: dict[str, str], made: list, until: float, most: float = 0, pace_s: float = 0
    ) -> None:
        super().__init__(daemon=True)
        self.most, self.pace_s = most, pace_s
        self.address, self.path, self.headers = urlsplit(url).netloc, urlsplit(url).path, headers
        self.made, self.until = made, until
        self.accepted, self.seconds, self.answers = 0, [], {}

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=120)
        turn = 0
        due = time.perf_counter()
        while time.perf_counter() < self.until and not 0 < self.most <= self.accepted:
            if self.pace_s:
                time.sleep(max(0.0, due - time.perf_counter()))
                due += self.pace_s
            template = self.made[turn % len(self.made)]
            turn += 1
            body = template.body()
            started = time.perf_counter()
            try:
                connection.request("POST", self.path, body, self.headers)
                answer = connection.getresponse()
                answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException):
                self.answers["no answer"] = self.answers.get("no answer", 0) + 1
                connection.close()
                time.sleep(0.1)
                continue
            self.answers[str(status)] = self.answers.get(str(status), 0) + 1
            if status == 200:
                self.accepted += template.count
                self.seconds.append(time.perf_counter() - started)
            elif status in (429, 503):
                time.sleep(float(answer.headers.get("Retry-After") or 1))


def main() -> None:
    given = json.loads(sys.argv[1])
    url, headers, count, connections, seconds, most, rate, per_trace, span_bytes = (
        given + [0, 0, 1, 3150][len(given) - 5 :]
    )
    made = templates(count, span_bytes, per_trace)
    started = time.perf_counter()
    pace_s = count * connections / rate if rate else 0
    threads = [
        Connection(url, headers, made, started + seconds, most / connections, pace_s) for _ in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - started
    latencies = sorted(second for thread in threads for second in thread.seconds)
    answers: dict[str, int] = {}
    for thread in threads:
        for status, times in thread.answers.items():
            answers[status] = answers.get(status, 0) + times
    result = {
        "accepted": sum(thread.accepted for thread in threads),
        "seconds": elapsed,
        "answers": answers,
        "p99_ms": 1000 * latencies[int(0.99 * (len(latencies) - 1))] if latencies else None,
        "span_bytes": made[0].span_bytes,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
