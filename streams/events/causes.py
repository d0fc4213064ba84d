"""The kinds of cause: stable codes, most general part first, that programs and filters go by.

A kind is the place in the event and what is wrong there: `data.revision.range`. The causes are for
people and may be worded otherwise at any time.
"""

import re

import msgspec

TYPE_UNKNOWN = "type.unknown"
TYPE_VERSION = "type.version"  # another major version of an event that is known
ITEM_UNPLANNABLE = "item.unplannable"  # it decodes, and no delta can carry it
ROW_INVALID = "row.invalid"  # a row of a feed that is no item
SIGNATURE_MISSING = "signature.missing"
SIGNATURE_MALFORMED = "signature.malformed"
SIGNATURE_UNKNOWN = "signature.unknown"  # by nobody whom the topology names
SIGNATURE_WRONG = "signature.wrong"  # another event was signed, or by another key
SIGNATURE_BY = "signature.by"  # by another than the one who asks
SIGNATURE_AUDIENCE = "signature.audience"  # for another topic
TERM_REPLAYED = "term.replayed"  # signed, and carried out or overtaken before
TERM_REFUSED = "term.refused"  # it decodes, and no reserved slot is free
_PLACE = re.compile(r" - at .*`\$([^`]*)`$")
_MISSING = re.compile(r"^Object missing required field `(\w+)`")
_WHAT = (
    (re.compile(r", got `"), "type"),
    (re.compile(r"of length "), "length"),
    (re.compile(r"matching regex"), "pattern"),
    (re.compile(r"(<|>)=? |out of range"), "range"),
)


def of_malformed(error: Exception, part: str) -> str:
    """The kind of what a decoder raised for the `event` or for its `data`."""
    match error:
        case RecursionError():
            return "event.nesting"
        case UnicodeDecodeError():
            return "event.utf8"
        case msgspec.ValidationError():
            return _of_invalid(str(error), part)
    return "event.truncated" if "truncated" in str(error) else "event.malformed"


def within(kind: str, wanted: str) -> bool:
    """Whether a kind is the one wanted or lies under it, as `data.title.type` under `data`."""
    return kind == wanted or kind.startswith(wanted + ".")


def _of_invalid(message: str, part: str) -> str:
    place = _place(message)
    if missing := _MISSING.match(message):
        return ".".join([*_under(part), *place, missing[1], "missing"])
    # A place outside of the data is named by itself: specversion, not event.specversion.
    named = [*_under(part), *place] if place else [part]
    what = next((name for pattern, name in _WHAT if pattern.search(message)), "invalid")
    return ".".join([*named, what])


def _place(message: str) -> list[str]:
    """The names on the way to the place; which key or which entry does not matter."""
    found = _PLACE.search(message)
    return re.findall(r"\.(\w+)", re.sub(r"\[[^\]]*\]", "", found[1])) if found else []


def _under(part: str) -> list[str]:
    return [] if part == "event" else [part]
