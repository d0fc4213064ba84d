"""Make icecat.csv: queries as shoppers type them, rated by the items' structured fields.

    python -m kae.bench.judged.make

A query asks for facts: a kind, a brand, a colour, a specification, a model. An item's rating says
how many of them its *fields* have: 3 all, 2 the kind and half of the rest, 1 the kind (or half)
alone, 0 otherwise. Titles and descriptions are never looked at for a rating. Of twelve queries one
is then misspelt by one edit, one put into or out of the plural, one written in the other English.

Which items are judged is decided as judges of a shop do it, by a pool: what BM25 finds first, and
items drawn from those that the fields say are right. A query is kept when BM25's part of the pool
has FEWEST_RIGHT right ones, so that BM25 is about as good as it is on queries that people judge.

What this is not: people. Kinds are told by fields, which are missing for many items, so right items
are rated 0; nobody weighs what a shopper meant; the pool leans to BM25, so it flatters BM25. It can
choose between general methods. It is no evidence of how good search is.
"""

import csv
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kae.bench.bm25_peer import Bm25Peer
from kae.bench.judged.kinds import KINDS, kinds_of
from kae.bench.judgements import HEADER
from kae.deploy.demo import CATALOG
from kae.encoders.items import Item
from kae.streams.catalog.rows import read_items
from kae.streams.topology.types import Topology

FILE = Path(__file__).parent / "icecat.csv"
SEED = 20260613
QUERIES_A_SHAPE = 30
POOLED = 30
DRAWN = 8
FEWEST_RIGHT = 4

_COLOURS = ("product_colour", "printing_colours", "cable_colour")
_SPECIFICATIONS = (
    "connectivity_technology",
    "print_technology",
    "battery_technology",
    "device_interface",
    "internal_memory_type",
    "hd_type",
    "material",
    "finish_type",
    "connector_2",
    "cable_type",
    "compatible_memory_cards",
    "case_type",
    "type",
    "product_type",
    "memory_form_factor",
    "ups_topology",
    "headset_type",
    "keyboard_layout",
    "processor_socket",
)
_USES = ("brand_compatibility", "purpose", "suitable_for", "target_audience", "component_for")
_MODELS = (
    "oem_code",
    "processor_model",
    "processor_family",
    "product_family",
    "processor_codename",
)
_OTHER_ENGLISH = {"grey": "gray", "colour": "color", "fiber": "fibre", "fibre": "fiber"}

# A fact: ("kind", number), or the name of a set of fields with one word of their values.
Fact = tuple[str, int | str]
_SHAPES: tuple[tuple[str, ...], ...] = (
    ("kind",),
    ("kind", "brand"),
    ("colour", "kind"),
    ("specification", "kind"),
    ("kind", "use"),
    ("model",),
    ("brand", "model"),
    ("brand", "colour", "kind"),
    ("specification", "kind", "brand"),
    ("brand",),
)


@dataclass(frozen=True, slots=True)
class Known:
    """An item, and the facts that its fields give."""

    item: Item
    facts: frozenset[Fact]


def main() -> None:
    items = list(read_items(CATALOG, Topology.load().catalog))
    known = [Known(item, frozenset(_facts(item))) for item in items]
    rows = list(_judged(known, Bm25Peer(items), random.Random(SEED)))
    with FILE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(rows)


def _facts(item: Item) -> Iterator[Fact]:
    fields = {name: value for name, value in item.fields.items() if isinstance(value, str)}
    yield from (("kind", kind) for kind in kinds_of(fields))
    if "brand" in fields:
        yield "brand", fields["brand"].lower()
    for name, columns in (
        ("colour", _COLOURS),
        ("specification", _SPECIFICATIONS),
        ("use", _USES),
        ("model", _MODELS),
    ):
        for column in columns:
            for part in fields.get(column, "").split(","):
                word = " ".join(part.lower().split())
                if 2 <= len(word) <= 24 and word.count(" ") < 3 and word not in ("true", "false"):
                    yield name, word


def _judged(
    known: Sequence[Known], peer: Bm25Peer, rng: random.Random
) -> Iterator[tuple[str, str, int]]:
    by_id = {one.item.id: one for one in known}
    taken: set[str] = set()
    for shape in _SHAPES:
        made = 0
        while made < QUERIES_A_SHAPE:
            asked = _asked(rng.choice(known), shape, rng)
            if not asked:
                continue
            query = _spelled(" ".join(_word(fact, rng) for fact in asked), rng)
            right = [one.item.id for one in known if set(asked) <= one.facts]
            found = peer.rank(query, POOLED)
            if query in taken or len(set(right).intersection(found)) < FEWEST_RIGHT:
                continue
            taken.add(query)
            made += 1
            pool = found + rng.sample(right, min(DRAWN, len(right)))
            for item in sorted(set(pool)):
                yield query, item, _rating(asked, by_id[item])


def _asked(one: Known, shape: Sequence[str], rng: random.Random) -> list[Fact]:
    """A fact of each wanted name that this item has; none if it lacks one."""
    named: Mapping[str, list[Fact]] = {
        name: sorted(fact for fact in one.facts if fact[0] == name) for name in shape
    }
    return [rng.choice(named[name]) for name in shape] if all(named.values()) else []


def _word(fact: Fact, rng: random.Random) -> str:
    if isinstance(fact[1], str):
        return fact[1]
    return rng.choice(KINDS[fact[1]].words)


def _spelled(query: str, rng: random.Random) -> str:
    """As it is, nine times of twelve; else with one edit, in the plural, in the other English."""
    way = rng.randrange(12)
    if way == 0 and len(query) > 5:
        place = rng.randrange(1, len(query) - 1)
        return rng.choice(
            (
                query[:place] + query[place + 1 :],
                query[:place] + query[place] + query[place:],
                query[:place] + query[place + 1] + query[place] + query[place + 2 :],
            )
        )
    if way == 1 and query[-1].isalpha():
        return query.removesuffix("s") if query.endswith("s") else f"{query}s"
    if way == 2:
        return " ".join(_OTHER_ENGLISH.get(token, token) for token in query.split())
    return query


def _rating(asked: Sequence[Fact], one: Known) -> int:
    has = [fact in one.facts for fact in asked]
    if all(has):
        return 3
    kinds = [held for fact, held in zip(asked, has, strict=True) if fact[0] == "kind"]
    if kinds and not all(kinds):
        return 0
    if len(asked) > 2 and 2 * sum(has) > len(asked):
        return 2
    return 1 if any(has) else 0


if __name__ == "__main__":
    main()
