"""What no model may see before it is judged: items, words, and queries.

    cold items      one of ten, of the whole catalog; they arrive after the training
    removed words   taken from the dictionary and from every text that is learned from; bound later

Both are held out of one and the same training, for all encodings alike. So the queries that say a
removed word are judged apart, and each training serves every table. What is held out follows from
the ids and words alone; seeds change what is learned, not what is asked.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from kae.bench.retriever.inputs import JudgedCatalog, fit_words
from kae.bench.retriever.judged_queries import JudgedQuery
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.encoders.text.bundled_words import stop_words
from kae.encoders.text.normal_form import normalise
from kae.encoders.text.spelling import token_spelling_key

COLD_OF = 10
# A word that is removed and bound again is in so many items.
FEWEST_ITEMS, MOST_ITEMS = 5, 1_000
_SHORTEST_WORD = 3


@dataclass(frozen=True, slots=True)
class RemovedWord:
    """A word of the catalog, how texts write it, and the items whose titles say it.

    `category` is that of the dictionary. All that is written alike (text/spelling.py) is one word.
    """

    word: str
    forms: tuple[str, ...]
    category: int
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Holdout:
    """`warm` and `train` are what is learned from: without removed words."""

    warm: tuple[Item, ...]
    cold: tuple[Item, ...]
    train: tuple[JudgedQuery, ...]
    test: tuple[JudgedQuery, ...]  # those that say no removed word
    words: tuple[RemovedWord, ...]
    test_of_words: tuple[tuple[JudgedQuery, RemovedWord], ...]

    @property
    def cold_ids(self) -> frozenset[str]:
        return frozenset(item.id for item in self.cold)


def hold_out(given: JudgedCatalog, words: int) -> Holdout:
    """Hold out a tenth of the items, and at most so many words that held-back queries say."""
    removed = _removed_words(given, words)
    said = [(query, _first_said(query.text, removed)) for query in given.test]
    warm = [item for item in given.items if not is_cold(item.id)]
    return Holdout(
        warm=tuple(
            msgspec.structs.replace(item, title=without(item.title, removed)) for item in warm
        ),
        cold=tuple(item for item in given.items if is_cold(item.id)),
        train=tuple(
            JudgedQuery(without(query.text, removed), query.ratings) for query in given.train
        ),
        test=tuple(query for query, found in said if found is None),
        words=tuple(removed.values()),
        test_of_words=tuple((query, removed[found]) for query, found in said if found is not None),
    )


def is_cold(item: str) -> bool:
    return _number(f"cold {item}") % COLD_OF == 0


def without(text: str, removed: Collection[str]) -> str:
    """The text, normalised, without words of these spellings; as it is when it says none."""
    tokens = normalise(text).split()
    kept = [token for token in tokens if token_spelling_key(token) not in removed]
    return text if len(kept) == len(tokens) else " ".join(kept)


def codebook_without(given: JudgedCatalog, held: Holdout, seed: int) -> Codebook:
    """The words of the warm items alone; a codebook that was given only loses removed words."""
    if given.is_fitted:
        return fit_words(held.warm, given.topology, seed, held.train)
    return dictionary_without(given.codebook, {token_spelling_key(one.word) for one in held.words})


def dictionary_without(codebook: Codebook, removed: Collection[str]) -> Codebook:
    """The codebook without words that have a removed one as a part; slots stay as they are."""
    return Codebook(
        codebook.groups,
        codebook.fields,
        [word for word in codebook.words if _first_said(word.word, removed) is None],
        codebook.catalog_items,
        codebook.solo_slots,
        codebook.tagger,
    )


def _removed_words(given: JudgedCatalog, count: int) -> dict[str, RemovedWord]:
    """By spelling: words that a held-back query and the title of an item clicked for it say."""
    saying: defaultdict[str, list[str]] = defaultdict(list)
    forms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    spelled: dict[str, set[str]] = {}
    for item in given.items:
        tokens = normalise(item.title).split()
        spelled[item.id] = set(map(token_spelling_key, tokens))
        for token in tokens:
            forms[token_spelling_key(token)][token] += 1
        for spelling in spelled[item.id]:
            saying[spelling].append(item.id)
    category_of = {
        token_spelling_key(word.word): word.category
        for word in reversed(given.codebook.words)
        if word.index
    }
    asked = {
        spelling
        for query in given.test
        for spelling in map(token_spelling_key, normalise(query.text).split())
        if any(spelling in spelled.get(item, ()) for item in query.clicked)
    }
    chosen = sorted(
        (
            spelling
            for spelling in asked & category_of.keys()
            if FEWEST_ITEMS <= len(saying[spelling]) <= MOST_ITEMS and _is_plain(forms[spelling])
        ),
        key=_number,
    )[:count]
    return {
        spelling: RemovedWord(
            forms[spelling].most_common(1)[0][0],
            tuple(sorted(forms[spelling])),
            category_of[spelling],
            tuple(saying[spelling]),
        )
        for spelling in chosen
    }


def _is_plain(forms: Counter[str]) -> bool:
    """Whether it is a word that somebody may want to bind, and no number or article."""
    return all(
        form.isalpha() and len(form) >= _SHORTEST_WORD and form not in stop_words()
        for form in forms
    )


def _first_said(text: str, spellings: Collection[str]) -> str | None:
    """The first of these spellings that a text has."""
    keys = map(token_spelling_key, normalise(text).split())
    return next((key for key in keys if key in spellings), None)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
