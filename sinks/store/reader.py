"""Reads one version of a store while later deltas are applied to it."""

from collections.abc import Iterator, Mapping

from pyroaring import BitMap

from kae.sinks.log.edits import Attach, DropItem, PutItem, decode_edit
from kae.sinks.store import keys
from kae.sinks.store.rocks import StoreUnusable
from kae.sinks.store.state import StoreState, content_hash
from kae.sinks.store.store import ShardStore


class StoreReader:
    """The store as it was when the reader was made; any thread may read it.

    The store has to stay open for as long as its readers are used.
    """

    def __init__(self, store: ShardStore) -> None:
        self.state: StoreState = store.state
        self.bindings: Mapping[int, Attach] = store.bindings
        self.attached: Mapping[int, BitMap] = store.attached
        self._rows = store.snapshots()

    def item(self, item_id: str) -> PutItem | DropItem | None:
        row = self._row(keys.ITEMS, keys.item_key(item_id))
        edit = decode_edit(row) if row is not None else None
        return edit if isinstance(edit, PutItem | DropItem) else None

    def item_at(self, ordinal: int) -> PutItem:
        """The item of a live ordinal.

        Raises: StoreUnusable if no live item has it.
        """
        item = self.live_item_at(ordinal)
        if item is None:
            raise StoreUnusable(f"ordinal {ordinal} of version {self.state.version} is not live")
        return item

    def live_item_at(self, ordinal: int) -> PutItem | None:
        """The item of an ordinal; None if it is not live."""
        row = self._row(keys.ORDINALS, keys.ordinal_key(ordinal))
        item = self.item(row.decode()) if row is not None else None
        return item if isinstance(item, PutItem) else None

    def items(self) -> Iterator[PutItem]:
        """Every live item, in the order of its id's bytes.

        Read one by one: in rocksdict 0.3.29 only point reads are of the snapshot, and iterators see
        what was written since.
        """
        rows = (
            self._row(keys.ORDINALS, keys.ordinal_key(ordinal))
            for ordinal in range(self.state.next_ordinal)
        )
        for item_id in sorted(row for row in rows if row is not None):
            item = self.item(item_id.decode())
            if isinstance(item, PutItem):
                yield item

    def content_hash(self) -> str:
        """The digest of (item id, revision, identifier, terms) over the live items, by id."""
        return content_hash(
            (item.id, item.revision, item.identifier, self._terms(item.ordinal))
            for item in self.items()
        )

    def _terms(self, ordinal: int) -> list[str]:
        return sorted(
            self.bindings[binding].term
            for binding, members in self.attached.items()
            if ordinal in members
        )

    def _row(self, family: str, key: bytes) -> bytes | None:
        try:
            row: bytes = self._rows[family][key]
        except Exception as error:  # rocksdict raises bare Exception for every cause
            if str(error) == "key not found":
                return None
            raise
        return row
