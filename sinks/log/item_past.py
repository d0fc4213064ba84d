"""The past of one item: a pure fold of its shard's log that looks at nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass

from pyroaring import BitMap

from kae.sinks.log.edits import (
    Attach,
    Delta,
    Detach,
    DropItem,
    PutItem,
    decode_edit,
    decode_shard_edit,
)


@dataclass(frozen=True, slots=True)
class Written:
    """A delta of the shard's log, and when its owner wrote it."""

    version: int
    offset: int
    at_ms: int


class ItemPast:
    """What an item is after the folded deltas, and which of them made it so.

    `since`, and a value of `attached`, is None for what was there before the first of them.
    """

    def __init__(
        self,
        item_id: str,
        edit: PutItem | DropItem | None = None,
        attached: Mapping[int, BitMap] | None = None,
        bindings_version: int = 0,
    ) -> None:
        """Start from nothing, or from what a snapshot holds of the item and its shard."""
        self.id = item_id
        self.edit = edit
        self.since: Written | None = None
        self.bindings_version = bindings_version
        self.attached: dict[int, Written | None] = {}
        if isinstance(edit, PutItem):
            held = (attached or {}).items()
            self.attached = {b: None for b, members in held if edit.ordinal in members}

    def note(self, delta: Delta, offset: int) -> None:
        """Fold the next delta of the log, whose last record has this offset."""
        written = Written(delta.version, offset, delta.at_ms)
        self.bindings_version = delta.source.bindings_version
        for raw in delta.edits:
            edit = decode_shard_edit(raw)
            if isinstance(edit, Detach):
                self.attached.pop(edit.binding, None)
            elif isinstance(edit, Attach):
                self._attach(edit, written)
            elif edit.id == self.id:
                self._replace(decode_edit(raw), written)

    def _replace(self, edit: object, written: Written) -> None:
        self.since = written
        if isinstance(edit, PutItem):
            self.edit = edit
            self.attached = {b: self.attached.get(b, written) for b in edit.bindings}
        elif isinstance(edit, DropItem):
            self.edit = edit
            self.attached = {}

    def _attach(self, edit: Attach, written: Written) -> None:
        if not isinstance(self.edit, PutItem):
            return
        if self.edit.ordinal in BitMap.deserialize(edit.ordinals):
            self.attached[edit.binding] = written
        elif not edit.continued:
            self.attached.pop(edit.binding, None)
