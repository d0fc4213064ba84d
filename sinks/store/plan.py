"""Planning: what a batch of items, or a change of bindings, does to a shard. Pure.

Items are totally ordered by (revision, delete before upsert, content hash); what is not newer than
the state is stale. A plan counts as if events came one by one, so that the counts do not depend on
how the stream was cut into batches; only the last event of an item in a batch becomes an edit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

import msgspec
from pyroaring import BitMap

from kae.encoders.items import Encoded, Item
from kae.encoders.percolator import Percolator
from kae.encoders.selector import Compiled
from kae.sinks.log.edits import (
    Attach,
    BindSlot,
    Counts,
    Detach,
    DropItem,
    Head,
    ItemHead,
    PutItem,
    ShardEdit,
    encode_edit,
)

CONTENT_BYTES = 8
# Before any term is bound.
UNBOUND = Percolator({})
# A bitmap piece covers this many ordinals, 512 KiB at most, so that it fits a message.
ATTACH_SPAN = 1 << 22


class Upsert(msgspec.Struct, frozen=True, gc=False):
    """An item as the stream says it should be."""

    id: str
    revision: int
    content: bytes
    item: Item

    @property
    def order(self) -> tuple[int, int, bytes]:
        return (self.revision, 1, self.content)


class Delete(msgspec.Struct, frozen=True, gc=False):
    """An item that the stream says is gone."""

    id: str
    revision: int
    content: bytes

    @property
    def order(self) -> tuple[int, int, bytes]:
        return (self.revision, 0, self.content)


Change = Upsert | Delete
# A change with what its item encodes to; a delete has nothing to encode.
Prepared = tuple[Change, Encoded | None]


class Encodes(Protocol):
    """The keyword-aligned encoder."""

    def encode_all(self, items: Sequence[Item]) -> Sequence[Encoded]: ...


def prepare(changes: Sequence[Change], encoder: Encodes) -> list[Prepared]:
    """The part of planning that needs no state: it may run ahead, or anywhere else."""
    upserts = [change.item for change in changes if isinstance(change, Upsert)]
    encoded = iter(encoder.encode_all(upserts))
    return [(change, next(encoded) if isinstance(change, Upsert) else None) for change in changes]


class EditTooLarge(ValueError):
    """An edit that no message can carry."""


@dataclass(slots=True)
class DeltaPlan:
    """Edits for one delta, their counts, and what the store held before (spares a second read).

    `raw` are the edits' bytes, once `encode` has been called.
    """

    edits: list[ShardEdit] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    before: Mapping[str, Head] = field(default_factory=dict)
    raw: list[bytes] = field(default_factory=list)

    def encode(self, max_bytes: int) -> None:
        """Raises: EditTooLarge."""
        self.raw = [encode_edit(edit) for edit in self.edits]
        longest = max(map(len, self.raw), default=0)
        if longest > max_bytes:
            raise EditTooLarge(
                f"normalised and encoded it has {longest} bytes, limits.delta_bytes allows "
                f"{max_bytes}; shorten title or description"
            )


def content_hash(payload: bytes) -> bytes:
    """The digest that orders two events of one revision."""
    return blake2b(payload, digest_size=CONTENT_BYTES).digest()


def plan_items(
    prepared: Sequence[Prepared],
    before: Mapping[str, Head],
    next_ordinal: int,
    selectors: Percolator,
) -> DeltaPlan:
    """Plan a batch against the heads of the items that it names."""
    newest: dict[str, Prepared] = {}
    put = dropped = stale = 0
    for one in prepared:
        change = one[0]
        known = newest[change.id][0] if change.id in newest else before.get(change.id)
        if known is not None and change.order <= _order(known):
            stale += 1
            continue
        newest[change.id] = one
        if isinstance(change, Upsert):
            put += 1
        else:
            dropped += 1
    edits: list[ShardEdit] = []
    for change, encoded in newest.values():
        head = before.get(change.id)
        ordinal = head.ordinal if isinstance(head, ItemHead) else -1
        if encoded is None or not isinstance(change, Upsert):
            edits.append(DropItem(change.id, ordinal, change.revision, change.content))
            continue
        if ordinal < 0:
            ordinal, next_ordinal = next_ordinal, next_ordinal + 1
        edits.append(_put(change, ordinal, encoded, selectors))
    return DeltaPlan(edits, Counts(len(prepared), put, dropped, stale, 0), before)


def unplaced(change: Change, encoded: Encoded | None) -> Head:
    """The edit of a change that no shard has placed yet: no ordinal, no bindings."""
    if encoded is None or not isinstance(change, Upsert):
        return DropItem(change.id, -1, change.revision, change.content)
    return _put(change, 0, encoded, UNBOUND)


def _order(known: Change | Head) -> tuple[int, int, bytes]:
    """Where an item stands in the total order of its events."""
    if isinstance(known, Upsert | Delete):
        return known.order
    return (known.revision, 0 if isinstance(known, DropItem) else 1, known.content)


def _put(change: Upsert, ordinal: int, encoded: Encoded, selectors: Percolator) -> PutItem:
    attached = selectors.matching(change.id, encoded.text, encoded.attributes)
    return PutItem(
        change.id,
        ordinal,
        change.revision,
        change.content,
        encoded.identifier,
        change.item.popularity,
        tuple(attached),
        encoded.title,
        encoded.text,
        encoded.attributes,
    )


class Resolves(Protocol):
    """A shard that finds its items for a selector."""

    def resolve(self, selector: Compiled) -> BitMap: ...


def plan_bindings(
    wanted: Mapping[int, BindSlot],
    selectors: Mapping[int, Compiled],
    attached: Iterable[int],
    shard: Resolves,
) -> list[ShardEdit]:
    """The edits that take a shard from the bindings it has attached to those that are bound now."""
    has = set(attached)
    edits: list[ShardEdit] = [Detach(binding) for binding in sorted(has - wanted.keys())]
    for binding in sorted(wanted.keys() - has):
        edits.extend(_attach(wanted[binding], shard.resolve(selectors[binding])))
    return edits


def _attach(bound: BindSlot, members: BitMap) -> list[ShardEdit]:
    """One Attach, also when no item matches; several where the bitmap outgrows a message."""
    last = members.max() if members else 0
    pieces: list[ShardEdit] = []
    for first in range(0, last + 1, ATTACH_SPAN):
        piece = members & BitMap(range(first, first + ATTACH_SPAN))
        if piece or not pieces:
            pieces.append(
                Attach(
                    binding=bound.binding,
                    term=bound.term,
                    position=bound.position,
                    index=bound.index,
                    ordinals=piece.serialize(),
                    continued=bool(pieces),
                )
            )
    return pieces
