"""Signs that make a word: "C++", "C#", "A+" and ".NET" are not "c", "a" and "net".

    C++ F++ A+ A+++    pluses after a single letter; two of them after any word (Notepad++)
    C# F#              a hash after a single letter
    .NET ASP.NET       the point of ".net", where a word begins or after asp, ado and vb

Any other sign separates words, since words differ without it: "node.js" is "node js", "AT&T" is
"at t", and "USB-C" is "usb c".
"""

import re

# Bytes that never occur in UTF-8 stand for the signs until punctuation is removed, and POINT for
# the point until lone points are.
_PLUS, _HASH, _POINT = b"\xf8", b"\xf9", b"\xfa"
POINT = "\3"
SIGN_BYTES = {_PLUS[0]: ord("+"), _HASH[0]: ord("#"), _POINT[0]: ord(POINT)}
_LETTER = rb"[A-Za-z]"
# ASCII letters and digits, and the bytes of all other characters.
_WORD = rb"A-Za-z0-9\x80-\xf7"
# Each begins with its sign, so that a text is searched at the speed of memchr.
_PLUSES = re.compile(
    rb"\+(?<=%(l)s\+)(?:(?<![%(w)s]%(l)s\+)(?:\+{1,2}(?!\+)|(?![+%(w)s]))|\+(?!\+))"
    % {b"l": _LETTER, b"w": _WORD}
)
_HASHES = re.compile(rb"#(?<=%(l)s#)(?<![%(w)s]%(l)s#)(?![#%(w)s])" % {b"l": _LETTER, b"w": _WORD})
_NET = re.compile(
    rb"\.(?:(?<![.%(w)s]\.)|(?<=[Aa][SsDd][PpOo]\.)|(?<=[Vv][Bb]\.))[Nn][Ee][Tt](?![.%(w)s])"
    % {b"w": _WORD}
)


def keep_signs(text: bytes) -> bytes:
    """Replace the signs that make a word by their bytes."""
    if b"+" in text:
        text = _PLUSES.sub(lambda found: _PLUS * len(found[0]) + b" ", text)
    if b"#" in text:
        text = _HASHES.sub(_HASH + b" ", text)
    if b"." in text:
        text = _NET.sub(lambda found: b" " + _POINT + found[0][1:], text)
    return text
