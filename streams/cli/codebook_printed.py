"""Codebooks as tables for people: measures, positions, differences."""

from kae.encoders.quality import Quality
from kae.streams import console
from kae.streams.codebook_diff import CodebooksDiffer, Meaning, Place
from kae.streams.codebook_quality import Evaluated
from kae.streams.codebook_shown import CodebookShown


def print_evaluated(report: Evaluated) -> None:
    """One row a codebook, in the same columns."""
    measured: list[tuple[str, Quality]] = [(report.folder, report), *report.baselines.items()]
    console.print_table(
        f"{report.items:,} items, {report.seconds:.1f} s",
        ("codebook", "coverage", "icr", "bits an item", "items an identifier, p99", "cur"),
        (
            (
                name,
                f"{quality.coverage:.1%}",
                f"{quality.icr:.1%}",
                quality.bits_per_item,
                quality.items_per_identifier_p99,
                " ".join(f"{used:.1%}" for used in quality.cur),
            )
            for name, quality in measured
        ),
    )
    if report.rejected:
        console.err.print(f"{report.rejected:,} rows are not items and were left out")


def print_shown(shown: CodebookShown) -> None:
    """What each position holds, then its head words."""
    console.print_table(
        f"Codebook {shown.folder}: {shown.catalog_items:,} items, {shown.fingerprint}",
        ("", "group", "capacity", "solo", "clusters", "free", "reserved", "words", "no slot"),
        (
            (
                each.position,
                each.group,
                each.capacity,
                each.solo,
                each.clusters,
                each.free,
                each.reserved,
                each.words,
                each.words_without_slot,
            )
            for each in shown.positions
        ),
    )
    for each in shown.positions:
        said = ", ".join(f"{head.word} ({head.items:,})" for head in each.head_words)
        if said:
            console.out.print(f"{each.position} {each.group}: {said}", markup=False)


def print_difference(difference: CodebooksDiffer) -> None:
    """Which words moved, and which items would."""
    if difference.same:
        console.out.print("the same codebook", highlight=False)
        return
    console.print_table(
        f"Words: {difference.added:,} added, {difference.removed:,} removed, "
        f"{difference.moved:,} moved",
        ("category", "word", "items", "was", "becomes"),
        (
            (word.category, word.word, word.items, _place(word.was), _place(word.becomes))
            for word in difference.words
        ),
    )
    items = difference.items
    if items is not None:
        console.print_table(
            f"Items: {items.moved:,} of {items.items:,} move, {items.renumbered:,} have other "
            "numbers",
            ("item", "was", "becomes"),
            ((each.id, _said(each.was), _said(each.becomes)) for each in items.first_moved),
        )


def _place(place: Place | None) -> str:
    if place is None:
        return "-"
    return f"{place.group}: {place.head or 'no slot'}"


def _said(words: Meaning) -> str:
    return " | ".join(word or "-" for word in words)
