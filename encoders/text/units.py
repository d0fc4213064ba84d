"""Units, from data/units.tsv: what a unit is called, and how it is written in several languages."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit and its traits.

    `whole`: nobody has a part of one, so "1.500 pages" are 1500. `divided`: it is counted in
    halves, quarters and so on, so "1/4 in" is 0.25. `signed`: it may be below zero.
    """

    name: str
    spellings: tuple[str, ...]  # the name is the first
    whole: bool
    divided: bool
    signed: bool


@cache
def units() -> dict[str, Unit]:
    """Return the unit of each spelling."""
    table = (files("kae.encoders") / "data" / "units.tsv").read_text(encoding="utf-8")
    of_spelling: dict[str, Unit] = {}
    for line in table.splitlines()[1:]:
        name, traits, others = line.split("\t")
        spellings = (name, *others.split())
        unit = Unit(name, spellings, *(trait in traits for trait in ("whole", "divided", "signed")))
        of_spelling.update(dict.fromkeys(spellings, unit))
    return of_spelling


@cache
def separable_units() -> frozenset[str]:
    """Return the spellings that may follow their number after a space.

    Most units of one letter must touch the number: "5 a" is rarely five amperes.
    """
    return frozenset(one for one in units() if len(one) > 1 or one in "mvwlgω")
