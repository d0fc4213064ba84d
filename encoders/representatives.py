"""What each position would say of the items if every word had a slot of its own."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kae.encoders.assign import Encoder
from kae.encoders.attributes import Item
from kae.encoders.build import number, order_spellings
from kae.encoders.categories import CAPACITY_LIMIT, Group
from kae.encoders.codebook import Codebook
from kae.encoders.occurrences import batches
from kae.encoders.presence import entropy


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
) -> Representatives:
    """Encode every item with a codebook that has no end; it is used here and never written."""
    endless = [Group(group.name, group.categories, CAPACITY_LIMIT, 1) for group in groups]
    spellings = order_spellings(counts, endless, dictionary)
    words = [word for of_position in spellings for word in number(of_position)]
    encoder = Encoder(Codebook(endless, dict(fields), words))
    told: list[Counter[int]] = [Counter() for _ in groups]
    for batch in batches(items):
        for encoded in encoder.encode_all(batch):
            for position, index in enumerate(encoded.identifier):
                told[position][index] += 1
    return Representatives(
        tuple(map(len, spellings)),
        tuple(entropy(n / each.total() for n in each.values()) for each in told),
    )
