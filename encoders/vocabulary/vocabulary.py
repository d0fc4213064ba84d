"""A catalog's vocabulary: its words by category, the forms of each, and their item counts.

    vocabulary.json   fields, versions, hash of the words, fingerprint
    vocabulary.tsv    one word a line, with its aliases

docs/formats.md specifies both files.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntFlag
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import msgspec

from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX, FieldsInvalid, check_fields
from kae.encoders.text.bundled_words import color_family, stop_words
from kae.encoders.text.measures import is_number
from kae.encoders.text.normal_form import NORMALISATION
from kae.encoders.text.search_form import NEWEST_FORM, SearchForm
from kae.encoders.text.spelling import spelling_key

FORMAT = 1
_MANIFEST = "vocabulary.json"
_WORDS = "vocabulary.tsv"
_HEADER = "category\tword\titems\tsources\tfamily\taliases\n"
_COLOR = CATEGORY_INDEX["color"]


class VocabularyInvalid(ValueError):
    """A folder that is not a vocabulary of this version."""


class WordOrigin(IntFlag):
    """Where a form was found to be a word of its category."""

    FIELD = 1
    TITLE = 2
    SEED = 4  # in the bundled words
    TAGGER = 8


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write a word, in normal form."""

    word: str
    items: int  # items that have it, in a field of its category or else in the title
    origin: WordOrigin


@dataclass(frozen=True, slots=True)
class VocabularyEntry:
    """A word of one category with its forms, most frequent first; the first is its head."""

    category: int
    forms: tuple[Form, ...]

    @property
    def head(self) -> Form:
        return self.forms[0]

    @property
    def misspelled(self) -> Iterator[Form]:
        """The aliases that are misspellings, not other spellings of the head."""
        right = spelling_key(self.head.word)
        return (form for form in self.forms[1:] if spelling_key(form.word) != right)

    @property
    def family(self) -> str:
        """The basic colour of a colour, otherwise empty."""
        return color_family(self.head.word) if self.category == _COLOR else ""


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    format: int
    normalisation: int
    fingerprint: str
    catalog_items: int
    uncounted: int
    words: int
    words_blake2b: str
    fields: dict[str, str]
    kept_letters: str = ""
    decimal_mark: str = "."


class Vocabulary:
    """The words of a catalog; immutable.

    `uncounted`: the most items by which a form's count may be too low; 0 unless rare words were
    dropped for lack of memory.
    """

    def __init__(
        self,
        fields: dict[str, str],
        entries: Sequence[VocabularyEntry],
        catalog_items: int,
        uncounted: int = 0,
        form: SearchForm = NEWEST_FORM,
    ) -> None:
        check_fields(fields)
        self.fields = dict(sorted(fields.items()))
        self.entries = tuple(sorted(entries, key=_place))
        self.catalog_items = catalog_items
        self.uncounted = uncounted
        self.form = form
        self._heads = {
            (entry.category, form.word): entry.head.word
            for entry in self.entries
            for form in entry.misspelled
        }

    @cached_property
    def dictionary(self) -> dict[str, int]:
        """The words to search texts for: each form with its most frequent category."""
        most: dict[str, tuple[int, int]] = {}
        for entry in self.entries:
            for form in entry.forms:
                if is_scannable(form.word):
                    vote = (-form.items, entry.category)
                    most[form.word] = min(vote, most.get(form.word, vote))
        return {word: most[word][1] for word in sorted(most)}

    @property
    def fingerprint(self) -> str:
        return self._manifest.fingerprint

    def spelling(self, category: int, word: str) -> str:
        """Return the key that a word shares with its other spellings and its misspellings."""
        return spelling_key(self._heads.get((category, word), word))

    def save(self, folder: Path) -> list[Path]:
        """Write the folder and return its files; equal vocabularies give equal bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _WORDS).write_bytes(self._table)
        (folder / _MANIFEST).write_bytes(_encode(self._manifest))
        return [folder / _WORDS, folder / _MANIFEST]

    @staticmethod
    def load(folder: Path) -> "Vocabulary":
        """Read a folder and verify every byte of it.

        Raises: VocabularyInvalid.
        """
        remedy = "copy the folder again, or fit it with `kae vocabulary fit`"
        try:
            manifest_bytes = (folder / _MANIFEST).read_bytes()
            table = (folder / _WORDS).read_bytes()
        except OSError as error:
            raise VocabularyInvalid(f"{folder}: no vocabulary ({error}); {remedy}") from None
        try:
            manifest = msgspec.json.decode(manifest_bytes, type=_Manifest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise VocabularyInvalid(f"{folder / _MANIFEST}: {error}; {remedy}") from None
        if (manifest.format, manifest.normalisation) != (FORMAT, NORMALISATION):
            raise VocabularyInvalid(
                f"{folder / _MANIFEST}: format, normalisation are {manifest.format}, "
                f"{manifest.normalisation}; this version of kae reads {FORMAT}, {NORMALISATION}; "
                f"{remedy}"
            )
        if _hash(table) != manifest.words_blake2b:
            raise VocabularyInvalid(
                f"{folder / _WORDS}: its hash is {_hash(table)}, the manifest says "
                f"{manifest.words_blake2b}; to add words of your own, give them to `kae vocabulary "
                f"fit --candidates`, else {remedy}"
            )
        try:
            vocabulary = Vocabulary(
                manifest.fields,
                _parse(table),
                manifest.catalog_items,
                manifest.uncounted,
                SearchForm(manifest.kept_letters, decimal_mark=manifest.decimal_mark),
            )
        except (FieldsInvalid, ValueError, KeyError) as error:
            raise VocabularyInvalid(f"{folder}: {error}; {remedy}") from None
        # Also rejects a table that is valid but not in canonical form.
        if _encode(vocabulary._manifest) != manifest_bytes:
            raise VocabularyInvalid(
                f"{folder / _MANIFEST}: its content gives fingerprint {vocabulary.fingerprint}, it "
                f"says {manifest.fingerprint}; {remedy}"
            )
        return vocabulary

    @property
    def _table(self) -> bytes:
        return (_HEADER + "".join(map(_line, self.entries))).encode()

    @cached_property
    def _manifest(self) -> _Manifest:
        """The manifest; its fingerprint is the hash of the manifest without one."""
        table = self._table
        blank = _Manifest(
            FORMAT,
            NORMALISATION,
            "",
            self.catalog_items,
            self.uncounted,
            len(self.entries),
            _hash(table),
            self.fields,
            self.form.kept,
            self.form.decimal_mark,
        )
        return msgspec.structs.replace(blank, fingerprint=_hash(_encode(blank)))


def _place(entry: VocabularyEntry) -> tuple[int, int, str]:
    return entry.category, -sum(form.items for form in entry.forms), entry.head.word


def is_scannable(word: str) -> bool:
    """Whether finding the word in running text is meaningful."""
    return len(word) > 1 and not is_number(word) and word not in stop_words()


def _line(entry: VocabularyEntry) -> str:
    head = entry.head
    aliases = ";".join(
        f"{form.word}:{form.items}:{_names(form.origin)}" for form in entry.forms[1:]
    )
    return (
        f"{CATEGORIES[entry.category]}\t{head.word}\t{head.items}\t{_names(head.origin)}"
        f"\t{entry.family}\t{aliases}\n"
    )


def _parse(table: bytes) -> list[VocabularyEntry]:
    header, *lines = table.decode().split("\n")
    if header + "\n" != _HEADER or lines.pop():
        raise ValueError(f"{_WORDS} has no header or no final newline")
    entries = []
    for line in lines:
        category, word, items, sources, _family, aliases = line.split("\t")
        forms = [(word, items, sources)]
        forms += (_alias(alias) for alias in aliases.split(";") if alias)
        entries.append(
            VocabularyEntry(
                CATEGORY_INDEX[category],
                tuple(Form(word, int(items), _origin(names)) for word, items, names in forms),
            )
        )
    return entries


def _alias(text: str) -> tuple[str, str, str]:
    word, items, sources = text.split(":")
    return word, items, sources


def _names(origin: WordOrigin) -> str:
    return "+".join(each.name.lower() for each in WordOrigin if each in origin and each.name)


def _origin(names: str) -> WordOrigin:
    origin = WordOrigin(0)
    for name in names.split("+"):
        origin |= WordOrigin[name.upper()]
    return origin


def _encode(manifest: _Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def _hash(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
