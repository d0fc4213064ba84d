"""Kinds: stable codes for why an event cannot be indexed, most general part first.

A kind is the place in the event and what is wrong there, like `data.revision.range`. Programs and
filters use kinds; the wording of causes may change at any time.
"""

import re

import msgspec

TYPE_UNKNOWN = "type.unknown"
TYPE_VERSION = "type.version"  # another major version of a known event
ITEM_UNPLANNABLE = "item.unplannable"  # it decodes, but does not fit in a delta
ROW_INVALID = "row.invalid"  # a row of a feed that is no item
SIGNATURE_MISSING = "signature.missing"
SIGNATURE_MALFORMED = "signature.malformed"
SIGNATURE_UNKNOWN = "signature.unknown"  # by a key that the topology does not name
SIGNATURE_WRONG = "signature.wrong"  # it is the signature of another event or key
SIGNATURE_BY = "signature.by"  # the signer is not the one in data.by
SIGNATURE_AUDIENCE = "signature.audience"  # signed for another topic
TERM_REPLAYED = "term.replayed"  # signed, and carried out or superseded before
TERM_REFUSED = "term.refused"  # it decodes, but the registrar cannot carry it out
_PLACE = re.compile(r" - at .*`\$([^`]*)`$")
_MISSING = re.compile(r"^Object missing required field `(\w+)`")
_WHAT = (
    (re.compile(r", got `"), "type"),
    (re.compile(r"of length "), "length"),
    (re.compile(r"matching regex"), "pattern"),
    (re.compile(r"(<|>)=? |out of range"), "range"),
)


def of_malformed(error: Exception, part: str) -> str:
    """The kind of an error of decoding; `part` is `event` or `data`."""
    match error:
        case RecursionError():
            return "event.nesting"
        case UnicodeDecodeError():
            return "event.utf8"
        case msgspec.ValidationError():
            return _of_invalid(str(error), part)
    return "event.truncated" if "truncated" in str(error) else "event.malformed"


def within(kind: str, wanted: str) -> bool:
    """Whether a kind is `wanted` or is under it, as `data.title.type` is under `data`."""
    return kind == wanted or kind.startswith(wanted + ".")


def _of_invalid(message: str, part: str) -> str:
    place = _place(message)
    if missing := _MISSING.match(message):
        return ".".join([*_under(part), *place, missing[1], "missing"])
    # Attributes of the event have no prefix: specversion, not event.specversion.
    named = [*_under(part), *place] if place else [part]
    what = next((name for pattern, name in _WHAT if pattern.search(message)), "invalid")
    return ".".join([*named, what])


def _place(message: str) -> list[str]:
    """The names on the path to the place, without keys and indices."""
    found = _PLACE.search(message)
    return re.findall(r"\.(\w+)", re.sub(r"\[[^\]]*\]", "", found[1])) if found else []


def _under(part: str) -> list[str]:
    return [] if part == "event" else [part]
