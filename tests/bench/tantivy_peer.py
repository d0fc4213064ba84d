"""Tantivy in this process: an inverted index that gives the same documents a new keyword."""

import time
from collections.abc import Sequence
from pathlib import Path

import tantivy

from kae.bench.live import BenchFailed
from kae.encoders.items import Item

THREADS = 2


class TantivyPeer:
    """Titles and descriptions on disk, indexed by two threads with the default heap."""

    def __init__(self, items: Sequence[Item], folder: Path) -> None:
        builder = tantivy.SchemaBuilder()
        for name in ("id", "keyword"):
            builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
        builder.add_text_field("text")
        self._schema = builder.build()
        self._items = items
        folder.mkdir()
        self._index = tantivy.Index(self._schema, path=str(folder))
        self._writer = self._index.writer(num_threads=THREADS)
        for item in items:
            self._writer.add_document(_document(item))
        self._writer.commit()

    def time_keyword(self, keyword: str, numbers: Sequence[int]) -> float:
        """Seconds from the first deletion until a search finds the keyword in all these items.

        The documents are made before, in nobody's time.
        Raises: BenchFailed when the search finds another number of them.
        """
        documents = [(self._items[n].id, _document(self._items[n], keyword)) for n in numbers]
        began = time.perf_counter()
        for item_id, document in documents:
            self._writer.delete_documents_by_term("id", item_id)
            self._writer.add_document(document)
        self._writer.commit()
        self._index.reload()
        query = tantivy.Query.term_query(self._schema, "keyword", keyword, "basic")
        found = self._index.searcher().search(query, limit=1, count=True).count  # type: ignore[attr-defined]
        seconds = time.perf_counter() - began
        if found != len(documents):
            raise BenchFailed(f"tantivy finds {keyword} in {found:,} of {len(documents):,} items")
        return seconds


def _document(item: Item, keyword: str = "") -> tantivy.Document:
    text = f"{item.title} {item.description}"
    if keyword:
        return tantivy.Document(id=item.id, text=text, keyword=keyword)
    return tantivy.Document(id=item.id, text=text)
