"""The samples that a retriever learns from, stage by stage.

    S0  word <-> slot                                        the language of identifiers
    S1  query, title <-> identifier, and -> product type     what texts and identifiers say
    S2  query <-> title; query's identifier -> item's        what people choose
    S3  query, its identifier, history -> item's identifier  what is asked for at serving time
        reserved slot -> a path through it                   so that a slot bound later is emitted

Nothing here knows where identifiers come from: those of a closed codebook give samples of the same
tasks, but for S0 and self-routing, which need words and reserved slots.
Source: OneRetrieval (arXiv 2606.13533), four-stage fine-tuning.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from kae.encoders.categories import CATEGORIES, POSITIONS, Identifier
from kae.encoders.text.normal_form import normalise

if TYPE_CHECKING:
    # Reading a topology loads this module, and is to load no numpy.
    from kae.encoders.codebook.codebook import Codebook

# One index for each position; ABSENT where nothing is said, 0 where "empty" is said.
Slots = tuple[int, int, int, int, int, int]
ABSENT = -1
NO_SLOTS: Slots = (ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT)

# Queries that are made up of the words of a title, and the most words of one.
ASKED_EACH, ASKED_WORDS = 3, 5

STAGES: dict[str, tuple[str, ...]] = {
    "S0": ("word_to_slot", "slot_to_word"),
    "S1": (
        "title_to_identifier",
        "identifier_to_title",
        "title_to_type",
        "query_to_identifier",
        "identifier_to_query",
        "query_to_type",
    ),
    "S2": ("query_to_title", "title_to_query", "identifier_to_identifier"),
    "S3": ("retrieve", "words_to_identifier", "self_routing"),
}
TASKS: tuple[str, ...] = tuple(task for tasks in STAGES.values() for task in tasks)
STAGE_OF: dict[str, str] = {task: stage for stage, tasks in STAGES.items() for task in tasks}


class Sample(msgspec.Struct, frozen=True, gc=False):
    """From a source to a target, which is either a text or slots.

    The source is the slots that are said, then the text, then the history: identifiers of items
    that a user chose before, the latest first.
    """

    task: str
    text: str = ""
    slots: Slots = NO_SLOTS
    history: tuple[Slots, ...] = ()
    target_text: str = ""
    target_slots: Slots = NO_SLOTS


class SampledItem(msgspec.Struct, frozen=True, gc=False):
    """What samples need of an item; `product_type` is empty where none is known.

    `bound` are the reserved slots whose terms lead to it: each is one more path.
    """

    id: str
    title: str
    identifier: Identifier
    product_type: str = ""
    bound: tuple[tuple[int, int], ...] = ()  # position, index

    def path_for(self, asked: Slots) -> Slots:
        """Its identifier, or its path through the first bound slot that a query names."""
        for position, index in self.bound:
            if asked[position] == index:
                return _with(self.identifier, position, index)
        return self.identifier


class Behaviour(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What was shown for a query, clicked and ordered, and chosen before, the latest first.

    All are item ids. An order counts once more than a click.
    """

    query: str
    shown: tuple[str, ...] = ()
    clicked: tuple[str, ...] = ()
    ordered: tuple[str, ...] = ()
    history: tuple[str, ...] = ()

    def chosen(self) -> tuple[str, ...]:
        """The clicked items, then the ordered ones, which are mostly clicked too."""
        return (*self.clicked, *self.ordered)


# From a query to its identifier; NO_SLOTS where there is no dictionary.
Identify = Callable[[str], Slots]
# How often people say a word, above 0; only ratios count.
WeightOf = Callable[[str], float]


def one_slot(position: int, index: int) -> Slots:
    """Only this slot is said."""
    return _with(NO_SLOTS, position, index)


def word_samples(codebook: "Codebook") -> Iterator[Sample]:
    """S0: every word that has a slot, with its category, and back."""
    for word in codebook.words:
        if word.index:
            slot = one_slot(codebook.position_of(word.category), word.index)
            text = f"{CATEGORIES[word.category]} {word.word}"
            yield Sample("word_to_slot", text=text, target_slots=slot)
            yield Sample("slot_to_word", slots=slot, target_text=text)


def item_samples(item: SampledItem, identify: Identify, weight_of: WeightOf) -> Iterator[Sample]:
    """S1 of an item: its title and identifier, both ways, and what kind of product it is.

    S3: some of its title's words, as a query for it might have them, with their own identifier.
    """
    title = normalise(item.title)
    if not title:
        return
    yield Sample("title_to_identifier", text=title, target_slots=item.identifier)
    yield Sample("identifier_to_title", slots=item.identifier, target_text=title)
    if item.product_type:
        yield Sample("title_to_type", text=title, target_text=item.product_type)
    for asked in made_up_queries(item.id, title, weight_of):
        yield Sample(
            "words_to_identifier",
            text=asked,
            slots=identify(asked),
            target_slots=item.identifier,
        )


def made_up_queries(item: str, title: str, weight_of: WeightOf) -> Iterator[str]:
    """Some words of a title at a time, in its order; always the same for an item.

    A word is drawn as often as its weight says.
    Source: Efraimidis and Spirakis, Weighted random sampling with a reservoir (2006).
    """
    words = normalise(title).split()
    weights = [weight_of(word) for word in words]
    chance = random.Random(item)
    for _ in range(ASKED_EACH if words else 0):
        some = chance.randint(1, min(len(words), ASKED_WORDS))
        drawn = [chance.random() ** (1 / weight) for weight in weights]
        places = sorted(range(len(words)), key=drawn.__getitem__)[-some:]
        yield " ".join(words[place] for place in sorted(places))


def behaviour_samples(
    row: Behaviour, found: Mapping[str, SampledItem], identify: Identify
) -> Iterator[Sample]:
    """S1 of a query, then S2 and S3 of each item that was chosen for it.

    Items that are not `found` give none.
    """
    query = normalise(row.query)
    chosen = [found[item] for item in row.chosen() if item in found]
    if not query or not chosen:
        return
    asked = identify(row.query)
    if asked != NO_SLOTS:
        yield Sample("query_to_identifier", text=query, target_slots=asked)
        yield Sample("identifier_to_query", slots=asked, target_text=query)
    kinds = [item.product_type for item in chosen if item.product_type]
    if kinds:
        # The most frequent one; of equally frequent ones the first.
        kind = max(dict.fromkeys(kinds), key=kinds.count)
        yield Sample("query_to_type", text=query, target_text=kind)
    history = tuple(found[item].identifier for item in row.history if item in found)
    for item in chosen:
        title = normalise(item.title)
        if title:
            yield Sample("query_to_title", text=query, target_text=title)
            yield Sample("title_to_query", text=title, target_text=query)
        path = item.path_for(asked)
        if asked != NO_SLOTS:
            yield Sample("identifier_to_identifier", slots=asked, target_slots=path)
        yield Sample("retrieve", text=query, slots=asked, history=history, target_slots=path)


def routing_samples(
    reserved: Sequence[range],
    identifiers: Sequence[Identifier],
    *,
    each: int,
    form: str,
    seed: int,
) -> Iterator[Sample]:
    """S3: a query that names a reserved slot leads to paths through it, `each` times a slot.

    The form "identity" repeats the query's identifier, as the paper does; "path" leads to the
    identifier of some item with that slot in its position, and every second query also has a slot
    of that item. The text is left out: it is a word that nobody knows yet.
    """
    for position, indices in enumerate(reserved):
        for index in indices:
            # Of its own for each slot, so that samples do not depend on who makes the others.
            chance = random.Random(f"{seed} {position} {index}")
            for number in range(each):
                asked = _with((0,) * POSITIONS, position, index)
                if form == "identity":
                    yield Sample("self_routing", slots=asked, target_slots=asked)
                    continue
                item = chance.choice(identifiers)
                others = [p for p, own in enumerate(item) if own and p != position]
                if number % 2 and others:
                    beside = chance.choice(others)
                    asked = _with(asked, beside, item[beside])
                path = _with(item, position, index)
                yield Sample("self_routing", slots=asked, target_slots=path)


def _with(slots: Sequence[int], position: int, index: int) -> Slots:
    a, b, c, d, e, f = (index if p == position else own for p, own in enumerate(slots))
    return (a, b, c, d, e, f)
