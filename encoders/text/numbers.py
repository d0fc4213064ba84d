"""Numbers as people write them, read before punctuation is dropped: the only such reading.

    read_numbers('30,5 m, 3,500 pages, 1 1/2"')  ->  '30.5 m, 3500 pages, 1.5 inch '

The decimal mark of a catalog is "." or ",". It decides only what the text leaves open: a single
mark before exactly three digits. docs/catalogs.md has the rules as a table.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from math import gcd
from typing import NamedTuple

from kae.encoders.text.ascii_digits import like_ascii
from kae.encoders.text.unit_signs import BEFORE_A_WORD, BETWEEN_TEXTS, Following, unit_following
from kae.encoders.text.units import Unit

# The minus sign of a number: any other "-" separates words. Normal forms have "-" for it.
MINUS = "\x02"
_VULGAR = "½¼¾⅓⅔⅛⅜⅝⅞⅕⅖⅗⅘⅙⅚⅒"
_FRACTION = r"\d{1,2}/(?:[234568]|16|32|64)(?![\d/]|[.,]\d)"
_FRACTION_DIGITS = 6
# How many characters before its first mark a number may begin: 123 10/32.
_BEFORE_A_MARK = 16
# Marks of thousands that are nothing else: Swiss apostrophes, and spaces that do not break.
_GROUPING = "'\u00a0\u202f\u2009"
_NUMBER = re.compile(
    rf"(?<!\d)(?<!\d[.,])(?:"
    rf"(?P<before>\d{{1,4}} ?)?(?P<vulgar>[{_VULGAR}])(?![\d{_VULGAR}])"
    rf"|(?<!\d/)(?P<whole>\d{{1,3}})[ -](?P<mixed>{_FRACTION})"
    rf"|(?<!\d/)(?P<divided>{_FRACTION})"
    # A number without a mark to read, such as 500 or 1.5, is passed over.
    rf"|(?=\d+(?:,\d|\.\d{{3}}|[{_GROUPING}]\d|\.\d+,\d|(?:\.\d+)?(?:[\"']| ?[°º]))"
    rf"|(?<=-)(?<![^\s(]-))"
    rf"(?P<plain>\d+(?:[.,]\d+|[{_GROUPING}]\d{{3}}(?!\d))*))"
)
_MARKS = re.compile(r"\D")
_ENDS_NUMBER = re.compile(r"\d[\"']? *$")
_DIMENSION = re.compile(r" ?[x×*/] ?\d", re.IGNORECASE)
# Whether there is anything to read. It runs over every text, so every choice begins with a sign of
# its own, to which the search skips.
_ASCII_MARKS = (
    r"""["'](?<=\d.)|,\d(?<=\d..)|/(?<=\d.)(?:[234568]|16|32|64)(?![\d/])"""
    r"""|\.\d{3}(?!\d)(?<=\d.{4})(?<!\D0.{4})|-\d(?<![^\s(]..)|\x02"""
)
_MARKED = re.compile(_ASCII_MARKS, re.DOTALL)
_MARKED_BEYOND_ASCII = re.compile(
    rf"{_ASCII_MARKS}|[°º](?:(?<=\d.)|(?<=\d .))|[{_GROUPING}](?<=\d.)|[{_VULGAR}]", re.DOTALL
)
_UNREAD = re.compile(f"[{_VULGAR}]")
_NUMERIC = re.compile(rf"[\d{_VULGAR}]")


class NumberSpan(NamedTuple):
    """A number as text[begin:end], with the sign of its unit if it has one, and its reading.

    `unit_end`: where its unit ends, if that is a word; else `end`.
    """

    begin: int
    end: int
    reading: str
    unit_end: int


def read_numbers(text: str, decimal_mark: str = ".") -> str:
    """Return the text with its numbers as digits and a point, and signs of units as words."""
    marked = _MARKED
    if not text.isascii():
        if _NUMERIC.search(text) is None:
            return text.replace(MINUS, " ")
        text, marked = like_ascii(text), _MARKED_BEYOND_ASCII
    if marked.search(text) is None:
        return text
    text = text.replace(MINUS, " ")
    pieces: list[str] = []
    done = 0
    for span in _spans(text, marked, decimal_mark):
        pieces += text[done : span.begin], span.reading
        done = span.end
    pieces.append(text[done:])
    read = "".join(pieces)
    # NFKC would join what is left of these to the digits around them.
    return read if read.isascii() else _UNREAD.sub(r" \g<0> ", read)


def read_all_numbers(texts: Iterable[str], decimal_mark: str = ".") -> list[str]:
    """Return `read_numbers` of each text, with one search for all that are ASCII."""
    given = list(texts)
    ascii_texts = [text for text in given if text.isascii()]
    read = read_numbers(BETWEEN_TEXTS.join(ascii_texts), decimal_mark).split(BETWEEN_TEXTS)
    if len(read) != len(ascii_texts):  # a text has the mark itself, or there is none
        return [read_numbers(text, decimal_mark) for text in given]
    following = iter(read)
    return [
        next(following) if text.isascii() else read_numbers(text, decimal_mark) for text in given
    ]


def number_spans(text: str, decimal_mark: str = ".") -> list[NumberSpan]:
    """Return where the text has numbers that are read as something else, in order."""
    plain = like_ascii(text).replace(MINUS, " ")
    return list(_spans(plain, _MARKED_BEYOND_ASCII, decimal_mark))


def _number_near(text: str, places: range) -> re.Match[str] | None:
    """Return the first number that begins at one of the places."""
    for place in places:
        if text[place].isnumeric() and (match := _NUMBER.match(text, place)):
            return match
    return None


def _spans(text: str, marked: re.Pattern[str], decimal_mark: str) -> Iterator[NumberSpan]:
    place = 0
    while (mark := marked.search(text, place)) is not None:
        match = _number_near(text, range(max(place, mark.start() - _BEFORE_A_MARK), mark.end()))
        if match is None:
            place = mark.end()
            continue
        following = unit_following(text, match.end())
        reading = _reading(text, match, following, decimal_mark)
        if reading is None and match["mixed"]:
            # What is before the fraction is another number, or a part of a name.
            place = match.start("mixed") if _is_name(text, match.start()) else match.end()
            continue
        begin, end = match.span()
        if following.word is not None and not _is_name(text, begin, strict=True):
            reading = (match.group() if reading is None else reading) + following.word
            end = following.end
        if (
            following.unit is not None
            and following.unit.signed
            and match["plain"]
            and _has_minus(text, begin)
        ):
            reading = MINUS + (text[begin:end] if reading is None else reading)
            begin -= 1
        if reading is not None:
            yield NumberSpan(begin, end, reading, max(end, following.end))
        place = end


def _reading(
    text: str, match: re.Match[str], following: Following, decimal_mark: str
) -> str | None:
    """Return the number as digits and a point; None if it stays as it is written."""
    begin, unit = match.start(), following.unit
    if match["vulgar"]:
        return _decimal(
            float(match["before"] or 0) + unicodedata.numeric(match["vulgar"]), decimal_mark
        )
    if _is_name(text, begin) and unit is None:
        return None
    if fraction := match["mixed"] or match["divided"]:
        if _is_name(text, begin, strict=True) or unit is None or not unit.divided:
            return None
        top, bottom = map(int, fraction.split("/"))
        if not 0 < top < bottom or gcd(top, bottom) > 1:
            return None
        return _decimal(int(match["whole"] or 0) + top / bottom, decimal_mark)
    return _plain_reading(text, match, unit, decimal_mark)


def _plain_reading(
    text: str, match: re.Match[str], unit: Unit | None, decimal_mark: str
) -> str | None:
    number = match["plain"]
    marks = _MARKS.findall(number)
    if not marks:
        return None
    parts = _MARKS.split(number)
    is_grouped = _is_grouped(parts)
    if len(marks) > 1:
        return _of_many_marks(parts, marks, unit, decimal_mark)
    mark = marks[0]
    certain = mark in _GROUPING
    if is_grouped and (certain or _groups(mark, unit, decimal_mark)):
        told = certain or unit is not None or len(parts[0]) == 1 or parts[1] == "000"
        return "".join(parts) if told and not _is_list(text, match) else None
    if mark == "," and (unit is not None or _is_decimal(text, match, parts, decimal_mark)):
        return _with_point(parts[0], parts[1], decimal_mark)
    return None


def _of_many_marks(
    parts: list[str], marks: list[str], unit: Unit | None, decimal_mark: str
) -> str | None:
    """Read 1.234.567,89 and 1,234,567; other numbers with many marks are versions or lists."""
    *groups, fraction = parts
    if marks[-1] != marks[0]:
        if len(set(marks[:-1])) == 1 and marks[-1] in ".," and _is_grouped(groups):
            return _with_point("".join(groups), fraction, decimal_mark)
        return None
    if len(set(marks)) > 1 or not _is_grouped(parts):
        return None
    told = unit is not None or (marks[0] != "." and len(parts[0]) < _GROUP)
    return "".join(parts) if told or marks[0] in _GROUPING else None


_GROUP = 3


def _is_grouped(parts: list[str]) -> bool:
    """Whether the parts are those of a number of thousands: 12 345 678."""
    first, *others = parts
    return (
        0 < len(first) <= _GROUP and first[0] != "0" and all(len(one) == _GROUP for one in others)
    )


def _groups(mark: str, unit: Unit | None, decimal_mark: str) -> bool:
    """Whether a mark before three digits groups thousands instead of beginning decimals."""
    return mark != decimal_mark or (unit is not None and unit.whole)


def _is_decimal(text: str, match: re.Match[str], parts: list[str], decimal_mark: str) -> bool:
    """Whether a comma without a unit begins decimals, and does not separate two numbers."""
    if parts[0] == "0" or decimal_mark == ",":
        return not _is_list(text, match)
    before = _is_factor(text, match.start())
    after = _DIMENSION.match(text, match.end()) is not None
    return before != after and len(parts[1]) < _GROUP


def _is_list(text: str, match: re.Match[str]) -> bool:
    """Whether a number is followed by another mark and digit, as in 640,800x600."""
    return _DIMENSION.match(text, match.end()) is not None and _is_factor(text, match.start())


def _is_factor(text: str, begin: int) -> bool:
    """Whether a number follows a times sign and a digit, as in M6x1,0."""
    before = text[max(0, begin - 4) : begin].rstrip(" ")
    return before[-1:] in tuple("xX×*") and _ENDS_NUMBER.search(before[:-1]) is not None


def _is_name(text: str, begin: int, *, strict: bool = False) -> bool:
    """Whether a number is a part of a name such as AB-1,000; `strict`: of AB1,000 alone."""
    before = text[begin - 1 : begin]
    if before.isalnum():
        return not _is_factor(text, begin)
    return not strict and before == "-" and text[begin - 2 : begin - 1].isalpha()


def _has_minus(text: str, begin: int) -> bool:
    return text[begin - 1 : begin] == "-" and (begin == 1 or text[begin - 2] in BEFORE_A_WORD)


def _with_point(whole: str, fraction: str, decimal_mark: str) -> str:
    if len(fraction) == _GROUP:
        # Never three digits, else the normal form could be read as thousands when it is read again.
        fraction = fraction.rstrip("0")
        is_read_again = decimal_mark == "," and _is_grouped([whole, fraction])
        fraction += "0" * is_read_again
    return f"{whole}.{fraction}" if fraction else whole


def _decimal(value: float, decimal_mark: str) -> str:
    whole, fraction = f"{value:.{_FRACTION_DIGITS}f}".split(".")
    return _with_point(whole, fraction.rstrip("0"), decimal_mark)
