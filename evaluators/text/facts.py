"""Reads checkable facts out of text: quantities with units, prices, dates, clock times, in one normalised form.

Grounding, the guards of semantic similarity and the invented-price constraint compare texts by these.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

import msgspec

Kind = Literal["money", "percent", "time", "data", "count", "date", "clock"]


class Fact(msgspec.Struct, frozen=True):
    """One number, price, date or time of day, as said and as meant."""

    kind: Kind
    values: frozenset[float | tuple[int, ...]]
    """What it may mean: "1.200" is 1.2 or 1200. Durations are in hours or months, data in bytes, clock in minutes."""
    said: frozenset[float]
    """The bare numbers as written, for comparing with a number that has no unit."""
    unit: str
    """Currency code, "hours", "months", "bytes", "%" or ""."""
    per: str
    """The period of a price ("month", "year", ...), else ""."""
    text: str

    def agrees(self, other: Fact) -> bool:
        """Whether the other fact can mean the same: equal value, and units that do not contradict."""
        if self.kind == "date" or other.kind == "date":
            return self.kind == other.kind and any(_same_date(a, b) for a in self.values for b in other.values)
        if not self.comparable(other):
            return False
        bare = "count" in (self.kind, other.kind)
        if not (self.said & other.said if bare else self.values & other.values):
            return False
        return not (self.per and other.per and self.per != other.per)

    def comparable(self, other: Fact) -> bool:
        """Whether both speak of the same kind of thing; a bare number is comparable with any quantity but a date."""
        if "count" in (self.kind, other.kind):
            return not {"date", "clock"} & {self.kind, other.kind}
        return self.kind == other.kind and self.unit == other.unit


_CURRENCIES = {
    "$": "USD", "us$": "USD", "usd": "USD", "dollar": "USD", "dollars": "USD", "bucks": "USD", "€": "EUR", "eur": "EUR",
    "euro": "EUR", "euros": "EUR", "£": "GBP", "gbp": "GBP", "pound": "GBP", "pounds": "GBP", "¥": "JPY", "jpy": "JPY",
    "yen": "JPY", "₹": "INR", "inr": "INR", "rupees": "INR", "chf": "CHF", "cad": "CAD", "aud": "AUD",
}  # fmt: skip
_TIMES = {  # unit -> (base unit, how many of it)
    "second": ("hours", 1 / 3600), "sec": ("hours", 1 / 3600), "minute": ("hours", 1 / 60), "min": ("hours", 1 / 60),
    "hour": ("hours", 1), "hr": ("hours", 1), "day": ("hours", 24), "week": ("hours", 168),
    "month": ("months", 1), "quarter": ("months", 3), "year": ("months", 12), "yr": ("months", 12),
}  # fmt: skip
_DATA = {"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "pb": 1e15}
_SCALES = {"k": 1e3, "thousand": 1e3, "m": 1e6, "mn": 1e6, "million": 1e6, "bn": 1e9, "b": 1e9, "billion": 1e9}
_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
         "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORDS = {word: float(n) for n, word in enumerate(_ONES)} | {word: 10.0 * n for n, word in enumerate(_TENS, 2)}
_MONTHS = {name[:3]: n for n, name in enumerate(
    ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
     "december"], 1)}  # fmt: skip

_MONTH = r"(?P<{0}>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
_DATE = re.compile(
    rf"\b(?:(?P<y1>(?:19|20)\d\d)-(?P<m1>\d\d)-(?P<d1>\d\d)"
    rf"|{_MONTH.format('m2')}\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<y2>(?:19|20)\d\d))?"
    rf"|(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH.format('m3')}(?:,?\s+(?P<y3>(?:19|20)\d\d))?"
    rf"|{_MONTH.format('m4')}\s+(?P<y4>(?:19|20)\d\d))\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"\b(?P<h>\d{1,2})(?:[:.](?P<m>\d\d))?\s?(?P<half>[ap])\.?m\b\.?|\b(?P<h24>\d{1,2}):(?P<m24>\d\d)\b", re.IGNORECASE
)
_NUMBER_WORD = (
    rf"(?:{'|'.join(_TENS)})(?:[- ](?:{'|'.join(_ONES[1:10])}))?|{'|'.join(sorted(_ONES, key=len, reverse=True))}"
)
_UNIT = rf"(?:{'|'.join(sorted(_TIMES, key=len, reverse=True))})s?|[kmgtp]b|%|per\s?cent|percent"
_QUANTITY = re.compile(
    rf"(?<![\w.,])(?:(?P<before>us\$|[$€£¥₹]|(?:usd|eur|gbp|jpy|inr|chf|cad|aud)(?=\s?\d))\s?)?"
    rf"(?P<number>\d(?:[\d,.'’]*\d)?|\b(?:{_NUMBER_WORD})\b)"
    rf"(?:\s?(?P<scale>k|mn?|bn?|thousand|million|billion)\b)?"
    rf"(?:[\s-]?(?P<after>usd|eur|gbp|jpy|inr|chf|cad|aud|dollars?|bucks|euros?|pounds?|yen|rupees|[€£¥₹])(?!\w)"
    rf"|[\s-]?(?:business\s|working\s|calendar\s|full\s)?(?P<unit>{_UNIT})(?!\w))?"
    r"(?:\s?(?:/|per|an?|each|every)\s?(?:user|seat|member|person)?\s?(?:/|per|an?)?\s?(?P<per>month|mo|year|yr|annum|week|day|hour)\b|\s(?P<ly>monthly|yearly|annually))?",
    re.IGNORECASE,
)  # fmt: skip
_PERIODS = {"mo": "month", "yr": "year", "annum": "year", "monthly": "month", "yearly": "year", "annually": "year"}


@lru_cache(maxsize=4096)
def facts(text: str, *, bare_words: bool = False) -> tuple[Fact, ...]:
    """The facts of a text; `bare_words` also takes number words without a unit ("one", "three")."""
    dates = [_date(match) for match in _DATE.finditer(text)]
    text = _DATE.sub(_blank, text)
    clocks = [_clock(match) for match in _CLOCK.finditer(text)]
    text = _CLOCK.sub(_blank, text)
    quantities = (_quantity(match, bare_words=bare_words) for match in _QUANTITY.finditer(text))
    return (*dates, *clocks, *(fact for fact in quantities if fact is not None))


def prices(text: str) -> tuple[Fact, ...]:
    """The sums of money in a text."""
    return tuple(fact for fact in facts(text) if fact.kind == "money")


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _date(match: re.Match[str]) -> Fact:
    parts = {key: value for key, value in match.groupdict().items() if value}
    numbers = {key[0]: value for key, value in parts.items()}
    month = numbers["m"]
    year, day = int(numbers.get("y", 0)), int(numbers.get("d", 0))
    value = (year, int(month) if month.isdigit() else _MONTHS[month[:3].lower()], day)
    return Fact("date", frozenset([value]), frozenset(), "", "", match.group())


def _same_date(one: object, other: object) -> bool:
    # 0 stands for a part that was not said.
    pairs = zip(one, other, strict=True)  # type: ignore[call-overload]
    return all(a == b or not a or not b for a, b in pairs)


def _clock(match: re.Match[str]) -> Fact:
    hour, minute = int(match["h"] or match["h24"]), int(match["m"] or match["m24"] or 0)
    if match["half"]:
        hour = hour % 12 + (12 if match["half"].lower() == "p" else 0)
    return Fact("clock", frozenset([float(hour * 60 + minute)]), frozenset(), "", "", match.group())


def _quantity(match: re.Match[str], *, bare_words: bool) -> Fact | None:
    unit, currency = (match["unit"] or "").lower().rstrip("s"), match["before"] or match["after"]
    number = match["number"]
    if not number[0].isdigit() and not (unit or currency or bare_words):
        return None
    scale = _SCALES.get((match["scale"] or "").lower(), 1.0)
    values = {round(value * scale, 6) for value in _readings(number)}
    per = (match["per"] or match["ly"] or "").lower()
    per = _PERIODS.get(per, per)
    kind, base, size = _meaning(unit, currency)
    meant = frozenset(round(value * size, 6) for value in values)
    return Fact(kind, meant, frozenset(values), base, per if kind == "money" else "", match.group().strip())


def _meaning(unit: str, currency: str | None) -> tuple[Kind, str, float]:
    if currency:
        return "money", _CURRENCIES[currency.lower()], 1.0
    if unit in _TIMES:
        return "time", *_TIMES[unit]
    if unit in _DATA:
        return "data", "bytes", _DATA[unit]
    return ("percent", "%", 1.0) if unit else ("count", "", 1.0)


def _readings(number: str) -> set[float]:
    """What a written number may mean: 1,200 and 1.200 can be thousands; 49,00 is a decimal comma."""
    if not number[0].isdigit():
        return {sum(_WORDS[word] for word in re.split(r"[- ]", number.lower()))}
    number = re.sub(r"['’](?=\d{3})", "", number)
    readings = set()
    for thousands, decimal in ((",", "."), (".", ",")):
        grouped = rf"\d{{1,3}}(?:{re.escape(thousands)}\d{{2,3}})*(?:{re.escape(decimal)}\d+)?|\d+(?:{re.escape(decimal)}\d+)?"
        whole = number.replace(thousands, "")
        groups_ok = all(len(group) == 3 for group in number.split(decimal)[0].split(thousands)[1:])
        if re.fullmatch(grouped, number) and groups_ok:
            readings.add(float(whole.replace(decimal, ".")))
    return readings or {float(re.sub(r"\D", "", number))}
