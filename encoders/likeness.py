"""Which words of a codebook a new word could be taken for.

"toner cartridges"   is spelled like "toner cartridge": the codebook has it
"cartrigde"          is one letter away from "cartridge"
"""

from collections import defaultdict
from collections.abc import Iterator

from kae.encoders.codebook import Codebook, Word
from kae.encoders.misspelling import is_slip
from kae.encoders.spelling import one_spelling


class Likeness:
    """The words of one codebook that have a slot, to compare others with."""

    def __init__(self, codebook: Codebook) -> None:
        by_spelling: defaultdict[str, list[Word]] = defaultdict(list)
        by_start: defaultdict[str, list[Word]] = defaultdict(list)
        for word in codebook.words:
            if word.index:
                by_spelling[one_spelling(word.word)].append(word)
                # A slip keeps the first letter.
                by_start[word.word[0]].append(word)
        self._by_spelling = dict(by_spelling)
        self._by_start = dict(by_start)

    def spelled_alike(self, form: str) -> list[Word]:
        """The words that are another spelling of a normalised form, or the form itself."""
        return self._by_spelling.get(one_spelling(form), [])

    def near(self, form: str) -> Iterator[Word]:
        """The words that are one letter away from a normalised form."""
        for word in self._by_start.get(form[0], ()):
            if abs(len(word.word) - len(form)) <= 1 and is_slip(word.word, form):
                yield word
