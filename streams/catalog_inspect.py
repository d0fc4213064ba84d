"""Looking at a feed that nobody has mapped yet: a proposed mapping, and what it would give.

read      the first rows, as columns and fields
propose   roles of columns, categories of fields (encoders/column_roles.py, field_proposal.py)
try out   build a codebook from these rows with that mapping, and encode them
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec
import yaml

from kae.encoders.attributes import Item
from kae.encoders.categories import Group
from kae.encoders.column_roles import find_roles
from kae.encoders.field_names import ROLES
from kae.encoders.field_profile import FieldProfile
from kae.encoders.field_proposal import Proposal, propose
from kae.streams.catalog import open_feeds, to_item
from kae.streams.catalog_files import Unreadable
from kae.streams.catalog_values import Fields, NotAnItem, add_field
from kae.streams.errors import CatalogInvalid
from kae.streams.mapping_tryout import SampleItem, share, try_out
from kae.streams.topology import CatalogPart

ROWS = 5000
# Text between several values, looked for in this order, and the share of a field's values with it.
SEPARATORS = ("|", " > ", " / ", "^", "~")
_SEPARATED = 0.2

Record = Mapping[str, Any]


class FieldInspected(msgspec.Struct, frozen=True):
    """A column or an entry of one: what its values are like, and what is proposed for it."""

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
    rows: int  # that were looked at
    items: int
    rejected: int
    first_rejected: str | None
    with_title_share: float
    with_attributes_share: tuple[float, ...]  # at least 1, 2, .. 6 attributes
    expected_positions: float  # filled, of 6, on average
    sample: SampleItem
    fields: tuple[FieldInspected, ...]
    catalog: dict[str, Any]  # as catalog of topology.yaml
    yaml: str  # the same, to be pasted


def inspect(paths: Sequence[Path], groups: Sequence[Group], rows: int = ROWS) -> CatalogInspected:
    """Propose a mapping for feed files from their first rows, and try it out.

    Raises: CatalogInvalid if a file cannot be read, or if no column can be the id or the title.
    """
    feeds = open_feeds(paths)
    read = list(islice(chain.from_iterable(feed.read() for feed in feeds), rows))
    records = [record for record in read if not isinstance(record, Unreadable)]
    unreadable = next((record for record in read if isinstance(record, Unreadable)), None)
    separator = _separator(records)
    columns, fields, nested = _profiles(records, separator)
    roles = _roles(columns, fields, len(records), paths)
    proposals = {
        name: propose(profile, len(records))
        for name, profile in fields.items()
        if name not in roles.values()
    }
    catalog = _mapping(roles, separator, proposals)
    items, refused = _items(records, CatalogPart.model_validate(catalog))
    if not items:
        raise CatalogInvalid(
            f"{paths[0]}: none of its first {len(read)} rows is an item: {refused[0]}"
        )
    tried = try_out(items, groups, catalog["fields"])
    rejected = len(read) - len(items)
    first = refused[0] if refused else unreadable and f"{unreadable.reason}; {unreadable.remedy}"
    return CatalogInspected(
        files=tuple(str(path) for path in paths),
        rows=len(read),
        items=len(items),
        rejected=rejected,
        first_rejected=str(first) if first else None,
        with_title_share=share(sum(bool(item.title.strip()) for item in items), len(read)),
        with_attributes_share=tried.with_attributes,
        expected_positions=tried.expected_positions,
        sample=tried.sample,
        fields=(
            *_inspected(columns, fields, roles, proposals, len(records)),
            *(_of_nested(name, count, len(records)) for name, count in nested.items()),
        ),
        catalog=catalog,
        yaml=yaml.safe_dump({"catalog": catalog}, sort_keys=False, allow_unicode=True, width=100),
    )


# Read.


def _separator(records: Sequence[Record]) -> str | None:
    """The text that parts several values in the most columns; a list needs none."""
    texts: Counter[str] = Counter()
    parted: Counter[tuple[str, str]] = Counter()
    for record in records:
        for name, value in record.items():
            if isinstance(value, str) and value:
                texts[name] += 1
                parted.update((s, name) for s in SEPARATORS if s in value.strip(s))
    columns = Counter(s for (s, name), n in parted.items() if n >= _SEPARATED * texts[name])
    return max(SEPARATORS, key=lambda s: columns[s]) if columns else None


def _profiles(
    records: Sequence[Record], separator: str | None
) -> tuple[dict[str, FieldProfile], dict[str, FieldProfile], Counter[str]]:
    """Profiles of whole columns, of the fields that they become, and columns that become none."""
    columns: dict[str, FieldProfile] = {}
    fields: dict[str, FieldProfile] = {}
    nested: Counter[str] = Counter()
    for record in records:
        for name, value in record.items():
            for profiles, parting in ((columns, None), (fields, separator)):
                become: Fields = {}
                try:
                    add_field(become, name, value, parting)
                except NotAnItem:
                    nested[name] += parting is None
                    break
                for field, text in become.items():
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
    roles: Mapping[str, str], separator: str | None, proposals: Mapping[str, Proposal]
) -> dict[str, Any]:
    mapped = {name: p.category for name, p in proposals.items() if p.category is not None}
    return {
        **{role: roles.get(role) for role in ROLES},
        "separator": separator,
        "fields": dict(sorted(mapped.items(), key=lambda entry: (entry[1], entry[0]))),
    }


def _inspected(
    columns: Mapping[str, FieldProfile],
    fields: Mapping[str, FieldProfile],
    roles: Mapping[str, str],
    proposals: Mapping[str, Proposal],
    items: int,
) -> list[FieldInspected]:
    role_of = {name: role for role, name in roles.items()}
    inspected = []
    for name, profile in fields.items():
        role = role_of.get(name)
        shown = columns[name] if role else profile
        proposal = Proposal(None, f"is the {role}") if role else proposals[name]
        inspected.append(
            FieldInspected(
                field=name,
                items_share=share(shown.items, items),
                distinct=shown.distinct,
                examples=shown.examples(),
                role=role,
                category=proposal.category,
                why=proposal.why,
            )
        )
    return inspected


def _of_nested(name: str, count: int, items: int) -> FieldInspected:
    why = "nested values: rows with it are rejected; flatten it or leave it out"
    return FieldInspected(name, share(count, items), 0, (), None, None, why)


# Try out.


def _items(records: Sequence[Record], catalog: CatalogPart) -> tuple[list[Item], list[NotAnItem]]:
    items: list[Item] = []
    refused: list[NotAnItem] = []
    for record in records:
        try:
            items.append(to_item(record, catalog))
        except NotAnItem as error:
            refused.append(error)
    return items, refused
