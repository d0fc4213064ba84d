"""Plans what a batch of items, or changed bindings, do to a shard; pure functions.

Items are totally ordered by (revision, delete before upsert, content hash); what is not newer than
the state is stale. Counts are those of events that come one by one, so they do not depend on how
the stream is cut into batches; only the last event of an item in a batch becomes an edit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

import msgspec
from pyroaring import BitMap

from kae.encoders.items import Encoded, Item
from kae.encoders.percolator import Percolator
from kae.encoders.selector import CompiledSelector
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
# The selectors of a shard before any term is bound.
NO_SELECTORS = Percolator({})
# The ordinals that one bitmap covers: at most 512 KiB, so that it fits a message.
ATTACH_SPAN = 1 << 22


class Upsert(msgspec.Struct, frozen=True, gc=False):
    """An item as an event has it."""

    id: str
    revision: int
    content: bytes
    item: Item

    @property
    def order(self) -> tuple[int, int, bytes]:
        return (self.revision, 1, self.content)


class Delete(msgspec.Struct, frozen=True, gc=False):
    """An item that an event deletes."""

    id: str
    revision: int
    content: bytes

    @property
    def order(self) -> tuple[int, int, bytes]:
        return (self.revision, 0, self.content)


Change = Upsert | Delete
# A change and its encoded item; None for a delete.
Prepared = tuple[Change, Encoded | None]


class ItemEncoder(Protocol):
    """The keyword-aligned encoder."""

    def encode_all(self, items: Sequence[Item]) -> Sequence[Encoded]: ...


def prepare(changes: Sequence[Change], encoder: ItemEncoder) -> list[Prepared]:
    """Encode the items of changes: the part of planning that needs no state of a shard."""
    upserts = [change.item for change in changes if isinstance(change, Upsert)]
    encoded = iter(encoder.encode_all(upserts))
    return [(change, next(encoded) if isinstance(change, Upsert) else None) for change in changes]


class EditTooLarge(ValueError):
    """An edit that does not fit a message."""


@dataclass(slots=True)
class DeltaPlan:
    """The edits and counts of one delta; `before` are the former heads of its items.

    `raw` are the encoded edits, once `encode` has been called.
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


def payload_hash(payload: bytes) -> bytes:
    """The digest that orders two events of one revision."""
    return blake2b(payload, digest_size=CONTENT_BYTES).digest()


def plan_items(
    prepared: Sequence[Prepared],
    before: Mapping[str, Head],
    next_ordinal: int,
    selectors: Percolator,
) -> DeltaPlan:
    """Plan a batch of items; `before` are the heads of those that the shard knows."""
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


def edit_without_ordinal(change: Change, encoded: Encoded | None) -> Head:
    """The edit of a change before a shard gives it an ordinal and bindings."""
    if encoded is None or not isinstance(change, Upsert):
        return DropItem(change.id, -1, change.revision, change.content)
    return _put(change, 0, encoded, NO_SELECTORS)


def _order(known: Change | Head) -> tuple[int, int, bytes]:
    """The place of an item in the total order of its events."""
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


class SelectorResolver(Protocol):
    """A shard that finds the items of a selector."""

    def resolve(self, selector: CompiledSelector) -> BitMap: ...


def plan_bindings(
    wanted: Mapping[int, BindSlot],
    selectors: Mapping[int, CompiledSelector],
    attached: Iterable[int],
    shard: SelectorResolver,
) -> list[ShardEdit]:
    """The edits that attach what is bound now and detach what no longer is."""
    has = set(attached)
    edits: list[ShardEdit] = [Detach(binding) for binding in sorted(has - wanted.keys())]
    for binding in sorted(wanted.keys() - has):
        edits.extend(_attach(wanted[binding], shard.resolve(selectors[binding])))
    return edits


def _attach(bound: BindSlot, members: BitMap) -> list[ShardEdit]:
    """One Attach, even if no item matches; several if the bitmap does not fit one message."""
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
