"""The tagger: a text in, the values that stand in it out.

The same text gives the same values, whatever it is tagged with, on any number of threads; values
are kept by the hash of the text, and a catalog that repeats its titles pays for each of them once.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from kae.encoders.bounded import Bounded
from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.tagger.exact import Floats
from kae.encoders.tagger.network import Network
from kae.encoders.tagger.pieces import CHARACTERS, Pieces, Reading
from kae.encoders.tagger.spans import spans_of, with_whole_borders
from kae.encoders.tagger.weights import PACKAGED, load_weights

# Texts are computed together until they have so many pieces: beyond it, nothing gets faster.
_BATCH_PIECES = 1024


class Tagged(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value in a text, as text[begin:end]; how sure the network is, 0 to 1."""

    category: int
    kind: str
    begin: int
    end: int
    score: float


class Tagger:
    """A network with its vocabulary; a call may take long and belongs in a thread of its own.

    Raises: TaggerInvalid if the folder is none.
    """

    def __init__(self, folder: Path = PACKAGED) -> None:
        weights = load_weights(folder)
        self.fingerprint = weights.fingerprint
        self._kinds = [(CATEGORY_INDEX[kind.category], kind.name) for kind in weights.kinds]
        # Those that it can say anything of.
        self.categories = frozenset(category for category, _ in self._kinds)
        self._pieces = Pieces(weights.pieces)
        self._network = Network(weights.tensors)
        self._known: Bounded[bytes, tuple[Tagged, ...]] = Bounded()

    def tag(self, texts: Sequence[str]) -> list[tuple[Tagged, ...]]:
        """For each text its values, in their order; read is the beginning of a text."""
        keys = [_key(text) for text in texts]
        tagged = {key: self._known[key] for key in keys if key in self._known}
        wanted = {key: text for key, text in zip(keys, texts, strict=True) if key not in tagged}
        readings = {key: self._pieces.read(text) for key, text in wanted.items()}
        for batch in _batches(readings):
            scored = self._network.score([readings[key] for key in batch])
            for key, scores in zip(batch, scored, strict=True):
                values = tuple(self._values(wanted[key], readings[key], scores))
                tagged[key] = self._known[key] = values
        return [tagged[key] for key in keys]

    def _values(self, text: str, reading: Reading, scores: Floats) -> Iterator[Tagged]:
        for span in spans_of(scores):
            begin, end = with_whole_borders(
                text, reading.words[span.begin][0], reading.words[span.end - 1][1]
            )
            if begin < end:
                category, kind = self._kinds[span.kind]
                yield Tagged(category, kind, begin, end, span.score)


def _key(text: str) -> bytes:
    return blake2b(text[:CHARACTERS].encode(errors="surrogatepass"), digest_size=16).digest()


def _batches(readings: dict[bytes, Reading]) -> Iterator[list[bytes]]:
    """The texts that have words, in batches of at most _BATCH_PIECES (but of one text at least)."""
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
