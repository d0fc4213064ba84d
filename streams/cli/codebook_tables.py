"""Codebooks as tables for people: measures, positions, differences."""

from kae.encoders.groups.information import Quality
from kae.streams.cli import terminal
from kae.streams.cli.groups import print_fitted
from kae.streams.cli.vocabulary import print_taken
from kae.streams.codebooks.diff import CodebooksDiffer, Meaning, SlotPlace
from kae.streams.codebooks.fit import CodebookFitted
from kae.streams.codebooks.quality import Evaluated
from kae.streams.codebooks.summary import CodebookShown


def print_fit(report: CodebookFitted) -> None:
    """The positions, then the fit in a few lines."""
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
        print_taken(report.candidates)
    if report.groups.fitted:
        terminal.out.print(
            f"put {report.groups.files[0]} in the place of `groups` in topology.yaml: a worker "
            "runs a codebook with the groups that it was fitted with",
            highlight=False,
            soft_wrap=True,
        )


def print_evaluated(report: Evaluated) -> None:
    """One row a codebook, in the same columns."""
    measured: list[tuple[str, Quality]] = [(report.folder, report), *report.baselines.items()]
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
    """What each position holds, then its head words."""
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
        said = ", ".join(f"{head.word} ({head.items:,})" for head in each.head_words)
        if said:
            line = f"{each.position} {each.group}: {said}"
            terminal.out.print(line, markup=False, highlight=False, soft_wrap=True)


def print_difference(difference: CodebooksDiffer) -> None:
    """Which words moved, and which items would."""
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
            ((each.id, _said(each.was), _said(each.becomes)) for each in items.first_moved),
        )


def _place(place: SlotPlace | None) -> str:
    if place is None:
        return "-"
    return f"{place.group}: {place.head or 'no slot'}"


def _said(words: Meaning) -> str:
    return " | ".join(word or "-" for word in words)
