"""From a text to what the network reads: words, and their WordPiece tokens.

A word is a run of letters and digits, or one punctuation character; the network labels words. Its
pieces (WordPiece: the longest in the vocabulary, from the left) ignore case and accents; how the
word is written is kept beside them as its *shape*.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from kae.encoders.bounded import BoundedCache

# How much of a text is read: the network was trained on no more, and attention is quadratic.
CHARACTERS = 1000
PIECES = 256
SHAPES = 29
_NO_SHAPE = 28  # of the marks around the text
_BEGIN, _END, _UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
_WORD = re.compile(r"[^\W_]+|[^\w\s]|_")
# A longer word is unknown, as in the vocabulary's original tokenizer.
_WORD_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """A text as the network reads it; `pieces` and `shapes` have the same length.

    `words` are (begin, end) in the text; `firsts` is the index of each word's first piece.
    """

    words: tuple[tuple[int, int], ...]
    firsts: tuple[int, ...]
    pieces: tuple[int, ...]
    shapes: tuple[int, ...]


class PieceTokenizer:
    """WordPiece with a vocabulary in which pieces inside a word begin with ##."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._numbers = {piece: number for number, piece in enumerate(vocabulary)}
        self._begin, self._end, self.unknown = (
            self._numbers[mark] for mark in (_BEGIN, _END, _UNKNOWN)
        )
        self._of_word = BoundedCache[str, tuple[int, ...]](self._split)

    def tokenize(self, text: str) -> TokenizedText:
        """Tokenize the beginning of a text: at most CHARACTERS, and whole words up to PIECES."""
        words: list[tuple[int, int]] = []
        firsts: list[int] = []
        pieces, shapes = [self._begin], [_NO_SHAPE]
        for match in _WORD.finditer(text[:CHARACTERS]):
            word, (begin, end) = match.group(), match.span()
            of_word = self._of_word[word]
            if len(pieces) + len(of_word) >= PIECES:
                break
            shape = shape_of(word, bool(words) and words[-1][1] == begin)
            firsts.append(len(pieces))
            words.append((begin, end))
            pieces += of_word
            shapes += (shape + 1, *[shape] * (len(of_word) - 1))
        pieces.append(self._end)
        shapes.append(_NO_SHAPE)
        return TokenizedText(tuple(words), tuple(firsts), tuple(pieces), tuple(shapes))

    def _split(self, word: str) -> tuple[int, ...]:
        letters = _without_case_and_accents(word)
        if not letters or len(letters) > _WORD_CHARACTERS:
            return (self.unknown,)
        found: list[int] = []
        begin = 0
        while begin < len(letters):
            for end in range(len(letters), begin, -1):
                number = self._numbers.get(("##" if begin else "") + letters[begin:end])
                if number is not None:
                    found.append(number)
                    begin = end
                    break
            else:
                return (self.unknown,)
        return tuple(found)


def shape_of(word: str, touches: bool) -> int:
    """Encode how a word is written and whether it `touches` the one before; + 1: first piece."""
    if not word[0].isalnum():
        written = 0
    elif word.isdecimal():
        written = 1
    elif any(map(str.isdecimal, word)):
        written = 2
    elif word.isupper() and len(word) > 1:
        written = 3
    elif word[0].isupper():
        written = 4
    elif word.islower():
        written = 5
    else:
        written = 6
    return written * 4 + touches * 2


def _without_case_and_accents(word: str) -> str:
    letters = unicodedata.normalize("NFD", word.lower())
    return "".join([one for one in letters if unicodedata.category(one) != "Mn"])
