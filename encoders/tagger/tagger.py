"""The tagger: finds the values in a text.

The same text gives the same values in any batch, on any number of threads. Values are cached by the
hash of the text, so a catalog that repeats its titles pays for each of them once.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from kae.encoders.bounded import BoundedCache
from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.tagger.exact import Float32Array
from kae.encoders.tagger.network import Network
from kae.encoders.tagger.pieces import CHARACTERS, PieceTokenizer, TokenizedText
from kae.encoders.tagger.spans import spans_of, trim_borders, widen_to_numbers
from kae.encoders.tagger.weights import PACKAGED, load_weights
from kae.encoders.text.numbers import number_spans

# Texts share a batch up to so many pieces; larger batches are not faster.
_BATCH_PIECES = 1024


class Tagged(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value in a text, as text[begin:end]; `score` is the network's confidence, 0 to 1."""

    category: int
    kind: str
    begin: int
    end: int
    score: float


class Tagger:
    """A network with its vocabulary; `tag` may take long and belongs in a thread.

    Raises: TaggerInvalid if the folder is not a tagger.
    """

    def __init__(self, folder: Path = PACKAGED, decimal_mark: str = ".") -> None:
        """`decimal_mark`: how numbers are read that leave it open, "." or ","."""
        weights = load_weights(folder)
        self.fingerprint = weights.fingerprint
        self._decimal_mark = decimal_mark
        self._kinds = [(CATEGORY_INDEX[kind.category], kind.name) for kind in weights.kinds]
        # The categories that it can find.
        self.categories = frozenset(category for category, _ in self._kinds)
        self._pieces = PieceTokenizer(weights.pieces)
        self._network = Network(weights.tensors)
        self._known: BoundedCache[bytes, tuple[Tagged, ...]] = BoundedCache()

    def tag(self, texts: Sequence[str]) -> list[tuple[Tagged, ...]]:
        """Return the values of each text in order; only the beginning of a text is read."""
        keys = [_key(text) for text in texts]
        tagged = {key: self._known[key] for key in keys if key in self._known}
        wanted = {key: text for key, text in zip(keys, texts, strict=True) if key not in tagged}
        readings = {key: self._pieces.tokenize(text) for key, text in wanted.items()}
        for batch in _batches(readings):
            scored = self._network.score([readings[key] for key in batch])
            for key, scores in zip(batch, scored, strict=True):
                values = tuple(self._values(wanted[key], readings[key], scores))
                tagged[key] = self._known[key] = values
        return [tagged[key] for key in keys]

    def _values(self, text: str, reading: TokenizedText, scores: Float32Array) -> Iterator[Tagged]:
        numbers = number_spans(text[:CHARACTERS], self._decimal_mark)
        for span in spans_of(scores):
            begin, end = trim_borders(
                text, reading.words[span.begin][0], reading.words[span.end - 1][1]
            )
            begin, end = widen_to_numbers(numbers, begin, end)
            if begin < end:
                category, kind = self._kinds[span.kind]
                yield Tagged(category, kind, begin, end, span.score)


def _key(text: str) -> bytes:
    return blake2b(text[:CHARACTERS].encode(errors="surrogatepass"), digest_size=16).digest()


def _batches(readings: dict[bytes, TokenizedText]) -> Iterator[list[bytes]]:
    """Yield batches of at most _BATCH_PIECES, but of at least one text."""
    batch: list[bytes] = []
    pieces = 0
    for key, reading in readings.items():
        if batch and pieces + len(reading.pieces) > _BATCH_PIECES:
            yield batch
            batch, pieces = [], 0
        batch.append(key)
        pieces += len(reading.pieces)
    if batch:
        yield batch
