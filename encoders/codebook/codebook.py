"""The codebook: an immutable mapping of words to slots, stored in a folder of readable files.

    codebook.json   groups, field mapping, versions, hash of the words, fingerprint
    words.tsv       one word a line, in slot order
    tagger          a folder, present when the codebook uses a tagger that kae does not ship

docs/formats.md specifies the files.
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
from kae.encoders.tagger.weights import PACKAGED, TaggerInvalid, TaggerSource
from kae.encoders.text.normal_form import NORMALISATION, WITHOUT_SIGNS
from kae.encoders.text.search_form import NEWEST_FORM, SearchForm
from kae.encoders.text.spelling import spelling_key

# A codebook without clusters is written as format 1, and one without importance as format 2, so
# that codebooks from before these keep their bytes.
SOLO_FORMAT, CLUSTER_FORMAT, IMPORTANCE_FORMAT = 1, 2, 3
_FORMATS = (SOLO_FORMAT, CLUSTER_FORMAT, IMPORTANCE_FORMAT)
# Part of the fingerprint: raise it when the extractor or the assigner gives other results.
EXTRACTION = 2
NO_TAGGER = "none"
# Those of a new codebook first, and those that are read besides it.
_VERSIONS = ((NORMALISATION, EXTRACTION), (WITHOUT_SIGNS, EXTRACTION))
_MANIFEST = "codebook.json"
_WORDS = "words.tsv"
_TAGGER = "tagger"
_HEADER = "position\tindex\tcategory\tword\titems\tscanned\n"
_HEADER_WITH_IMPORTANCE = "position\tindex\tcategory\tword\titems\tscanned\timportance\n"


class CodebookInvalid(ValueError):
    """A folder that is not a codebook of this version."""


class TaggerMissing(CodebookInvalid):
    """A codebook whose tagger cannot be found: without it, items would get other identifiers."""


@dataclass(frozen=True, slots=True)
class CodebookWord:
    """A word of one category; index 0 means that it has no slot."""

    category: int
    word: str
    index: int
    items: int  # of the catalog it was built from
    scanned: bool  # whether titles, descriptions and queries are searched for it
    # Of a thousand choices of an item with the word, in how many the query says it
    # (fitting/importance.py). 0 for all words where the codebook knows no behaviour.
    importance: int = 0


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
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
    solo_slots: tuple[int, ...] | None = None
    kept_letters: str = ""
    decimal_mark: str = "."


class Codebook:
    """Maps words to slots, and slots to their head words.

    Spellings of one word in a group, its aliases included, share a solo slot. With `solo_slots`,
    the slots of position p above index solo_slots[p] are clusters, each holding several similar
    words; without it there are no clusters.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        fields: dict[str, str],
        words: Iterable[CodebookWord],
        catalog_items: int = 0,
        solo_slots: Sequence[int] | None = None,
        tagger: TaggerSource | None = None,
        form: SearchForm = NEWEST_FORM,
    ) -> None:
        """`form`: how items and queries are read."""
        check_groups(groups)
        check_fields(fields)
        _check_solo_slots(groups, solo_slots)
        self.groups = tuple(groups)
        self.solo_slots = None if solo_slots is None else tuple(solo_slots)
        self.tagger = tagger
        self.form = form
        self.fields = dict(sorted(fields.items()))
        self.words = tuple(words)
        self._positions = tuple(
            next(p for p, group in enumerate(groups) if category in group.categories)
            for category in CATEGORIES
        )
        self._indices: tuple[dict[str, int], ...] = tuple({} for _ in groups)
        self._heads: tuple[dict[int, CodebookWord], ...] = tuple({} for _ in groups)
        for word in self.words:
            if word.index:
                position = self._positions[word.category]
                self._indices[position].setdefault(word.word, word.index)
                self._heads[position].setdefault(word.index, word)
        self._manifest = _manifest_of(self, _table(self), catalog_items)
        self.fingerprint = self._manifest.fingerprint

    @property
    def catalog_items(self) -> int:
        """The number of items in the catalog that it was built from."""
        return self._manifest.catalog_items

    @property
    def tagger_fingerprint(self) -> str:
        return self.tagger.fingerprint if self.tagger else NO_TAGGER

    @property
    def format(self) -> int:
        """The format of its folder."""
        return self._manifest.format

    @property
    def knows_behaviour(self) -> bool:
        """Whether words are ranked by what queries say, too."""
        return any(word.importance for word in self.words)

    def position_of(self, category: int) -> int:
        return self._positions[category]

    def slot_of(self, category: int, word: str) -> Slot | None:
        position = self._positions[category]
        index = self._indices[position].get(word)
        return None if index is None else Slot(position, index)

    def slots_of(self, word: str) -> Iterator[Slot]:
        """Yield the slots of a word in all positions."""
        for position, indices in enumerate(self._indices):
            if word in indices:
                yield Slot(position, indices[word])

    def word_at(self, position: int, index: int) -> tuple[int, str] | None:
        """Return the category and head word of a slot; None for an empty or reserved slot."""
        head = self._heads[position].get(index)
        return None if head is None else (head.category, head.word)

    def spelling_key_of(self, word: CodebookWord) -> str:
        """Return the spelling key that all words of a solo slot share, misspellings included."""
        position = self._positions[word.category]
        alone = not word.index or self.is_cluster(position, word.index)
        return spelling_key((word if alone else self._heads[position][word.index]).word)

    def is_cluster(self, position: int, index: int) -> bool:
        """Whether a slot holds several similar words instead of one word with its aliases."""
        return self.solo_slots is not None and self.solo_slots[position] < index

    def reserved(self, position: int) -> range:
        """The slot indices that bindings may use."""
        group = self.groups[position]
        return range(group.capacity - group.reserved, group.capacity)

    def save(self, folder: Path) -> None:
        """Write the folder; equal codebooks give equal bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _WORDS).write_bytes(_table(self))
        (folder / _MANIFEST).write_bytes(_encode(self._manifest))
        if self.tagger and self.tagger.folder not in (PACKAGED, folder / _TAGGER):
            self.tagger.copy_to(folder / _TAGGER)

    @staticmethod
    def load(folder: Path) -> "Codebook":
        """Read a folder and verify every byte of it, including its tagger.

        Raises: CodebookInvalid; TaggerMissing when its tagger is neither in the folder nor the
        packaged one.
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
        versions = (manifest.normalisation, manifest.extraction)
        if manifest.format not in _FORMATS or versions not in _VERSIONS:
            raise CodebookInvalid(
                f"{folder / _MANIFEST}: format, normalisation, extraction are "
                f"{(manifest.format, *versions)}; this version of kae reads formats "
                f"{', '.join(map(str, _FORMATS))} with {' and '.join(map(str, _VERSIONS))}; "
                f"{remedy}"
            )
        if _hash(table) != manifest.words_blake2b:
            raise CodebookInvalid(
                f"{folder / _WORDS}: its hash is {_hash(table)}, the manifest says "
                f"{manifest.words_blake2b}; {remedy}"
            )
        fingerprint = _fingerprint(manifest)
        if fingerprint != manifest.fingerprint:
            raise CodebookInvalid(
                f"{folder / _MANIFEST}: its content gives fingerprint {fingerprint}, it says "
                f"{manifest.fingerprint}; {remedy}"
            )
        tagger = _find_tagger(folder, manifest.tagger)
        try:
            codebook = Codebook(
                manifest.groups,
                manifest.fields,
                _parse(table),
                manifest.catalog_items,
                manifest.solo_slots,
                tagger,
                SearchForm(manifest.kept_letters, manifest.normalisation, manifest.decimal_mark),
            )
        except (GroupsInvalid, ValueError, KeyError) as error:
            raise CodebookInvalid(f"{folder}: {error}; {remedy}") from None
        # Also rejects a table that is valid but not in canonical form.
        if _encode(codebook._manifest) != manifest_bytes:
            raise CodebookInvalid(
                f"{folder / _MANIFEST}: its content gives fingerprint {codebook.fingerprint}, it "
                f"says {manifest.fingerprint}; {remedy}"
            )
        return codebook


def _find_tagger(folder: Path, fingerprint: str) -> TaggerSource | None:
    """Find the tagger of a codebook: in its own folder, or else the packaged one."""
    if fingerprint == NO_TAGGER:
        return None
    own = folder / _TAGGER
    place = own if own.exists() else PACKAGED
    wanted = f"{folder / _MANIFEST}: its titles are read by tagger {fingerprint}"
    remedy = f"copy that tagger's folder to {own}, or build another codebook for a new generation"
    try:
        tagger = TaggerSource.of(place)
    except TaggerInvalid as error:
        raise TaggerMissing(f"{wanted}, which cannot be loaded ({error}); {remedy}") from None
    if tagger.fingerprint != fingerprint:
        raise TaggerMissing(f"{wanted}, {place} is {tagger.fingerprint}; {remedy}")
    return tagger


def _table(codebook: Codebook) -> bytes:
    ranked = codebook.knows_behaviour
    lines = (
        f"{codebook.position_of(word.category)}\t{word.index}\t{CATEGORIES[word.category]}"
        f"\t{word.word}\t{word.items}\t{word.scanned:d}"
        + (f"\t{word.importance}\n" if ranked else "\n")
        for word in codebook.words
    )
    header = _HEADER_WITH_IMPORTANCE if ranked else _HEADER
    return (header + "".join(lines)).encode()


def _parse(table: bytes) -> Iterator[CodebookWord]:
    header, *lines = table.decode().split("\n")
    if header + "\n" not in (_HEADER, _HEADER_WITH_IMPORTANCE) or lines.pop():
        raise ValueError(f"{_WORDS} has no header or no final newline")
    for line in lines:
        _position, index, category, word, items, scanned, *ranked = line.split("\t")
        importance = int(ranked[0]) if ranked else 0
        yield CodebookWord(
            CATEGORY_INDEX[category], word, int(index), int(items), scanned == "1", importance
        )


def _check_solo_slots(groups: Sequence[Group], solo_slots: Sequence[int] | None) -> None:
    if solo_slots is None:
        return
    core = [group.capacity - group.reserved - 1 for group in groups]
    within = len(solo_slots) == len(core) and all(
        0 <= solo <= slots for solo, slots in zip(solo_slots, core, strict=True)
    )
    if not within:
        raise GroupsInvalid(f"solo_slots are {[*solo_slots]}; each may be at most {core}")


def _manifest_of(codebook: Codebook, table: bytes, catalog_items: int) -> _Manifest:
    """Make the manifest; its fingerprint is the hash of the manifest without one."""
    blank = _Manifest(
        _format_of(codebook),
        codebook.form.version,
        EXTRACTION,
        codebook.tagger_fingerprint,
        "",
        catalog_items,
        table.count(b"\n") - 1,
        _hash(table),
        codebook.groups,
        codebook.fields,
        codebook.solo_slots,
        codebook.form.kept,
        codebook.form.decimal_mark,
    )
    return msgspec.structs.replace(blank, fingerprint=_fingerprint(blank))


def _format_of(codebook: Codebook) -> int:
    if codebook.knows_behaviour:
        return IMPORTANCE_FORMAT
    return SOLO_FORMAT if codebook.solo_slots is None else CLUSTER_FORMAT


def _fingerprint(manifest: _Manifest) -> str:
    return _hash(_encode(msgspec.structs.replace(manifest, fingerprint="")))


def _encode(manifest: _Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def _hash(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
