"""The text of a feed's HTML: without tags, styles and scripts, its entities decoded.

    <p>Glazed by hand</p><br/>Nice&nbsp;shape     Glazed by hand Nice shape
    Black &amp;amp; Decker &#8211; <b>Pro</b>file     Black & Decker – Profile
    a < b, <3, R&D, AT&T, 5 <10 mm                as it stands

What begins with the name of an element is a tag, and what ends with a semicolon an entity; any
other "<" or "&" is text. Feeds escape once or several times, so that is undone until nothing
changes, three times at most. Only texts that contain "<" or "&" are parsed, by Lexbor.
"""

import re
from collections.abc import Iterable

import msgspec
from selectolax.lexbor import LexborHTMLParser

from kae.encoders.items import Item

_BLOCKS = (
    "address|article|aside|audio|blockquote|body|br|button|caption|center|col|colgroup|dd|details|"
    "dialog|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|"
    "hr|html|iframe|img|input|legend|li|link|main|menu|meta|nav|noscript|object|ol|optgroup|option|"
    "p|param|pre|section|select|source|summary|table|tbody|td|textarea|tfoot|th|thead|title|tr|ul|"
    "video"
)
_INLINES = (
    "a|abbr|acronym|area|b|base|bdi|bdo|big|cite|code|data|del|dfn|em|embed|font|i|ins|kbd|label|"
    "map|mark|nobr|o:p|path|picture|q|rp|rt|ruby|s|samp|small|span|strike|strong|sub|sup|time|tt|u|"
    "var|wbr"
)
_UNREAD = ("script", "style", "svg", "template")
# A tag ends before the next one, or is cut off after an attribute.
_TAG_END = r"(?=[\s/>]|$)(?=[^<]*>|[^<>]*=)"
# Any "<": of a tag that separates words, of another tag, of what is not read, or of text.
_LESS_THAN = re.compile(
    rf"<(?:/?(?:(?P<block>{_BLOCKS})|(?P<inline>{_INLINES})){_TAG_END}"
    rf"|(?P<unread>/?(?:{'|'.join(_UNREAD)})\b|!--|!doctype\b)|)",
    re.IGNORECASE,
)
# Stands for every tag whose content is read. It has no content, so nothing is ever nested: a
# parser's time grows with the square of the depth.
_EMPTY_TAG = "<wbr"
_AMPERSAND = re.compile(
    r"&(?!#\d{1,7};?|#x[\da-f]{1,6};?|[a-z][a-z\d]{1,31};|(?:nbsp|amp|quot|lt|gt)\b)",
    re.IGNORECASE,
)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_ESCAPED = 3
_LINE_BREAKS = re.compile(r"\s*\n\s*")


def plain_items(items: Iterable[Item]) -> list[Item]:
    """Return the items with the text alone of their titles and descriptions.

    Fields are read value by value (text/values.py).
    """
    return [_plain_item(item) for item in items]


def plain_text(text: str) -> str:
    """Return the text of HTML, a line for each block; a text without markup as it is."""
    for _ in range(_ESCAPED):
        if "<" not in text and "&" not in text:
            break
        found = _parsed(text)
        if found == text:
            break
        text = found
    return text


def _parsed(text: str) -> str:
    inside = _CDATA.sub(r"\1", text)
    escaped, lone = _AMPERSAND.subn("&amp;", inside)
    marked = _LESS_THAN.sub(_marked, escaped)
    if "<" not in marked and lone == inside.count("&"):
        return inside
    # A lone surrogate has no UTF-8, and NUL ends what is parsed.
    tree = LexborHTMLParser(marked.encode(errors="replace").replace(b"\0", b" "))
    tree.strip_tags(list(_UNREAD))
    found = tree.root.text(deep=True, separator="") if tree.root else ""
    return found if found == text else _LINE_BREAKS.sub("\n", found).strip()


def _marked(found: re.Match[str]) -> str:
    if found["unread"]:
        return found[0]
    if found["block"]:
        return "\n" + _EMPTY_TAG
    return _EMPTY_TAG if found["inline"] else "&lt;"


def _plain_item(item: Item) -> Item:
    title, description = item.title, item.description
    if "<" in title or "&" in title:
        title = " ".join(plain_text(title).split())
    if "<" in description or "&" in description:
        description = plain_text(description)
    if title is item.title and description is item.description:
        return item
    return msgspec.structs.replace(item, title=title, description=description)
