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

from kae.encoders.attributes import Encoded, Item
from kae.encoders.selector import Compiled
from kae.sinks.edits import (
    Attach,
    BindSlot,
    Counts,
    Detach,
    DropHead,
    DropItem,
    Head,
    ItemHead,
    PutItem,
    ShardEdit,
    encode_edit,
)

CONTENT_BYTES = 8
# A bitmap piece covers this many ordinals, 512 KiB at most, so that it fits a message.
ATTACH_SPAN = 1 << 22


@dataclass(frozen=True, slots=True)
class Upsert:
    """An item as the stream says it should be."""

    revision: int
    content: bytes
    item: Item

    @property
    def id(self) -> str:
        return self.item.id

    @property
    def order(self) -> tuple[int, int, bytes]:
        return (self.revision, 1, self.content)


@dataclass(frozen=True, slots=True)
class Delete:
    """An item that the stream says is gone."""

    revision: int
    content: bytes
    id: str

    @property
    def order(self) -> tuple[int, int, bytes]:
        return (self.revision, 0, self.content)


Change = Upsert | Delete


class Encodes(Protocol):
    """The keyword-aligned encoder."""

    def encode(self, item: Item) -> Encoded: ...


class EditTooLarge(ValueError):
    """An edit that no message can carry."""


@dataclass(slots=True)
class Plan:
    """Edits for one delta, their counts, and what the store held before (spares a second read).

    `raw` are the edits' bytes, once `encode` has been called.
    """

    edits: list[ShardEdit] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    before: Mapping[str, Head] = field(default_factory=dict)
    raw: list[msgspec.Raw] = field(default_factory=list)

    def encode(self, max_bytes: int) -> None:
        """Raises: EditTooLarge."""
        self.raw = [encode_edit(edit) for edit in self.edits]
        for raw in self.raw:
            if (length := len(bytes(raw))) > max_bytes:
                raise EditTooLarge(
                    f"normalised and encoded it has {length} bytes, limits.delta_bytes allows "
                    f"{max_bytes}; shorten title or description"
                )


def content_hash(payload: bytes) -> bytes:
    """The digest that orders two events of one revision."""
    return blake2b(payload, digest_size=CONTENT_BYTES).digest()


def plan_items(
    changes: Sequence[Change],
    before: Mapping[str, Head],
    next_ordinal: int,
    bindings: Mapping[int, Compiled],
    encoder: Encodes,
) -> Plan:
    """Plan a batch against the heads of the items that it names."""
    newest: dict[str, Change] = {}
    order = {item_id: head_order(head) for item_id, head in before.items()}
    put = dropped = stale = 0
    for change in changes:
        known = order.get(change.id)
        if known is not None and change.order <= known:
            stale += 1
            continue
        order[change.id] = change.order
        newest[change.id] = change
        if isinstance(change, Upsert):
            put += 1
        else:
            dropped += 1
    edits: list[ShardEdit] = []
    for change in newest.values():
        head = before.get(change.id)
        ordinal = head.ordinal if isinstance(head, ItemHead) else -1
        if isinstance(change, Delete):
            edits.append(DropItem(change.id, ordinal, change.revision, change.content))
            continue
        if ordinal < 0:
            ordinal, next_ordinal = next_ordinal, next_ordinal + 1
        edits.append(_put(change, ordinal, encoder.encode(change.item), bindings))
    return Plan(edits, Counts(len(changes), put, dropped, stale, 0), before)


def head_order(head: Head) -> tuple[int, int, bytes]:
    """Where an item stands in the total order of its events."""
    return (head.revision, 0 if isinstance(head, DropHead) else 1, head.content)


def _put(
    change: Upsert, ordinal: int, encoded: Encoded, bindings: Mapping[int, Compiled]
) -> PutItem:
    return PutItem(
        id=change.id,
        ordinal=ordinal,
        revision=change.revision,
        content=change.content,
        identifier=encoded.identifier,
        popularity=change.item.popularity,
        bindings=tuple(
            binding
            for binding, selector in bindings.items()
            if selector.matches(change.id, encoded.text, encoded.attributes)
        ),
        title=encoded.title,
        text=encoded.text,
        attributes=encoded.attributes,
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
