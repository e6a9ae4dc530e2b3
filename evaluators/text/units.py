"""Currencies, units and number words of the languages that are offered: the tables behind `facts`."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import regex

# ISO 4217, the active codes.
ISO_CODES = frozenset(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP
    CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR
    ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT
    MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD
    SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES
    VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG
    """.split()
)
# Written in capitals before a number these may be English words: "TOP 10", "ALL 5".
_WORDS_TOO = frozenset("ALL ANG BAM BOB COP CUP GEL LAK MAD MOP PEN RON SOS TOP TRY".split())
_LOWER_CODES = frozenset(
    "usd eur gbp jpy inr chf cad aud nzd sek nok dkk pln czk huf brl mxn krw cny aed zar sgd hkd".split()
)
_SIGNS = {
    "$": "USD", "us$": "USD", "a$": "AUD", "au$": "AUD", "c$": "CAD", "ca$": "CAD", "nz$": "NZD", "hk$": "HKD", "s$": "SGD",
    "nt$": "TWD", "r$": "BRL", "mx$": "MXN", "€": "EUR", "£": "GBP", "¥": "JPY", "￥": "JPY", "cn¥": "CNY", "₹": "INR",
    "₩": "KRW", "₽": "RUB", "₺": "TRY", "₴": "UAH", "₫": "VND", "₪": "ILS", "฿": "THB", "₱": "PHP", "₦": "NGN", "₡": "CRC",
    "₲": "PYG", "₸": "KZT", "₼": "AZN", "₾": "GEL", "৳": "BDT", "₵": "GHS", "﷼": "IRR",
}  # fmt: skip
_NAMES = {  # what stands after a number; a pattern each
    "USD": r"us-?dollars?|dollars?|bucks|dólar(?:es)?|dolarów|dolar[iy]?|доллар(?:а|ов)?",
    "EUR": r"euros?|eura|евро|ευρώ|ユーロ|欧元|유로",
    "GBP": r"pounds?(?: sterling)?|quid|libras?|funt(?:ów|y)?|фунт(?:а|ов)?",
    "JPY": r"yens?|円|엔", "INR": r"rupees?|रुपये|रुपए", "CHF": r"francs?|franken|franchi|franków",
    "CNY": r"yuan|renminbi|rmb|元|圆|圓|人民币", "KRW": r"(?<=\d{3} )won|원", "THB": r"baht|บาท", "IDR": r"rupiah", "MYR": r"ringgit",
    "KR": r"kr\.?|krona|kronor|krone[rn]?|kroner|kroon", "PLN": r"zł(?:ot(?:y|e|ych))?|zloty(?:ch)?|zl|злотых",
    "CZK": r"kč|korun[ay]?", "HUF": r"forint(?:ok)?", "RON": r"lei", "BGN": r"лв\.?|leva", "RUB": r"руб(?:\.|л(?:ь|я|ей))?|rubles?",
    "BRL": r"reais", "PESO": r"pesos?", "TRY": r"liras?|tl", "AED": r"dirhams?", "SAR": r"riyals?|ريال", "ILS": r"shekels?|nis|שקל(?:ים)?",
    "CENT": r"(?:euro|us-)?cents?|centimes?|céntimos?|centavos?|centesimi", "PENCE": r"pence", "ZAR": r"rands?", "UAH": r"грн\.?|hryvnias?",
}  # fmt: skip
_PREFIXES = {
    "kr": "KR",
    "kr.": "KR",
    "rs": "INR",
    "rs.": "INR",
    "rm": "MYR",
    "rp": "IDR",
    "fr.": "CHF",
    "zł": "PLN",
    "kč": "CZK",
}
_FAMILIES = {
    "KR": {"SEK", "NOK", "DKK", "ISK"},
    "CENT": {"USD", "EUR", "AUD", "CAD", "NZD", "CHF", "ZAR", "MXN", "BRL"},
    "PENCE": {"GBP"},
    "PESO": {"MXN", "ARS", "CLP", "COP", "PHP", "UYU", "DOP", "CUP"},
}
HUNDREDTHS = frozenset({"CENT", "PENCE"})
"""Names of a hundredth of the currency: 99 cents are 0.99 of any that has cents."""

BEFORE = (
    rf"(?:[a-z]{{1,2}})?\p{{Sc}}|(?-i:{'|'.join(sorted(ISO_CODES - _WORDS_TOO))})(?=\s?[-−+]?\d)"
    rf"|(?:{'|'.join(_LOWER_CODES)})(?=\s?[-−+]?\d)|(?:{'|'.join(map(regex.escape, _PREFIXES))})(?=\s?\d)"
)
AFTER = (
    rf"\p{{Sc}}|(?-i:{'|'.join(sorted(ISO_CODES))})(?!\w)|(?:{'|'.join(_LOWER_CODES)})(?!\w)|(?-i:Ft)(?!\w)"
    rf"|(?:{'|'.join(_NAMES.values())})(?![a-zà-ÿ])"
)
_BY_NAME = [(code, regex.compile(pattern, regex.IGNORECASE)) for code, pattern in _NAMES.items()]


@cache
def currency_code(written: str) -> str:
    """The ISO code that a sign, code or word stands for; the sign itself where it is not in the table."""
    low = written.lower().strip()
    if low in _SIGNS or low in _PREFIXES:
        return _SIGNS.get(low) or _PREFIXES[low]
    if low.upper() in ISO_CODES:
        return low.upper()
    if low == "ft":
        return "HUF"
    named = next((code for code, pattern in _BY_NAME if pattern.fullmatch(f"{low}")), None)
    return named or ("KRW" if low == "won" else low)


def same_currency(one: str, other: str) -> bool:
    """Whether two codes can mean the same money: "kr" is any of the crowns."""
    return (
        one == other
        or other in _FAMILIES.get(one, ())
        or one in _FAMILIES.get(other, ())
        or {one, other} == {"JPY", "CNY"}
    )


TIMES: dict[str, tuple[str, float]] = {}
_TIME_NAMES = {  # base unit, how many of it, and a pattern for its names
    ("hours", 1 / 3600): r"seconds?|secs?|sekunden?|secondes?|segundos?|second[oi]|seconden|sekunder?|sekund[ay]?|saniye|detik|секунд[аы]?|秒",
    ("hours", 1 / 60): r"minutes?|mins?|minuten?|minutos?|minut[oi]|minuter|minutter|minut[ya]?|dakika|menit|минут[аы]?|分钟|分間|分",
    ("hours", 1): r"hours?|hrs?|stunden?|heures?|horas?|or[ae]|uren|uur|timmar|timmen?|timer|godzin[ay]?|saat|jam|час(?:а|ов)?|時間|小时|小時",
    ("hours", 24): r"days?|tagen?|tag|jours?|d[ií]as?|giorn[oi]|dag(?:en|ar|e)?|dni|gün|hari|д(?:ень|ня|ней)|日間|日|天",
    ("hours", 168): r"weeks?|wochen?|semaines?|semanas?|settiman[ae]|weken|veckor|vecka|uger|uge|tygodni[ea]?|hafta|minggu|недел[ьия]|週間|周|星期",
    ("months", 1): r"months?|monaten?|monat|mois|mes(?:es)?|mes[ie]|mês|maand(?:en)?|månad(?:er)?|måned(?:er)?|miesi(?:ąc[ea]?|ęcy)|ay|bulan|месяц(?:а|ев)?|[ヶかカ]月|个月|個月",
    ("months", 3): r"quarters?|quartale?|trimestres?|kwartał[yu]?",
    ("months", 12): r"years?|yrs?|jahren?|jahr|ans|années?|años?|ann[oi]|anos?|jaar|jaren|år|lata?|yıl|tahun|лет|год(?:а)?|年間|年",
}  # fmt: skip
_MEASURES = {  # base unit, how many of it, and a pattern for its names
    ("g", 1e-3): "mg", ("g", 1): "g|grams?|gramm", ("g", 1e3): "kg|kilos?|kilograms?", ("g", 1e6): "tonnes?", ("g", 453.59237): "lbs?", ("g", 28.349523): "oz|ounces?",
    ("m", 1e-3): "mm", ("m", 1e-2): "cm", ("m", 1): "meters?|metres?|meter", ("m", 1e3): "km|kilomet(?:er|re)s?", ("m", 1609.344): "mi|miles?",
    ("m", 0.3048): "ft|feet|foot", ("m", 0.0254): "inch(?:es)?", ("m", 0.9144): "yd|yards?",
    ("l", 1e-3): "ml", ("l", 1): "l|lit(?:er|re)s?|liter", ("l", 3.785411784): "gal|gallons?",
    ("°C", 1): "°\\s?c|celsius", ("°F", 1): "°\\s?f|fahrenheit", ("km/h", 1): "km/h|kmh", ("km/h", 1.609344): "mph",
    ("W", 1): "watts?|w", ("W", 1e3): "kw", ("Wh", 1e3): "kwh", ("Hz", 1): "hz", ("Hz", 1e3): "khz", ("Hz", 1e6): "mhz", ("Hz", 1e9): "ghz",
    ("bit/s", 1e3): "kbps", ("bit/s", 1e6): "mbps|mbit/s", ("bit/s", 1e9): "gbps|gbit/s",
    ("px", 1): "px|pixels?", ("dpi", 1): "dpi", ("fps", 1): "fps",
}  # fmt: skip
_DATA = {("bytes", 1e3): "kb", ("bytes", 1e6): "mb", ("bytes", 1e9): "gb", ("bytes", 1e12): "tb", ("bytes", 1e15): "pb",
         ("bytes", 1024.0**2): "mib", ("bytes", 1024.0**3): "gib", ("bytes", 1024.0**4): "tib"}  # fmt: skip
PERCENT = r"%|٪|％|per\s?cent|percent|prozent|pour cent|por ciento|per cento|por cento|procent|procento?|yüzde|persen|процент(?:а|ов)?"
TIME_NAMES = "|".join(_TIME_NAMES.values())
UNIT = "|".join([TIME_NAMES, *_DATA.values(), *_MEASURES.values(), PERCENT])
_COMPILED = [
    (kind, base, size, regex.compile(pattern, regex.IGNORECASE))
    for kind, table in (("time", _TIME_NAMES), ("data", _DATA), ("measure", _MEASURES))
    for (base, size), pattern in table.items()
]


@cache
def unit_meaning(written: str) -> tuple[str, str, float]:
    """Kind, base unit and how many of it: ("time", "hours", 24) for days."""
    for kind, base, size, pattern in _COMPILED:
        if pattern.fullmatch(written):
            return kind, base, size
    return "percent", "%", 1.0


@cache
def number_words() -> dict[str, int]:
    """Number words of the offered languages beside English, from two on."""
    table = json.loads((Path(__file__).parent / "data" / "number_words.json").read_text(encoding="utf-8"))
    return {word: value for words in table["words"].values() for word, value in words.items()}


# Danish "to" and "ti", Turkish "on" and "bin" are other words in English, also before a currency.
NOT_BEFORE_MONEY = frozenset({"to", "ti", "on", "ni", "bin", "tre", "six", "set", "dix"})


@cache
def foreign_number() -> regex.Pattern[str]:
    """A number word before a unit or a currency, the longest word first."""
    words = "|".join(regex.escape(word) for word in sorted(number_words(), key=len, reverse=True))
    return regex.compile(
        rf"(?<!\w)(?P<word>{words})(?:(?=[\s-](?:{TIME_NAMES}|{PERCENT})(?!\w))|(?P<money>(?=[\s-](?:{AFTER}))))",
        regex.IGNORECASE,
    )


_CJK_DIGITS = {
    character: n
    for n, group in enumerate(["〇零", "一壱壹", "二两兩弐", "三参", "四", "五", "六", "七", "八", "九"])
    for character in group
}
_CJK_SCALES = {"十": 10, "百": 100, "千": 1000}
_CJK_LARGE = {"万": 10**4, "萬": 10**4, "億": 10**8, "亿": 10**8}
CJK_NUMERAL = regex.compile(
    rf"(?P<numeral>[{''.join([*_CJK_DIGITS, *_CJK_SCALES, *_CJK_LARGE])}]+)(?=\s?(?:{TIME_NAMES}|円|元|圆|圓|人|名|個|个|%|％))"
)


def cjk_value(numeral: str) -> int:
    """The value of a Chinese or Japanese numeral: 三百二十 is 320, 二〇二六 is 2026."""
    if all(character in _CJK_DIGITS for character in numeral):
        return int("".join(str(_CJK_DIGITS[character]) for character in numeral))
    total = section = digit = 0
    for character in numeral:
        if character in _CJK_DIGITS:
            digit = _CJK_DIGITS[character]
        elif character in _CJK_SCALES:
            section, digit = section + (digit or 1) * _CJK_SCALES[character], 0
        else:
            total, section, digit = total + (section + digit or 1) * _CJK_LARGE[character], 0, 0
    return total + section + digit
