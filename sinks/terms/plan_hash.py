"""The hash of a plan: what a term would be, and the items that it would be bound to.

docs/formats.md has its bytes.
"""

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from kae.sinks.log.term_changes import Bind

PLAN_FORMAT = 1
HASH_BYTES = 16


class _Planned(msgspec.Struct, frozen=True, array_like=True):
    format: int
    term: str
    aliases: tuple[str, ...]
    category: int
    match: str
    items: list[str]
    where: str
    plus: list[str]
    minus: list[str]
    pins: tuple[str, ...]
    selected: list[str]


def plan_hash(bind: Bind, selected: Iterable[str]) -> str:
    """The same for who proposes and who approves: when and by whom it is bound is no part of it.

    `selected` are the ids of the items that the selector matches, in any order.
    """
    selector = bind.selector
    planned = _Planned(
        PLAN_FORMAT,
        bind.term,
        bind.aliases,
        bind.category,
        selector.match,
        sorted(selector.items),
        selector.where,
        sorted(selector.plus),
        sorted(selector.minus),
        selector.pins,
        sorted(selected),
    )
    return blake2b(msgspec.msgpack.encode(planned), digest_size=HASH_BYTES).hexdigest()
