"""What `kae catalog inspect` prints for people."""

from typing import TYPE_CHECKING

from kae.streams import console

if TYPE_CHECKING:
    from kae.streams.catalog_inspect import CatalogInspected


def print_inspected(found: "CatalogInspected") -> None:
    """Print the columns, what the mapping gives, and the mapping as YAML to be pasted."""
    console.print_table(
        f"Fields of {', '.join(found.files)}, by its first {found.rows:,} rows",
        ("field", "items", "distinct", "examples", "proposed", "why"),
        (
            (
                field.field,
                f"{field.items_share:.1%}",
                field.distinct,
                " | ".join(field.examples),
                field.role or field.category,
                field.why,
            )
            for field in found.fields
        ),
    )
    attributes = found.with_attributes_share
    console.print_table(
        "What this mapping gives",
        ("items", "rejected", "with a title", "with 1, 3, 6 attributes", "positions filled"),
        (
            (
                found.items,
                found.rejected,
                f"{found.with_title_share:.1%}",
                ", ".join(f"{attributes[n - 1]:.1%}" for n in (1, 3, 6)),
                f"{found.expected_positions:.2f} of {len(found.sample.words)}",
            ),
        ),
    )
    console.print_table(
        f"A typical item: {found.sample.id}, {found.sample.title[:80]}",
        ("position", "group", "category", "word", "items with a word here"),
        (
            (place, word.group, word.category, word.word, f"{word.filled_share:.1%}")
            for place, word in enumerate(found.sample.words)
        ),
    )
    console.out.print("Put this in place of catalog in topology.yaml:\n", style="bold")
    console.out.print(found.yaml, markup=False, highlight=False, soft_wrap=True)
    if found.first_rejected:
        console.print_warning(
            f"{found.rejected:,} of {found.rows:,} rows are not items; first: "
            f"{found.first_rejected}"
        )
