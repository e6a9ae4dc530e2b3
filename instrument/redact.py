"""Masks personal data and secrets in captured text, in the app's process, before a span holds it.

Nothing is masked unless asked for. Whatever a redactor cannot handle is withheld, never let through.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ..errors import ConfigError
from .personal_data import KINDS

log = logging.getLogger(__name__)

WITHHELD = "[withheld: redaction failed]"
TextRule = Callable[[str], str]

BUILT_IN: dict[str, TextRule] = {name: kind.mask for name, kind in KINDS.items()}

# Words of the message schemas that tell parts and roles apart. They stand as they are where the schemas have them, as
# long as they are words; everywhere else they are the app's own.
_STRUCTURE = frozenset({"type", "role", "finish_reason", "modality", "mime_type", "sha256"})
_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}(?:[-/][a-z0-9.+_-]{1,60})?")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ITEMS_WITH_STRUCTURE = 2  # messages, and the parts in them
_MAX_DEPTH = 100


class Redactor:
    """Applies rules in turn to every text inside a captured value."""

    def __init__(self, rules: Sequence[TextRule]) -> None:
        self._rules = tuple(rules)
        self._complained = False

    def text(self, text: str) -> str:
        """The text after every rule; withheld when a rule raises or returns no text."""
        try:
            for rule in self._rules:
                text = rule(text)
            if not isinstance(text, str):
                raise TypeError(f"a redaction rule returned {type(text).__name__}, not str")
        except (Exception, SystemExit, GeneratorExit) as error:  # noqa: BLE001 - any fault of a rule withholds the text
            self._complain(error)
            return WITHHELD
        return text

    def value(self, value: Any) -> Any:
        """The same value with every text, key, number and byte string redacted; containers are copied, never changed."""
        return self._safely(self._any, value)

    def messages(self, value: Any) -> Any:
        """The same for GenAI messages, parts or definitions, whose own keys and words tell them apart and stay."""
        return self._safely(self._structured, value, _ITEMS_WITH_STRUCTURE)

    def _safely(self, redact: Callable[..., Any], *args: Any) -> Any:
        try:
            return redact(*args)
        except Exception as error:  # noqa: BLE001 - what cannot be walked through is withheld
            self._complain(error)
            return WITHHELD

    def _structured(self, value: Any, levels: int) -> Any:
        if levels and isinstance(value, (list, tuple)):
            return [self._structured(item, levels) for item in value]
        if not levels or not isinstance(value, dict):
            return self._any(value)
        return {
            key if isinstance(key, str) and _WORD.fullmatch(key) else self._key(key): self._field(key, item, levels)
            for key, item in value.items()
        }

    def _field(self, key: Any, item: Any, levels: int) -> Any:
        if key == "parts":
            return self._structured(item, levels - 1)
        if key in _STRUCTURE and isinstance(item, str) and (_WORD.fullmatch(item) or _DIGEST.fullmatch(item)):
            return item
        return self._any(item)

    def _any(self, value: Any, depth: int = 0) -> Any:
        if depth > _MAX_DEPTH:
            return WITHHELD
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            # A card number given as a number is one all the same.
            masked = self.text(str(value))
            return value if masked == str(value) else masked
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._any(item, depth + 1) for item in value]
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._bytes(bytes(value))
        # Anything else as it would be written: what is not looked into could say anything.
        return self._any(msgspec.to_builtins(value, enc_hook=repr, str_keys=True), depth + 1)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key, item in value.items():
            masked = name = self._key(key)
            while name in made:
                # Two keys may look alike once they are masked; none may cost the other's value.
                name = f"{masked} ({sum(str(one).startswith(str(masked)) for one in made) + 1})"
            made[name] = self._any(item, depth + 1)
        return made

    def _key(self, key: Any) -> Any:
        return key if isinstance(key, bool) or key is None else self._any(key)

    def _bytes(self, value: bytes) -> str:
        try:
            return self.text(value.decode())
        except UnicodeDecodeError:
            # No text: nothing in it can be told apart, so only its size is said.
            return f"[{len(value)} bytes]"

    def _complain(self, error: BaseException) -> None:
        if not self._complained:
            self._complained = True
            # The exception's own text may quote what was to be masked.
            log.warning("a redaction rule failed (%s); content is withheld", type(error).__name__)


def make_redactor(option: Any) -> Redactor | None:
    """A redactor of what `init(redact=...)` was given, None when nothing is to be masked.

    True means every built-in rule; a name means one of them; any other text is a regular expression whose matches
    become [REDACTED]; a callable gets each text and returns what may leave. ConfigError for anything else.
    """
    if option is None or option is False:
        return None
    given = list(option) if isinstance(option, (list, tuple, set)) else [option]
    rules: list[TextRule] = []
    for item in given:
        if item is True or item in ("all", "default"):
            rules.extend(BUILT_IN.values())
        else:
            rules.append(_rule(item.strip() if isinstance(item, str) else item))
    return Redactor(rules) if rules else None


def _rule(item: Any) -> TextRule:
    if isinstance(item, str):
        if item in BUILT_IN:
            return BUILT_IN[item]
        try:
            item = re.compile(item)
        except re.error as error:
            raise ConfigError(
                f"redact={item!r} is neither a built-in rule nor a regular expression ({error}).",
                hint=f"The built-in rules are {', '.join(BUILT_IN)}.",
            ) from error
    if isinstance(item, re.Pattern):
        pattern = item
        return lambda text: pattern.sub("[REDACTED]", text)
    if callable(item):
        rule: TextRule = item
        return rule
    raise ConfigError(
        f"redact cannot use {item!r}.",
        hint=f"Give True, names ({', '.join(BUILT_IN)}), regular expressions or functions from text to text.",
    )
