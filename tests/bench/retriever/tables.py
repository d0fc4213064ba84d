"""The tables of `kae bench retriever` on a terminal."""

from collections.abc import Iterable, Mapping

from kae.bench.retriever.ceiling import CeilingReport
from kae.bench.retriever.report import NonceRow, Ranked, RetrieverReport
from kae.bench.retriever.resampling import Interval
from kae.streams.cli import terminal

Cell = str | float | int | None
Table = tuple[str, tuple[str, ...], list[tuple[Cell, ...]]]


def print_tables(tables: Iterable[Table]) -> None:
    for title, columns, rows in tables:
        terminal.print_table(title, columns, rows)


def ceiling_tables(report: CeilingReport) -> Iterable[Table]:
    """What each encoding allows, and what the vocabulary knows of the queries.

    Title, columns and rows of each table, for a terminal and for docs/retriever.md.
    """
    yield (
        f"What encodings of {report.items:,} items allow, before any training",
        ("encoding", "identifiers", "items each", "at most", "HR@10", "HR@100", "HR@350"),
        [
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
        ],
    )
    yield (
        "Pairs in which the identifiers of query and item have a position in common",
        ("encoding", "pairs", "by chance"),
        [
            (name, f"{one.pairs_sharing_a_position:.1%}", f"{one.pairs_sharing_by_chance:.1%}")
            for name, one in report.encodings.items()
        ],
    )
    queries = report.queries
    yield (
        f"What the vocabulary knows of {queries.queries:,} held-back queries",
        ("what", "queries", "share"),
        [
            (what, number, f"{number / queries.queries:.1%}")
            for what, number in (
                ("with an identifier", queries.with_identifier),
                ("with an unknown word", queries.with_unknown),
            )
        ],
    )
    yield (
        f"Of {queries.pairs:,} pairs of a query and a clicked item",
        ("the item", "pairs", "share"),
        [
            (what, number, f"{number / queries.pairs:.1%}")
            for what, number in (
                ("is in the catalog", queries.pairs_in_catalog),
                ("has a slot of the query's identifier on its own", queries.pairs_sharing_a_slot),
                ("has a word of the query, on its identifier or not", queries.pairs_sharing_a_word),
            )
        ],
    )


_RANKED = ("HR@10", "HR@100", "HR@350", "orders' HR@350", "recall@350", "MRR", "nDCG@10")


def judged_tables(report: RetrieverReport) -> Iterable[Table]:
    """Title, columns and rows of each table, for a terminal and for docs/retriever.md."""
    yield (
        "What must be shown",
        ("key", "ratio", "at least"),
        [
            (
                "hr350_ratio_to_best_closed",
                report.hr350_ratio_to_best_closed,
                report.hr350_ratio_lower,
            ),
            (
                "ihr350_ratio_to_best_closed",
                report.ihr350_ratio_to_best_closed,
                report.ihr350_ratio_lower,
            ),
            ("ihr350_ratio_beams_alone", report.ihr350_ratio_beams_alone, None),
            ("ihr350_ratio_to_fair_edit", report.ihr350_ratio_to_fair_edit, None),
            (
                "real_words_ratio_to_fair_edit",
                report.real_words_ratio_to_fair_edit,
                report.real_words_ratio_lower,
            ),
            ("real_words_ratio_beams_alone", report.real_words_ratio_beams_alone, None),
            ("iar350_ratio_to_bm25", report.iar350_ratio_to_bm25, None),
            ("cold_ratio_to_warm", report.cold_ratio_to_warm, None),
            ("both_ratio_to_best_peer", report.both_ratio_to_best_peer, report.both_ratio_lower),
            ("query_p50_ms", report.query_p50_ms, None),
        ],
    )
    yield (
        f"Encodings: {report.queries:,} held-back queries, {report.items:,} items",
        ("encoding", *_RANKED, "HR@350 unmasked", "live beams"),
        [
            (name, *_ranked(one), one.free_hr350, one.live_share)
            for name, one in report.encodings.items()
        ],
    )
    yield (
        "Beside other searches",
        ("search", *_RANKED),
        [(name, *_ranked(one)) for name, one in report.peers.items()],
    )
    yield (
        "Without one of the stages",
        ("stage left out", "HR@350", "IHR@350"),
        [(name, one.hr350, one.ihr350) for name, one in report.stages.items()],
    )
    yield (
        f"{report.nonce_words:,} nonce words: IHR@350",
        ("edit", "alone", "in queries", "both", "IAR@350"),
        [*_nonce(report.nonce, ""), *_nonce(report.nonce_fair, ", fair edit")],
    )
    yield (
        f"HR@350 of {report.queries_of_removed_words:,} queries for removed words",
        ("encoding", "before", "bound, or edited fairly"),
        [
            *((name, one.before, _shown(one.after)) for name, one in report.real.items()),
            *((name, None, _shown(found)) for name, found in report.real_peers.items()),
        ],
    )
    yield (
        f"{report.cold_items:,} cold items: HR@350",
        ("encoding", "warm pairs", "cold pairs"),
        [(name, _shown(one.warm), _shown(one.cold)) for name, one in report.cold.items()],
    )
    yield (
        "What a query costs",
        ("beams", "p50 ms", "p99 ms", "share of the mask"),
        [(one.beam, one.p50_ms, one.p99_ms, one.mask_share) for one in report.costs],
    )


def _ranked(one: Ranked) -> tuple[Cell, ...]:
    return (
        one.hr10,
        one.hr100,
        _shown(one.hr350),
        one.order_hr350,
        one.recall350,
        one.mrr,
        one.ndcg10,
    )


def _nonce(rows: Mapping[str, NonceRow], suffix: str) -> Iterable[tuple[Cell, ...]]:
    for name, one in rows.items():
        iar = None if one.iar350 is None else _shown(one.iar350)
        yield f"{name}{suffix}", one.ihr350_alone, one.ihr350_in_queries, _shown(one.ihr350), iar


def _shown(interval: Interval) -> str:
    return f"{interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})"
