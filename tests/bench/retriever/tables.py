"""The tables of `kae bench retriever` on a terminal."""

from kae.bench.retriever.ceiling import CeilingReport
from kae.streams.cli import terminal


def print_ceilings(report: CeilingReport) -> None:
    """What each encoding allows, and what the vocabulary knows of the queries."""
    terminal.print_table(
        f"What encodings of {report.items:,} items allow, before any training",
        ("encoding", "identifiers", "items each", "at most", "HR@10", "HR@100", "HR@350"),
        (
            (
                name,
                one.identifiers,
                one.items_per_identifier,
                one.most_items_per_identifier,
                one.hr10,
                one.hr100,
                one.hr350,
            )
            for name, one in report.encodings.items()
        ),
    )
    queries = report.queries
    terminal.print_table(
        f"What the vocabulary knows of {queries.queries:,} held-back queries",
        ("what", "queries", "share"),
        (
            (what, number, f"{number / queries.queries:.1%}")
            for what, number in (
                ("with an identifier", queries.with_identifier),
                ("with slots for search", queries.with_clauses),
                ("with an unknown word", queries.with_unknown),
            )
        ),
    )
    terminal.print_table(
        f"Of {queries.pairs:,} pairs of a query and a clicked item",
        ("the item", "pairs", "share"),
        (
            (what, number, f"{number / queries.pairs:.1%}")
            for what, number in (
                ("is in the catalog", queries.pairs_in_catalog),
                ("shares a slot with the query", queries.pairs_sharing_a_slot),
                ("has every slot of the query", queries.pairs_sharing_all),
            )
        ),
    )
