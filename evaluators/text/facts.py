"""Reads checkable facts out of text: quantities with units, prices, dates, clock times, versions, in one normalised form.

Grounding, the guards of semantic similarity and the invented-price constraint compare texts by these. What stands
beside a currency or a unit and cannot be read is told by `unread_amounts`: nothing said of it is a pass.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any, Literal

import msgspec
import regex

from . import units

Kind = Literal["money", "percent", "time", "data", "measure", "count", "date", "clock", "version"]
Number = float | int


class Fact(msgspec.Struct, frozen=True):
    """One number, price, date, version or time of day, as said and as meant."""

    kind: Kind
    values: frozenset[Number | tuple[int, ...]]
    """What it may mean: "1.200" is 1.2 or 1200. Durations are in hours or months, data in bytes, clock in minutes."""
    said: frozenset[Number]
    """The bare numbers as written, for comparing with a number that has no unit."""
    unit: str
    """Currency code, "hours", "months", "bytes", "g", "%" or ""."""
    per: str
    """The period of a price ("month", "year", ...), else ""."""
    text: str
    bound: Literal["", "<", ">"] = ""
    """"at most" or "at least", as said."""

    def agrees(self, other: Fact) -> bool:
        """Whether the other fact can mean the same: equal value, and units and bounds that do not contradict."""
        if self.kind == "date" or other.kind == "date":
            return self.kind == other.kind and any(_same_date(a, b) for a in self.values for b in other.values)
        if not self.comparable(other) or (self.bound and other.bound and self.bound != other.bound):
            return False
        bare = "count" in (self.kind, other.kind)
        if not (self.said & other.said if bare else self.values & other.values):
            return False
        return not (self.per and other.per and self.per != other.per)

    def comparable(self, other: Fact) -> bool:
        """Whether both speak of the same kind of thing; a bare number is comparable with any quantity but a date."""
        if "count" in (self.kind, other.kind):
            return not {"date", "clock", "version"} & {self.kind, other.kind}
        if self.kind == other.kind == "money":
            return units.same_currency(self.unit, other.unit)
        return self.kind == other.kind and self.unit == other.unit


_SCALES = {
    "k": 10**3,
    "thousand": 10**3,
    "m": 10**6,
    "mn": 10**6,
    "million": 10**6,
    "bn": 10**9,
    "b": 10**9,
    "billion": 10**9,
    "dozen": 12,
}
_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
         "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ENGLISH_NUMBERS = {word: n for n, word in enumerate(_ONES)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_MONTHS = {name[:3]: n for n, name in enumerate(
    ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
     "december"], 1)}  # fmt: skip

_MONTH = r"(?P<{0}>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
_DATE = regex.compile(
    rf"\b(?:(?P<y1>(?:19|20)\d\d)-(?P<m1>\d\d)-(?P<d1>\d\d)"
    rf"|{_MONTH.format('m2')}\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<y2>(?:19|20)\d\d))?"
    rf"|(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH.format('m3')}(?:,?\s+(?P<y3>(?:19|20)\d\d))?"
    rf"|{_MONTH.format('m4')}\s+(?P<y4>(?:19|20)\d\d))\b",
    regex.IGNORECASE,
)
_CLOCK = regex.compile(
    r"\b(?P<h>\d{1,2})(?:[:.](?P<m>\d\d))?\s?(?P<half>[ap])\.?m\b\.?|\b(?P<h24>\d{1,2}):(?P<m24>\d\d)\b",
    regex.IGNORECASE,
)
_VERSION = regex.compile(
    r"\b(?:versions?|ver\.|releases?|v)\s?(?P<named>\d+(?:\.\d+)+)\b|(?<![\w.,])(?P<bare>\d+(?:\.\d+){2,})(?![\d,])",
    regex.IGNORECASE,
)
_NUMBER_WORD = (
    rf"(?:{'|'.join(_TENS)})(?:[- ](?:{'|'.join(_ONES[1:10])}))?|{'|'.join(sorted(_ONES, key=len, reverse=True))}"
)
_SPACES = "\u00a0\u202f\u2009"
# A plain space divides thousands only where the last group is 000 or money follows: "15 128 GB" are two numbers.
_GROUPED = rf"\d{{1,3}}(?: \d{{3}})+(?:[.,]\d{{1,2}})?(?! ?\d|\s?(?:{units.UNIT})(?!\w))"
_DIGITS = (
    rf"\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?:[.,]\d+)?(?!\d)|\d{{1,3}}(?: \d{{3}})*(?: 000)(?:[.,]\d{{1,2}})?(?![\d ]\d)"
    rf"|\d{{1,3}}(?: \d{{3}})+(?:[.,]\d{{1,2}})?(?=\s?(?:{units.AFTER}))|\d+(?:\.\d+)?e[+-]?\d+|\d(?:[\d,.'’]*\d)?"
)
_QUANTITY = regex.compile(
    rf"(?<![\w.,])(?P<sign>[-−+±](?=[\p{{Sc}}\d]))?(?:(?P<before>{units.BEFORE})\s?)?(?P<sign2>[-−+](?=\d))?"
    rf"(?P<number>(?(before){_GROUPED}|(?!))|{_DIGITS}|\b(?:{_NUMBER_WORD})\b)"
    rf"(?:\s?(?P<scale>k|mn?|bn?|thousand|million|billion|dozen)\b)?"
    # "-$" of "$49-$59" belongs to what follows it.
    rf"(?:(?!-\p{{Sc}})[\s-]?(?!\p{{Sc}}\d)(?P<after>{units.AFTER})"
    rf"|[\s-]?(?:business\s|working\s|calendar\s|full\s|consecutive\s)?(?P<unit>{units.UNIT})(?!\w))?"
    r"(?:\s?(?:/|per|an?|each|every)\s?(?:user|seat|member|person)?\s?(?:/|per|an?)?\s?(?P<per>month|mo|year|yr|annum|week|day|hour)\b|\s(?P<ly>monthly|yearly|annually))?",
    regex.IGNORECASE,
)
_NAMED = tuple(
    (regex.compile(pattern, regex.IGNORECASE), value)
    for pattern, value in (
        (r"\b(?:noon|midday)\b", "12:00"),
        (r"\bmidnight\b", "0:00"),
        (r"\b(?:an|one) hour and a half\b|\bone and a half hours\b", "90 minutes"),
        (r"\bhalf an hour\b|\bhalf[- ]hour\b", "30 minutes"),
        (r"\b(?:a )?quarter of an hour\b", "15 minutes"),
        (r"\bhalf a year\b", "6 months"),
        (r"\b(?:a )?fortnight\b", "14 days"),
        (r"(?<=\b(?:for|after|within|lasts|takes|than|every) )an? (?=(?:hour|day|week|month|year)\b)", "1 "),
        (r"\b(?:one )?half of(?= )|(?<=\b(?:of|by) )(?:one |a )?half\b", "50 percent"),
        (r"\b(?:a|one) third of(?= )|(?<=\b(?:of|by) )(?:a|one) third\b", "33 percent"),
        (r"\btwo[- ]thirds(?: of)?\b", "67 percent"),
        (r"\b(?:a|one) quarter of(?= )|(?<=\b(?:of|by) )(?:a|one) quarter\b", "25 percent"),
        (r"\bthree[- ]quarters(?: of)?\b", "75 percent"),
        (r"\b(?:a|one) fifth of(?= )|(?<=\b(?:of|by) )(?:a|one) fifth\b", "20 percent"),
        (r"\b(?:a|one) tenth of(?= )|(?<=\b(?:of|by) )(?:a|one) tenth\b", "10 percent"),
    )
)
_PERIODS = {"mo": "month", "yr": "year", "annum": "year", "monthly": "month", "yearly": "year", "annually": "year"}
_AT_LEAST = r"at least|no (?:less|fewer) than|not less than|more than|over|above|minimum(?: of)?|from|mindestens|über|au moins|plus de|al menos|más de|como mínimo|almeno|più di|pelo menos|mais de|minstens|meer dan|minst|mere end|co najmniej|ponad|en az|minimal|не менее|[>≥]=?"
_AT_MOST = r"at most|no more than|not more than|no later than|less than|fewer than|under|below|up to|maximum(?: of)?|within|höchstens|maximal|bis zu|weniger als|unter|au plus|moins de|jusqu'à|como máximo|menos de|hasta|al massimo|meno di|fino a|no máximo|até|hoogstens|minder dan|högst|mindre än|højst|co najwyżej|mniej niż|en fazla|paling banyak|не более|[<≤]=?"
_BOUND = regex.compile(
    rf"(?:(?<![\p{{L}}])(?P<least>{_AT_LEAST})|(?<![\p{{L}}])(?P<most>{_AT_MOST}))\s?$", regex.IGNORECASE
)
_BOUND_AFTER = regex.compile(
    r"\s?(?:(?P<least>or (?:more|above|over|higher|longer|later|older|up)|and (?:up|above|more|over)|\+(?!\d)|oder mehr|ou plus|o más)|"
    r"(?P<most>or (?:less|below|under|fewer|lower|shorter|earlier|younger)|and (?:below|under|less)|oder weniger|ou moins|o menos))\b?",
    regex.IGNORECASE,
)
# "$5-15" and "5 to 15 dollars" are two prices, as "99¢" is one; "$49 to 3 users" is one price.
_RANGE = regex.compile(
    rf"(?P<currency>{units.BEFORE})\s?(?P<first>\d[\d.,]*)(?:[-–—](?P<last>\d[\d.,]*)(?![\w%-])"
    r"|\s(?:to|bis|[-–—])\s(?P<last>\d+(?:[.,]\d+)*)(?!\w|[.,]\d|\s?(?!per\b|an?\b|each\b|every\b|pro\b|month|year)[\p{L}%$€£]))",
    regex.IGNORECASE,
)
_RANGE_AFTER = regex.compile(
    rf"(?<![\w.,-])(?P<first>\d[\d.,]*)(?:[-–—]|\s(?:to|bis)\s)(?P<last>\d[\d.,]*)\s?(?P<currency>{units.AFTER})",
    regex.IGNORECASE,
)
_NO_CENTS = regex.compile(r"(?<=\d)[.,][-–—]{1,2}(?!\d)")
_MAX_DIGITS = 4000
_CENTS = regex.compile(r"(?<![\d.,])(\d{1,4})\s?¢")
_NUMERAL = r"[\p{N}〇零一二三四五六七八九十百千万]"
_UNREAD = regex.compile(
    rf"(?:{units.BEFORE}|\p{{Sc}})\s?{_NUMERAL}+|{_NUMERAL}+\s?(?:\p{{Sc}}|{units.AFTER})|[\p{{No}}\p{{Nl}}]+\s?(?:{units.UNIT})(?!\w)",
    regex.IGNORECASE,
)


@lru_cache(maxsize=4096)
def facts(text: str, *, bare_words: bool = False) -> tuple[Fact, ...]:
    """The facts of a text; `bare_words` also takes number words without a unit ("one", "three")."""
    return _scan(text, bare_words=bare_words)[0]


def prices(text: str) -> tuple[Fact, ...]:
    """The sums of money in a text."""
    return tuple(fact for fact in facts(text) if fact.kind == "money")


def unread_amounts(text: str) -> list[str]:
    """Numerals beside a currency or a unit that `facts` cannot read: "½ €", "Ⅳ hours"."""
    return [match.group().strip() for match in _UNREAD.finditer(_scan(text, bare_words=True)[1])]


def _scan(text: str, *, bare_words: bool) -> tuple[tuple[Fact, ...], str]:
    """The facts, and the text with blanks in their places."""
    for pattern, value in _NAMED:
        text = pattern.sub(value, text)
    text = _NO_CENTS.sub("", _CENTS.sub(lambda match: f"${int(match[1]) / 100:.2f}", text))
    text = _RANGE.sub(r"\g<currency>\g<first> – \g<currency>\g<last>", text)
    text = _in_digits(_RANGE_AFTER.sub(r"\g<first> \g<currency> – \g<last> \g<currency>", text))
    found: list[Fact] = []
    for pattern, read in ((_DATE, _date), (_VERSION, _version), (_CLOCK, _clock)):
        found += [read(match) for match in pattern.finditer(text)]
        text = pattern.sub(_blank, text)
    rest: list[str] = []
    end = 0
    for match in _QUANTITY.finditer(text):
        fact = _quantity(match, bare_words=bare_words)
        if fact is not None:
            found.append(fact)
            rest += [text[end : match.start()], _blank(match)]
            end = match.end()
    return tuple(found), "".join([*rest, text[end:]])


def _in_digits(text: str) -> str:
    """Number words of other languages and Chinese numerals before a unit or a currency become digits."""

    def digits(match: regex.Match[str]) -> str:
        word: str = match["word"].lower()
        if match["money"] is not None and word in units.NOT_BEFORE_MONEY:
            return str(match.group())
        return str(units.number_words()[word])

    if not text.isascii():
        text = units.CJK_NUMERAL.sub(lambda match: str(units.cjk_value(match["numeral"])), text)
    return str(units.foreign_number().sub(digits, text))


def _blank(match: regex.Match[str]) -> str:
    return " " * len(match.group())


def _date(match: regex.Match[str]) -> Fact:
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


def _version(match: regex.Match[str]) -> Fact:
    parts = [int(part) for part in (match["named"] or match["bare"]).split(".")]
    while len(parts) > 2 and parts[-1] == 0:
        parts.pop()  # 1.2.0 is 1.2, but 1.10 is not 1.1
    return Fact("version", frozenset([tuple(parts)]), frozenset(), "", "", match.group())


def _clock(match: regex.Match[str]) -> Fact:
    hour, minute = int(match["h"] or match["h24"]), int(match["m"] or match["m24"] or 0)
    if match["half"]:
        hour = hour % 12 + (12 if match["half"].lower() == "p" else 0)
    return Fact("clock", frozenset([float(hour * 60 + minute)]), frozenset(), "", "", match.group())


def _quantity(match: regex.Match[str], *, bare_words: bool) -> Fact | None:
    unit, currency = match["unit"] or "", match["before"] or match["after"]
    number = match["number"]
    if not number[0].isdigit() and not (unit or currency or bare_words):
        return None
    factor = _SCALES.get((match["scale"] or "").lower(), 1)
    if "-" in (sign := f"{match['sign'] or ''}{match['sign2'] or ''}".replace("−", "-")) and len(sign) == 1:
        factor = -factor
    values = {_scaled(value, factor) for value in _readings(number)}
    per = (match["per"] or match["ly"] or "").lower()
    per = _PERIODS.get(per, per)
    kind, base, size = _money(currency) if currency else _meaning(unit)
    meant = frozenset(_scaled(value, size) for value in values)
    before = _BOUND.search(match.string, max(0, match.start() - 25), match.start())
    told = before or _BOUND_AFTER.match(match.string, match.end())
    bound: Any = "" if told is None else ">" if told["least"] else "<"
    text = match.group().strip()
    return Fact(kind, meant, frozenset(values), base, per if kind == "money" else "", text, bound)  # type: ignore[arg-type]


def _money(currency: str) -> tuple[str, str, float]:
    code = units.currency_code(currency)
    return "money", code, 0.01 if code in units.HUNDREDTHS else 1.0


def _meaning(unit: str) -> tuple[str, str, float]:
    return units.unit_meaning(unit.lower()) if unit else ("count", "", 1.0)


def _scaled(value: Number, factor: float) -> Number:
    """The product; whole numbers stay whole, so that 2^53 + 1 is not 2^53."""
    if isinstance(value, int) and float(factor).is_integer():
        return value * int(factor)
    return round(value * factor, 6)


def _readings(number: str) -> set[Number]:
    """What a written number may mean: 1,200 and 1.200 can be thousands; 49,00 is a decimal comma."""
    if not number[0].isdigit():
        return {sum(ENGLISH_NUMBERS[word] for word in regex.split(r"[- ]", number.lower()))}
    number = "".join(str(unicodedata.decimal(one)) if one.isdecimal() else one for one in number)
    if "e" in number.lower():
        value = float(number)
        return {int(value) if value.is_integer() else value}
    number = regex.sub(rf"['’ {_SPACES}](?=\d{{3}})", "", number)
    readings: set[Number] = set()
    for thousands, decimal in ((",", "."), (".", ",")):
        grouped = rf"\d{{1,3}}(?:{regex.escape(thousands)}\d{{2,3}})*(?:{regex.escape(decimal)}\d+)?|\d+(?:{regex.escape(decimal)}\d+)?"
        whole = number.replace(thousands, "")
        groups_ok = all(len(group) == 3 for group in number.split(decimal)[0].split(thousands)[1:])
        if regex.fullmatch(grouped, number) and groups_ok:
            readings.add(_exact(whole.replace(decimal, ".")))
    return readings or {_exact(regex.sub(r"\D", "", number))}


def _exact(text: str) -> Number:
    # Python reads no whole number of more than 4,300 digits, and nobody means one.
    value = float(text) if "." in text else int(text[:_MAX_DIGITS])
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
