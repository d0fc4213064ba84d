"""Inspect an unmapped feed: propose a mapping, and show what it would give.

read      the first rows, as columns and fields
propose   roles of columns, categories of fields (encoders/fields/proposal.py)
try       build a codebook from these rows with that mapping, and encode them
"""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec
import yaml

from kae.encoders.categories import CATEGORIES, POSITIONS, Group
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.fields.names import ROLES
from kae.encoders.fields.profile import FieldProfile
from kae.encoders.fields.proposal import FieldProposal, find_roles, propose_category
from kae.encoders.fitting.build import build_codebook
from kae.encoders.items import Encoded, Item
from kae.encoders.text.decimal_mark import find_decimal_mark
from kae.encoders.text.search_form import SearchForm
from kae.streams.catalog.records import UnreadableRecord
from kae.streams.catalog.rows import STORE_VIEW, open_feeds, store_view, to_item
from kae.streams.catalog.values import FieldValues, RecordInvalid, UnreadableValue, add_field
from kae.streams.errors import CatalogInvalid
from kae.streams.topology.parts import CatalogPart

_ATTRIBUTES = 6


class WordShown(msgspec.Struct, frozen=True):
    """One position of the sample item's identifier."""

    group: str
    category: str | None
    word: str | None
    filled_share: float  # share of items whose identifier has a word here


class SampleItem(msgspec.Struct, frozen=True):
    """A typical item: it has as many filled positions as the median item."""

    id: str
    title: str
    words: tuple[WordShown, ...]


class MappingTrial(msgspec.Struct, frozen=True):
    """The result of encoding items with a mapping."""

    with_attributes: tuple[float, ...]  # shares of the items with at least 1, 2, .. 6 attributes
    expected_positions: float  # mean number of filled positions, of 6
    sample: SampleItem


def try_mapping(
    items: Sequence[Item], groups: Sequence[Group], fields: Mapping[str, str], form: SearchForm
) -> MappingTrial:
    """Build a codebook from at least one item, and encode the items with it."""
    with tempfile.TemporaryDirectory(prefix="kae-mapping-") as folder:
        codebook = build_codebook(lambda: items, groups, fields, Path(folder), form=form)
    encoder = Encoder(codebook)
    encoded = [encoder.encode(item) for item in items]
    filled = [sum(map(bool, one.identifier)) for one in encoded]
    typical = filled.index(sorted(filled)[len(filled) // 2])
    return MappingTrial(
        with_attributes=tuple(
            share(sum(len(one.attributes) >= n for one in encoded), len(items))
            for n in range(1, _ATTRIBUTES + 1)
        ),
        expected_positions=round(sum(filled) / len(items), 2),
        sample=SampleItem(
            items[typical].id,
            items[typical].title,
            tuple(_word(codebook, p, encoded[typical], encoded) for p in range(POSITIONS)),
        ),
    )


def _word(
    codebook: Codebook, position: int, item: Encoded, encoded: Sequence[Encoded]
) -> WordShown:
    head = codebook.word_at(position, item.identifier[position])
    category, word = (CATEGORIES[head[0]], head[1]) if head else (None, None)
    filled = sum(bool(one.identifier[position]) for one in encoded)
    name = codebook.groups[position].name
    return WordShown(name, category, word, share(filled, len(encoded)))


def share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


ROWS = 5000
# Separators of several values, in order of preference, and the least share of values with one.
SEPARATORS = ("|", " > ", " / ", "^", "~")
_SEPARATED = 0.2
FeedObject = Mapping[str, Any]


class FieldInspected(msgspec.Struct, frozen=True):
    """A column or an entry of one: its values, and what is proposed for it."""

    field: str
    items_share: float
    distinct: int  # at most encoders.field_profile.DISTINCT_VALUES
    examples: tuple[str, ...]
    role: str | None  # id, title, description, popularity, revision
    category: str | None
    why: str


class CatalogInspected(msgspec.Struct, frozen=True):
    """What `kae catalog inspect --json` prints."""

    files: tuple[str, ...]
    rows: int  # rows that were read
    items: int
    rejected: int
    first_rejected: str | None
    with_title_share: float
    with_attributes_share: tuple[float, ...]  # at least 1, 2, .. 6 attributes
    expected_positions: float  # mean number of filled positions, of 6
    sample: SampleItem
    fields: tuple[FieldInspected, ...]
    catalog: dict[str, Any]  # the section `catalog` of topology.yaml
    yaml: str  # the same, to be pasted


def inspect_feeds(
    paths: Sequence[Path], groups: Sequence[Group], rows: int = ROWS
) -> CatalogInspected:
    """Propose a mapping for feed files from their first rows, and try it out.

    Raises: CatalogInvalid if a file cannot be read, or if no column can be the id or the title.
    """
    feeds = open_feeds(paths)
    read = list(islice(chain.from_iterable(feed.read() for feed in feeds), rows))
    records = _without_store_views(
        [record for record in read if not isinstance(record, UnreadableRecord)]
    )
    unreadable = next((record for record in read if isinstance(record, UnreadableRecord)), None)
    separator = _separator(records)
    columns, fields, nested = _profiles(records, separator)
    roles = _roles(columns, fields, len(records), paths)
    proposals = {
        name: propose_category(profile, len(records))
        for name, profile in fields.items()
        if name not in roles.values()
    }
    catalog = _mapping(roles, separator, proposals)
    mark = find_decimal_mark(value for profile in columns.values() for value in profile.values)
    if mark != CatalogPart.model_fields["decimal_mark"].default:
        catalog["decimal_mark"] = mark
    items, invalid = _items(records, CatalogPart.model_validate(catalog))
    if not items:
        raise CatalogInvalid(
            f"{paths[0]}: none of its first {len(read)} rows is an item: {invalid[0]}"
        )
    trial = try_mapping(items, groups, catalog["fields"], SearchForm(decimal_mark=mark))
    rejected = len(read) - len(items)
    first: object = invalid[0] if invalid else None
    if unreadable:
        first = first or f"{unreadable.reason}; {unreadable.remedy}"
    if len(read) > len(records) + (unreadable is not None):
        first = first or f"rows with a {STORE_VIEW} only repeat an item; export one store view"
    return CatalogInspected(
        files=tuple(str(path) for path in paths),
        rows=len(read),
        items=len(items),
        rejected=rejected,
        first_rejected=str(first) if first else None,
        with_title_share=share(sum(bool(item.title.strip()) for item in items), len(read)),
        with_attributes_share=trial.with_attributes,
        expected_positions=trial.expected_positions,
        sample=trial.sample,
        fields=(
            *_field_reports(columns, fields, roles, proposals, len(records)),
            *(_nested_field(name, count, len(records)) for name, count in nested.items()),
        ),
        catalog=catalog,
        yaml=yaml.safe_dump({"catalog": catalog}, sort_keys=False, allow_unicode=True, width=100),
    )


# Read.


def _without_store_views(records: list[FeedObject]) -> list[FeedObject]:
    """Return the items themselves, if a feed repeats them for each store view."""
    items = [record for record in records if store_view(record) is None]
    return items or records


def _separator(records: Sequence[FeedObject]) -> str | None:
    """Return the separator of several values that most columns use; None if none does."""
    texts: Counter[str] = Counter()
    separated: Counter[tuple[str, str]] = Counter()
    for record in records:
        for name, value in record.items():
            if isinstance(value, str) and value:
                texts[name] += 1
                separated.update((s, name) for s in SEPARATORS if s in value.strip(s))
    columns = Counter(s for (s, name), n in separated.items() if n >= _SEPARATED * texts[name])
    return max(SEPARATORS, key=lambda s: columns[s]) if columns else None


def _profiles(
    records: Sequence[FeedObject], separator: str | None
) -> tuple[dict[str, FieldProfile], dict[str, FieldProfile], Counter[str]]:
    """Profile whole columns and their fields; count columns with unusable nested values."""
    columns: dict[str, FieldProfile] = {}
    fields: dict[str, FieldProfile] = {}
    nested: Counter[str] = Counter()
    for record in records:
        for name, held in record.items():
            # Its row is rejected, but its column is what it is.
            value = held.shown if isinstance(held, UnreadableValue) else held
            for profiles, split_by in ((columns, None), (fields, separator)):
                entries: FieldValues = {}
                try:
                    add_field(entries, name, value, split_by)
                except RecordInvalid:
                    nested[name] += split_by is None
                    break
                for field, text in entries.items():
                    if profiles is fields or field == name:
                        profiles.setdefault(field, FieldProfile(field)).add(text)
    return columns, fields, nested


# Propose.


def _roles(
    columns: Mapping[str, FieldProfile],
    fields: Mapping[str, FieldProfile],
    items: int,
    paths: Sequence[Path],
) -> dict[str, str]:
    roles = find_roles(list(columns.values()), items)
    needs = {"id": "a value of its own in every row", "title": "a text in nearly every row"}
    for role, need in needs.items():
        if role not in roles:
            raise CatalogInvalid(
                f"{paths[0]}: no column can be the {role}, which needs {need}; its columns are "
                f"{', '.join(fields)}; add one, or name it in catalog.{role} of topology.yaml"
            )
    return roles


def _mapping(
    roles: Mapping[str, str], separator: str | None, proposals: Mapping[str, FieldProposal]
) -> dict[str, Any]:
    mapped = {name: p.category for name, p in proposals.items() if p.category is not None}
    return {
        **{role: roles.get(role) for role in ROLES},
        "separator": separator,
        "fields": dict(sorted(mapped.items(), key=lambda entry: (entry[1], entry[0]))),
    }


def _field_reports(
    columns: Mapping[str, FieldProfile],
    fields: Mapping[str, FieldProfile],
    roles: Mapping[str, str],
    proposals: Mapping[str, FieldProposal],
    items: int,
) -> list[FieldInspected]:
    role_of = {name: role for role, name in roles.items()}
    inspected = []
    for name, profile in fields.items():
        role = role_of.get(name)
        shown_profile = columns[name] if role else profile
        proposal = FieldProposal(None, f"is the {role}") if role else proposals[name]
        inspected.append(
            FieldInspected(
                field=name,
                items_share=share(shown_profile.items, items),
                distinct=shown_profile.distinct,
                examples=shown_profile.examples(),
                role=role,
                category=proposal.category,
                why=proposal.why,
            )
        )
    return inspected


def _nested_field(name: str, count: int, items: int) -> FieldInspected:
    why = "nested or unreadable values: rows with them are rejected; flatten it or leave it out"
    return FieldInspected(name, share(count, items), 0, (), None, None, why)


# Try out.


def _items(
    records: Sequence[FeedObject], catalog: CatalogPart
) -> tuple[list[Item], list[RecordInvalid]]:
    items: list[Item] = []
    invalid: list[RecordInvalid] = []
    for record in records:
        try:
            items.append(to_item(record, catalog))
        except RecordInvalid as error:
            invalid.append(error)
    return items, invalid
