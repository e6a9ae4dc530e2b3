"""Judge prompts as versioned artifacts: text files with a name, a version and a history, printed on request.

A changed text is a changed fingerprint, which is part of the evaluator's version: old and new scores never mix unseen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ...errors import UsageError, or_did_you_mean
from ...queries.text_file import read_text
from ..contract import fingerprint

FOLDER = Path(__file__).with_name("prompts")
_SLOT = re.compile(r"\{\{(\w+)\}\}")


class Prompt(msgspec.Struct, frozen=True):
    """A judge's prompt: a system part and a user part with slots like {{criteria}}."""

    name: str
    version: str
    system: str
    user: str
    history: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits over the wording."""
        return fingerprint(self.system, self.user)

    def render(self, **values: str) -> tuple[str, str]:
        """System and user text with all slots filled; what is filled in is not looked at for slots again.

        Raises UsageError for a slot that nothing fills.
        """
        return _fill(self.system, values, self.name), _fill(self.user, values, self.name)


def load_prompt(source: str | Path | Prompt, *, slots: tuple[str, ...] = ()) -> Prompt:
    """A shipped prompt by name (absolute, pairwise, claims), or one from a file of the same form.

    The form: `name:`, `version:` and `history:` lines, then the parts `=== system` and `=== user`.
    Raises UsageError when there is no such prompt, a part is missing, or one of `slots` does not occur.
    """
    prompt = source if isinstance(source, Prompt) else _read(source)
    for slot in slots:
        if f"{{{{{slot}}}}}" not in prompt.system + prompt.user:
            raise UsageError(
                f"the judge prompt {prompt.name!r} has no slot {{{{{slot}}}}}",
                hint="without it the judge would not see what it must grade; add it to the user part",
            )
    return prompt


def shipped_prompts() -> list[str]:
    """The names of the prompts that come with evalspan."""
    return sorted(path.stem for path in FOLDER.glob("*.md"))


def _read(source: str | Path) -> Prompt:
    path = FOLDER / f"{source}.md" if str(source) in shipped_prompts() else Path(source)
    if not path.is_file():
        raise UsageError(
            f"no judge prompt {str(source)!r}",
            hint=f"a file, or one of {', '.join(shipped_prompts())}{or_did_you_mean(str(source), shipped_prompts())}",
        )
    head, *parts = re.split(r"^=== (\w+)\n", read_text(path), flags=re.MULTILINE)
    sections = {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
    if not sections.get("system") or not sections.get("user"):
        raise UsageError(f"{path} lacks a part", hint="a judge prompt has the parts `=== system` and `=== user`")
    fields = [line.partition(":") for line in head.splitlines() if ":" in line]
    values = {key.strip(): value.strip() for key, _, value in fields}
    history = tuple(value.strip() for key, _, value in fields if key.strip() == "history")
    return Prompt(
        values.get("name", path.stem), values.get("version", "1"), sections["system"], sections["user"], history
    )


def _fill(text: str, values: Mapping[str, str], name: str) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise UsageError(
                f"the judge prompt {name!r} has a slot {match.group()} that nothing fills",
                hint=f"the slots are {', '.join(values)}{or_did_you_mean(match[1], values)}",
            )
        return values[match[1]]

    return _SLOT.sub(replace, text)
