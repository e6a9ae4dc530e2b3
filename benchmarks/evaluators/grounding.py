"""What `Grounding` catches and what it fails wrongly: on the pages of the tests, and on labelled news summaries.

`python -m benchmarks.evaluators.grounding [FOLDER]`: FOLDER holds UniEval's `qags_cnndm_result.json` and
`qags_xsum_result.json` (github.com/maszhongming/UniEval, MIT), which are not part of this repository.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evalspan.evaluators import Grounding, Score

PAGES = Path(__file__).parents[2] / "tests" / "evaluators" / "grounding_pages.json"


def pages() -> list[str]:
    """One line per split: wrong answers caught, right answers failed."""
    grounding, lines = Grounding(), []
    found = json.loads(PAGES.read_text(encoding="utf-8"))
    for split in ("dev", "unseen"):
        mine = [page for page in found.values() if page["split"] == split]
        caught = [_failed(grounding(text, page["page"])) for page in mine for text in page["wrong"]]
        alarms = [_failed(grounding(text, page["page"])) for page in mine for text in page["right"]]
        lines.append(
            f"{len(mine)} pages ({split}): {sum(caught)} of {len(caught)} wrong answers caught, "
            f"{sum(alarms)} of {len(alarms)} right ones failed"
        )
    return lines


def summaries(path: Path) -> str:
    """Precision and recall of the verdict, and how `value` and `overlap` rank faithful above unfaithful."""
    grounding, rows = Grounding(), []
    for item in json.loads(path.read_text(encoding="utf-8")):
        result = grounding(item["system_output"], item["source"])
        if isinstance(result, Score):
            rows.append((item["scores"]["consistency"] > 0.999, result))
    failed = [good for good, result in rows if _failed(result)]
    bad = sum(not good for good, _ in rows)
    caught = failed.count(False)
    good = [good for good, _ in rows]
    value = _auc(good, [result.value for _, result in rows])
    overlap = _auc(good, [result.details["overlap"] for _, result in rows])
    return (
        f"{path.stem}: {len(rows)} summaries, {bad} unfaithful; fails {len(failed)}, {caught} of them rightly "
        f"(precision {caught / len(failed):.2f}, recall {caught / bad:.2f}); AUC of value {value:.2f}, of overlap {overlap:.2f}"
    )


def _failed(result: Any) -> bool:
    return getattr(result, "passed", None) is False


def _auc(good: Sequence[bool], scores: Sequence[float]) -> float:
    above = [score for one, score in zip(good, scores, strict=True) if one]
    below = [score for one, score in zip(good, scores, strict=True) if not one]
    won = sum((a > b) + (a == b) / 2 for a in above for b in below)
    return won / (len(above) * len(below))


def main() -> None:
    """Prints the figures."""
    print("\n".join(pages()))
    if len(sys.argv) > 1:
        for name in ("qags_cnndm_result.json", "qags_xsum_result.json"):
            print(summaries(Path(sys.argv[1]) / name))


if __name__ == "__main__":
    main()
