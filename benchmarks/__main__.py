"""Runs every benchmark, or those that are named: `python -m benchmarks [NAME ...]`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    there = sorted(path.parent.name for path in HERE.glob("*/__main__.py"))
    wanted = sys.argv[1:] or there
    unknown = sorted(set(wanted) - set(there))
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(there)}", file=sys.stderr)
        return 2
    codes = [subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode for name in wanted]
    return max(codes, default=0)


sys.exit(main())
