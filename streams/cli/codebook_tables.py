"""Codebooks as tables for people: quality, positions and differences."""

from kae.encoders.groups.information import IdentifierQuality
from kae.streams.cli import terminal
from kae.streams.cli.groups import print_fitted
from kae.streams.cli.vocabulary import print_accepted
from kae.streams.codebooks.diff import CodebooksDiffer, HeadWords, SlotPlace
from kae.streams.codebooks.fit import CodebookFitted
from kae.streams.codebooks.quality import CodebookEvaluated
from kae.streams.codebooks.summary import CodebookShown


def print_fit(report: CodebookFitted) -> None:
    """Print the groups and positions, then a summary of the fit."""
    print_fitted(report.groups)
    print_shown(report.codebook)
    quality = report.quality
    terminal.out.print(
        f"{quality.coverage:.1%} of the items have three positions or more, {quality.icr:.1%} an "
        f"identifier of their own; {report.seconds:.1f} s, "
        f"{report.peak_memory_bytes / 2**30:.2f} GiB at most",
        highlight=False,
        soft_wrap=True,
    )
    if report.candidates:
        print_accepted(report.candidates)
    if report.groups.fitted:
        terminal.out.print(
            f"replace `groups` in topology.yaml by {report.groups.files[0]}: a worker needs the "
            "groups that its codebook was fitted with",
            highlight=False,
            soft_wrap=True,
        )


def print_evaluated(report: CodebookEvaluated) -> None:
    """Print the quality of the codebook and of each baseline, one row each."""
    measured: list[tuple[str, IdentifierQuality]] = [
        (report.folder, report),
        *report.baselines.items(),
    ]
    terminal.print_table(
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
        terminal.err.print(f"{report.rejected:,} rows are not items and were left out")


def print_shown(shown: CodebookShown) -> None:
    """Print what each position holds, then its head words."""
    terminal.print_table(
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
        head_words = ", ".join(f"{head.word} ({head.items:,})" for head in each.head_words)
        if head_words:
            line = f"{each.position} {each.group}: {head_words}"
            terminal.out.print(line, markup=False, highlight=False, soft_wrap=True)


def print_difference(difference: CodebooksDiffer) -> None:
    """Print which words moved, and which items would move."""
    if difference.same:
        terminal.out.print("the same codebook", highlight=False)
        return
    terminal.print_table(
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
        terminal.print_table(
            f"Items: {items.moved:,} of {items.items:,} move, {items.renumbered:,} have other "
            "numbers",
            ("item", "was", "becomes"),
            ((each.id, _joined(each.was), _joined(each.becomes)) for each in items.first_moved),
        )


def _place(place: SlotPlace | None) -> str:
    if place is None:
        return "-"
    return f"{place.group}: {place.head or 'no slot'}"


def _joined(words: HeadWords) -> str:
    return " | ".join(word or "-" for word in words)
