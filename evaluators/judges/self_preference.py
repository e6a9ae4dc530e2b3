"""Which family a model is of, and the warning when judge and judged are relatives: models favour their own kind."""

from __future__ import annotations

import re

_FAMILIES = {
    "openai": r"\b(?:gpt|chatgpt|davinci|text-davinci)|\bo[134](?:\b|-)",
    "anthropic": r"claude",
    "google": r"gemini|gemma|palm|bison",
    "meta": r"llama",
    "mistral": r"mistral|mixtral|codestral|ministral|magistral",
    "qwen": r"qwen|qwq",
    "deepseek": r"deepseek",
    "cohere": r"\bcommand",
    "xai": r"grok",
    "amazon": r"\bnova|titan",
    "microsoft": r"\bphi\b|\bphi[-\d]",
    "smollm": r"smollm",
}


def family_of(model: str) -> str | None:
    """The family by the model's name, None when the name does not tell."""
    name = model.lower().rsplit("/", 1)[-1]
    return next((family for family, pattern in _FAMILIES.items() if re.search(pattern, name)), None)


def self_preference_warning(judge: str, subject: str | None) -> str | None:
    """The warning when judge and subject are of one family, sharper when the judge is the older of the two."""
    family = family_of(judge)
    if not subject or family is None or family != family_of(subject):
        return None
    advice = "use a judge of another family"
    if _generation(judge) < _generation(subject):
        return (
            f"the judge {judge} is of the same family ({family}) as the subject {subject} and older: {advice}, or at "
            "least the latest version as judge and the older one as subject, never the reverse"
        )
    return f"the judge {judge} is of the same family ({family}) as the subject {subject} and may favour it: {advice}"


def _generation(model: str) -> float:
    # claude-3-5-sonnet and claude-sonnet-4.5 both write the version as a number or two; dates have more digits.
    found = re.search(r"(?<!\d)(\d{1,2})(?:[.-](\d))?(?!\d)", model)
    return float(f"{found[1]}.{found[2] or 0}") if found else 0.0
