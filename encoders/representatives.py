"""What each position would say of the items if every word had a slot of its own."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kae.encoders.assign import Encoder
from kae.encoders.attributes import Item
from kae.encoders.build import number, order_spellings
from kae.encoders.categories import CAPACITY_LIMIT, Group
from kae.encoders.codebook import Codebook, Word
from kae.encoders.occurrences import batches
from kae.encoders.presence import entropy
from kae.encoders.tagger.weights import AtHand

# The rarest words beyond what an index can number count as one: no position has so many slots.
_LAST = CAPACITY_LIMIT - 1


@dataclass(frozen=True, slots=True)
class Representatives:
    """Of each position: the words that could stand for items, and how much they say."""

    spellings: tuple[int, ...]
    information: tuple[float, ...]  # entropy of the representative, the empty one included, in bits


def represent(
    items: Iterable[Item],
    groups: Sequence[Group],
    fields: Mapping[str, str],
    counts: Mapping[tuple[int, str], int],
    dictionary: Mapping[str, int],
    tagger: AtHand | None = None,
) -> Representatives:
    """Encode every item with a codebook of all words; it is used here and never written."""
    widest = [Group(group.name, group.categories, CAPACITY_LIMIT, 1) for group in groups]
    spellings = order_spellings(counts, widest, dictionary)
    words: list[Word] = []
    for of_position in spellings:
        words += number(of_position[:_LAST])
        words += (replace(word, index=_LAST) for rest in of_position[_LAST:] for word in rest)
    encoder = Encoder(Codebook(widest, dict(fields), words, tagger=tagger))
    told: list[Counter[int]] = [Counter() for _ in groups]
    for batch in batches(items):
        for encoded in encoder.encode_all(batch):
            for position, index in enumerate(encoded.identifier):
                told[position][index] += 1
    return Representatives(
        tuple(map(len, spellings)),
        tuple(entropy(n / each.total() for n in each.values()) for each in told),
    )
