"""Selectors: the items of a term, by phrase, by id, or by an expression over attributes.

where: brand = "HP" and not (color = "black" or entity != "toner cartridge")
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import cast

import lark
import msgspec

from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX
from kae.encoders.items import Attribute
from kae.encoders.text.measures import canonical
from kae.encoders.text.normal_form import contains_phrase
from kae.encoders.text.search_form import NEWEST_FORM, SearchForm

EXPRESSION_CHARACTERS = 4096
NESTING = 32
_GRAMMAR = r"""
    ?start: either
    ?either: both (_OR both)*
    ?both: operand (_AND operand)*
    ?operand: CATEGORY "=" WORD     -> equals
            | CATEGORY "!=" WORD    -> differs
            | _NOT operand          -> negated
            | "(" either ")"
    _AND.2: /and\b/i
    _OR.2: /or\b/i
    _NOT.2: /not\b/i
    CATEGORY: /\w+/
    WORD: /"(?:[^"\\]|\\.)*"/
    %ignore /\s+/
"""
_READABLE = {
    "CATEGORY": "a category",
    "WORD": 'a word in double quotes, like "black"',
    "EQUAL": "'='",
    "__ANON_0": "'!='",
    "LPAR": "'('",
    "RPAR": "')'",
    "_AND": "'and'",
    "_OR": "'or'",
    "_NOT": "'not'",
    "$END": "the end",
}


class SelectorInvalid(ValueError):
    """A selector that cannot be parsed; the message says where and what to write instead."""


class Selector(msgspec.Struct, frozen=True, array_like=True):
    """The items that meet every set condition of `match`, `items` and `where`; none if none is set.

    Regardless of these, items of `plus` and `pins` are selected and items of `minus` are not. Where
    the items of the term are ranked, `pins` come first, in this order.
    """

    match: str = ""
    items: tuple[str, ...] = ()
    where: str = ""
    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()

    def adjusted(
        self, add: Iterable[str], exclude: Iterable[str], pins: tuple[str, ...] | None
    ) -> "Selector":
        """Return it with items added or excluded, and new pins if given; the latest change wins."""
        pinned = self.pins if pins is None else pins
        gone = frozenset(exclude)
        wanted = (frozenset(self.plus) | frozenset(add)) - gone
        unwanted = (frozenset(self.minus) - frozenset(add) - frozenset(pins or ())) | gone
        return Selector(
            self.match,
            self.items,
            self.where,
            tuple(sorted(wanted)),
            tuple(sorted(unwanted)),
            tuple(pin for pin in pinned if pin not in gone),
        )


@dataclass(frozen=True, slots=True)
class Equals:
    category: int
    word: str


@dataclass(frozen=True, slots=True)
class Not:
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class And:
    operands: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Or:
    operands: tuple["Expression", ...]


Expression = Equals | Not | And | Or


@dataclass(frozen=True, slots=True)
class CompiledSelector:
    """A parsed selector, in the parts that a postings index needs."""

    phrase: str  # in the search form; "" if not set
    items: frozenset[str]
    where: Expression | None
    plus: frozenset[str]
    minus: frozenset[str]

    @property
    def finds(self) -> bool:
        """Whether any condition is set."""
        return bool(self.phrase or self.items or self.where)

    def matches(self, item_id: str, text: str, attributes: Sequence[Attribute]) -> bool:
        """Whether the item is selected; a pure function of these values."""
        if item_id in self.plus:
            return True
        if item_id in self.minus or not self.finds:
            return False
        if self.items and item_id not in self.items:
            return False
        if self.phrase and not contains_phrase(text, self.phrase):
            return False
        return self.where is None or holds(
            self.where, frozenset((found.category, found.word) for found in attributes)
        )


def compile_selector(selector: Selector, form: SearchForm = NEWEST_FORM) -> CompiledSelector:
    """Parse a selector once, for the items of one codebook.

    Raises: SelectorInvalid.
    """
    phrase = form.normalise(selector.match)
    if selector.match and not phrase:
        raise SelectorInvalid(
            f"match {selector.match!r}: no letter or digit; give words that a title contains"
        )
    where = parse_where(selector.where, form) if selector.where.strip() else None
    plus, minus = frozenset(selector.plus + selector.pins), frozenset(selector.minus)
    if plus & minus:
        raise SelectorInvalid(
            f"items: {min(plus & minus)!r} is both wanted (plus, pins) and excluded (minus); "
            "leave it out of one"
        )
    return CompiledSelector(phrase, frozenset(selector.items), where, plus, minus)


def parse_where(expression: str, form: SearchForm = NEWEST_FORM) -> Expression:
    """Parse a `where` expression.

    Raises: SelectorInvalid.
    """
    if len(expression) > EXPRESSION_CHARACTERS:
        raise SelectorInvalid(
            f"where: {len(expression)} characters; write at most {EXPRESSION_CHARACTERS}, "
            "or name the items"
        )
    try:
        parsed: Expression = _parser(form).parse(expression)  # type: ignore[assignment]
    except lark.exceptions.UnexpectedInput as error:
        raise SelectorInvalid(_explain(expression, error)) from None
    return parsed


def holds(expression: Expression, words: frozenset[tuple[int, str]]) -> bool:
    """Whether an item's (category, word) pairs satisfy an expression."""
    match expression:
        case Equals(category, word):
            return (category, word) in words
        case Not(operand):
            return not holds(operand, words)
        case And(operands):
            return all(holds(operand, words) for operand in operands)
        case Or(operands):
            return any(holds(operand, words) for operand in operands)


class _Builder(lark.Transformer[lark.Token, Expression]):
    """Builds the expression while lark parses: bottom-up, without recursion."""

    def __init__(self, form: SearchForm) -> None:
        super().__init__()
        self._form = form

    def equals(self, parts: list[lark.Token]) -> Expression:
        category, quoted = parts
        index = CATEGORY_INDEX.get(category.lower())
        if index is None:
            raise SelectorInvalid(
                f"where: {str(category)!r} at character {_place(category)} is no category; "
                f"write one of {', '.join(CATEGORIES)}"
            )
        word = canonical(self._form.normalise(re.sub(r"\\(.)", r"\1", quoted[1:-1])))
        if not word:
            raise SelectorInvalid(
                f"where: {quoted!s} at character {_place(quoted)} has no letter or digit; "
                f'write a word, like {category} = "black"'
            )
        return Equals(index, word)

    def differs(self, parts: list[lark.Token]) -> Expression:
        return Not(self.equals(parts))

    def negated(self, parts: list[Expression]) -> Expression:
        return _bounded(Not(parts[0]))

    def both(self, parts: list[Expression]) -> Expression:
        return _bounded(And(tuple(parts)))

    def either(self, parts: list[Expression]) -> Expression:
        return _bounded(Or(tuple(parts)))


@cache
def _parser(form: SearchForm) -> lark.Lark:
    return lark.Lark(_GRAMMAR, parser="lalr", transformer=_Builder(form))


def _bounded(expression: Expression) -> Expression:
    """Check that evaluating the expression does not recurse too deeply."""
    level: tuple[Expression, ...] = (expression,)
    for _ in range(NESTING):
        level = tuple(below for above in level for below in _operands(above))
        if not level:
            return expression
    raise SelectorInvalid(
        f"where: nested more than {NESTING} deep; write fewer parentheses and nots"
    )


def _operands(expression: Expression) -> tuple[Expression, ...]:
    match expression:
        case Equals():
            return ()
        case Not(operand):
            return (operand,)
        case And(operands) | Or(operands):
            return operands


def _place(token: lark.Token) -> int:
    return 1 if token.start_pos is None else token.start_pos + 1


def _explain(expression: str, error: lark.exceptions.UnexpectedInput) -> str:
    found, wanted = "the end", set()
    place = len(expression) + 1
    if isinstance(error, lark.exceptions.UnexpectedCharacters):
        place = cast("int", error.pos_in_stream) + 1
        found, wanted = repr(error.char), set(error.allowed or ())
    elif isinstance(error, lark.exceptions.UnexpectedToken):
        wanted = set(error.accepts or error.expected)
        if error.token.type != "$END":
            place, found = _place(error.token), repr(str(error.token))
    expected = ", ".join(_READABLE[name] for name in _READABLE if name in wanted)
    return (
        f"where: {found} at character {place}; expected one of {expected}. "
        f'Write category = "word", !=, and, or, not, parentheses; '
        f"the categories are {', '.join(CATEGORIES)}"
    )
