"""The codebook: which word has which slot. Immutable, in a folder of two readable files.

    codebook.json   groups, field mapping, versions, hash of the words, fingerprint
    words.tsv       one word a line, in slot order

docs/formats.md specifies both.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import msgspec

from kae.encoders.categories import (
    CATEGORIES,
    CATEGORY_INDEX,
    Group,
    GroupsInvalid,
    Slot,
    check_fields,
    check_groups,
)
from kae.encoders.text import NORMALISATION

FORMAT = 1
# A part of the fingerprint: raise it when the extractor or assign gives another result.
EXTRACTION = 1
TAGGER = "none"

_MANIFEST = "codebook.json"
_WORDS = "words.tsv"
_HEADER = "position\tindex\tcategory\tword\titems\tscanned\n"


class CodebookInvalid(ValueError):
    """A folder that is no codebook of this version: what, where, remedy."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of one category; index 0 means that it has no slot."""

    category: int
    word: str
    index: int
    items: int  # of the catalog it was built from
    scanned: bool  # looked for in titles, descriptions and queries


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    normalisation: int
    extraction: int
    tagger: str
    fingerprint: str
    catalog_items: int
    words: int
    words_blake2b: str
    groups: tuple[Group, ...]
    fields: dict[str, str]


class Codebook:
    """Words and slots, both ways.

    Words of one group that are spelled alike, and a word's aliases, share a slot.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        fields: dict[str, str],
        words: Iterable[Word],
        catalog_items: int = 0,
    ) -> None:
        check_groups(groups)
        check_fields(fields)
        self.groups = tuple(groups)
        self.fields = dict(sorted(fields.items()))
        self.words = tuple(words)
        self._positions = tuple(
            next(p for p, group in enumerate(groups) if category in group.categories)
            for category in CATEGORIES
        )
        self._indices: tuple[dict[str, int], ...] = tuple({} for _ in groups)
        self._heads: tuple[dict[int, Word], ...] = tuple({} for _ in groups)
        for word in self.words:
            if word.index:
                position = self._positions[word.category]
                self._indices[position].setdefault(word.word, word.index)
                self._heads[position].setdefault(word.index, word)
        self._manifest = _sealed(self.groups, self.fields, _table(self), catalog_items)
        self.fingerprint = self._manifest.fingerprint

    def position_of(self, category: int) -> int:
        return self._positions[category]

    def slot_of(self, category: int, word: str) -> Slot | None:
        position = self._positions[category]
        index = self._indices[position].get(word)
        return None if index is None else Slot(position, index)

    def slots_of(self, word: str) -> Iterator[Slot]:
        """The slots of a word in any position."""
        for position, indices in enumerate(self._indices):
            if word in indices:
                yield Slot(position, indices[word])

    def word_at(self, position: int, index: int) -> tuple[int, str] | None:
        """The head word of a slot, with its category; None for an empty or reserved slot."""
        head = self._heads[position].get(index)
        return None if head is None else (head.category, head.word)

    def reserved(self, position: int) -> range:
        """The indices that bindings may take."""
        group = self.groups[position]
        return range(group.capacity - group.reserved, group.capacity)

    def save(self, folder: Path) -> None:
        """Write the folder; the same words give the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _WORDS).write_bytes(_table(self))
        (folder / _MANIFEST).write_bytes(_encode(self._manifest))

    @staticmethod
    def load(folder: Path) -> "Codebook":
        """Read a folder and check every byte of it.

        Raises: CodebookInvalid.
        """
        remedy = "copy the folder again, or build it with `kae codebook build`"
        try:
            manifest_bytes = (folder / _MANIFEST).read_bytes()
            table = (folder / _WORDS).read_bytes()
        except OSError as error:
            raise CodebookInvalid(f"{folder}: no codebook ({error}); {remedy}") from None
        try:
            manifest = msgspec.json.decode(manifest_bytes, type=_Manifest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CodebookInvalid(f"{folder / _MANIFEST}: {error}; {remedy}") from None
        versions = (manifest.format, manifest.normalisation, manifest.extraction, manifest.tagger)
        if versions != (FORMAT, NORMALISATION, EXTRACTION, TAGGER):
            raise CodebookInvalid(
                f"{folder / _MANIFEST}: format, normalisation, extraction, tagger are {versions}, "
                f"this version of kae reads {(FORMAT, NORMALISATION, EXTRACTION, TAGGER)}; {remedy}"
            )
        if _hash(table) != manifest.words_blake2b:
            raise CodebookInvalid(
                f"{folder / _WORDS}: its hash is {_hash(table)}, the manifest says "
                f"{manifest.words_blake2b}; {remedy}"
            )
        try:
            words = _parse(table)
            codebook = Codebook(manifest.groups, manifest.fields, words, manifest.catalog_items)
        except (GroupsInvalid, ValueError, KeyError) as error:
            raise CodebookInvalid(f"{folder}: {error}; {remedy}") from None
        # Also refuses a table that is not in its one written form.
        if _encode(codebook._manifest) != manifest_bytes:
            raise CodebookInvalid(
                f"{folder / _MANIFEST}: its content gives fingerprint {codebook.fingerprint}, it "
                f"says {manifest.fingerprint}; {remedy}"
            )
        return codebook


def _table(codebook: Codebook) -> bytes:
    lines = (
        f"{codebook.position_of(word.category)}\t{word.index}\t{CATEGORIES[word.category]}"
        f"\t{word.word}\t{word.items}\t{word.scanned:d}\n"
        for word in codebook.words
    )
    return (_HEADER + "".join(lines)).encode()


def _parse(table: bytes) -> Iterator[Word]:
    header, *lines = table.decode().split("\n")
    if header + "\n" != _HEADER or lines.pop():
        raise ValueError(f"{_WORDS} does not begin and end as it should")
    for line in lines:
        _position, index, category, word, items, scanned = line.split("\t")
        yield Word(CATEGORY_INDEX[category], word, int(index), int(items), scanned == "1")


def _sealed(
    groups: tuple[Group, ...], fields: dict[str, str], table: bytes, catalog_items: int
) -> _Manifest:
    """The manifest with its fingerprint: the hash of itself without one."""
    unsealed = _Manifest(
        FORMAT,
        NORMALISATION,
        EXTRACTION,
        TAGGER,
        "",
        catalog_items,
        table.count(b"\n") - 1,
        _hash(table),
        groups,
        fields,
    )
    return msgspec.structs.replace(unsealed, fingerprint=_hash(_encode(unsealed)))


def _encode(manifest: _Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def _hash(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
