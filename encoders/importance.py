"""The importance table: which of an item's words of a group represents it.

    trust     what the item is and whose come first, then what else a field or the title says, what
              only its description mentions, and last what the tagger takes for a word
    telling   of words that are trusted alike, the one that fewest items of the catalog have;
              spellings of one word count together, whatever their categories, and misspellings
              with the word that is meant

Neither asks for groups or slots, so fitting can look at words as encoding will.
Source: OneRetrieval (arXiv 2606.13533), importance of words: subject first.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from kae.encoders.attributes import Attribute, Source
from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.found import DESCRIPTION_SCORE, TITLE_SCORE

SUBJECT, SAID, MENTIONED, GUESSED = range(4)

# What is sold, by its kind and its brand.
_SUBJECTS = frozenset((CATEGORY_INDEX["entity"], CATEGORY_INDEX["brand"]))


def trust(found: Attribute) -> int:
    """SUBJECT, SAID, MENTIONED or GUESSED; a smaller number is trusted more."""
    if found.source is Source.TAGGER:
        return GUESSED
    if found.score <= DESCRIPTION_SCORE:
        return MENTIONED
    return SUBJECT if found.category in _SUBJECTS and found.score >= TITLE_SCORE else SAID


def by_telling(words: Iterable[tuple[str, int]]) -> Mapping[str, int]:
    """The place of each spelling among all, from 0, given (spelling of a word, items that have it).

    Of spellings that as many items have, the longer one is first.
    """
    items: Counter[str] = Counter()
    for spelling, having in words:
        items[spelling] += having
    ordered = sorted(items, key=lambda spelling: (items[spelling], -len(spelling), spelling))
    return {spelling: place for place, spelling in enumerate(ordered)}
