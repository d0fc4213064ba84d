"""`kae bench`: measures the live path, search quality, and how fast replicas and masks are."""

from pathlib import Path
from typing import Annotated

import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import JsonOption, TopologyOption
from kae.streams.errors import NotInstalled

app = typer.Typer(no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure the live path, and how well its index is searched."""


@app.command()
def live(
    items: Annotated[
        int, typer.Option(min=10_000, metavar="N", help="Item events a run.")
    ] = 60_000,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes a side.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, metavar="N", help="Live runs; medians count.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """The whole live path beside an empty Faust agent, and its core beside a fixed floor."""
    from kae.bench.core import measure_core
    from kae.bench.live import measure_live
    from kae.bench.report import LiveReport

    core = measure_core()
    measured = measure_live(items, workers, repeats)
    report = LiveReport.of(measured, core)
    if as_json:
        terminal.print_json(report)
        return
    terminal.print_table(
        f"Live path: {items:,} items, {workers} worker(s), median of {repeats}",
        ("what", "a second", "ratio"),
        (
            ("bare Faust agent, events", report.bare_faust_events_per_second, None),
            ("kae worker, events", report.events_per_second, report.ratio_to_bare_faust),
            ("floor, items", report.floor_items_per_second, None),
            ("core, items", report.core_items_per_second, report.core_ratio_to_floor),
        ),
    )


@app.command()
def soak(
    seconds: Annotated[float, typer.Option(min=20, metavar="S", help="How long.")] = 3600.0,
    items: Annotated[
        int, typer.Option(min=1000, metavar="N", help="Items in the index.")
    ] = 100_000,
    seed: Annotated[int, typer.Option(metavar="N", help="Decides who is killed, and when.")] = 1,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw freshness and memory; SVG.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Two workers and two replicas at half load, killed at random; ends with 1 if unsound."""
    from kae.bench.soak import measure_soak
    from kae.bench.soak_report import draw, report_of
    from kae.streams.topology.types import Topology

    run = measure_soak(seconds, items, seed)
    report = report_of(run, Topology.load().replica.fresh_within_seconds)
    if picture is not None:
        picture.write_bytes(draw(run, report))
    if as_json:
        terminal.print_json(report)
    else:
        terminal.print_table(
            f"{report.events:,} events in {seconds:g} s, {sum(report.kills.values())} kills",
            ("what", "seen"),
            (
                ("events a second, of", f"{report.load_events_per_second:,.0f}"),
                ("lost, doubled or not the same", len(report.problems)),
                ("freshness p50, p99 (ms)", f"{report.fresh_p50_ms} {report.fresh_p99_ms}"),
                ("probes beyond the SLO", f"{report.beyond_slo} of {report.probes}"),
                *((f"{one.process}: growth (MB)", one.growth_mb) for one in report.memory),
            ),
        )
    for problem in report.problems:
        terminal.print_warning(problem)
    if not report.is_sound:
        raise typer.Exit(1)


ItemsOption = Annotated[int, typer.Option(min=10_000, metavar="N", help="Items in the index.")]
WorkersOption = Annotated[int, typer.Option(min=1, metavar="N", help="Worker processes.")]


@app.command()
def term(
    items: ItemsOption = 100_000,
    matching: Annotated[
        int, typer.Option(min=1, metavar="N", help="Items that a term is bound to, within 2%.")
    ] = 10_000,
    terms: Annotated[
        int, typer.Option(min=2, metavar="N", help="Terms, and as many more under load.")
    ] = 100,
    workers: WorkersOption = 1,
    active: Annotated[
        int, typer.Option(min=0, max=1000, metavar="N", help="Other terms in force meanwhile.")
    ] = 0,
    approved: Annotated[
        bool, typer.Option("--approved", help="Each term is approved by another.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """From a term event to all its items decodable in a replica, beside Tantivy."""
    from kae.bench.latencies import TermReport
    from kae.bench.term import measure_term

    report = TermReport.of(measure_term(items, matching, terms, workers, active, approved))
    if as_json:
        terminal.print_json(report)
        return
    terminal.print_table(
        f"Term to decodable: {terms} terms of {report.matching[0]:,} to {report.matching[1]:,} "
        f"of {items:,} items",
        ("what", "p50 ms", "p99 ms", "ratio of p50"),
        (
            ("Tantivy, searchable", report.tantivy_p50_ms, report.tantivy_p99_ms, None),
            ("kae, decodable", report.p50_ms, report.p99_ms, report.ratio_to_tantivy),
            (
                f"kae at {report.load_events_per_second:,.0f} items/s",
                report.loaded_p50_ms,
                report.loaded_p99_ms,
                None,
            ),
        ),
    )


@app.command()
def freshness(
    items: ItemsOption = 100_000,
    probes: Annotated[
        int, typer.Option(min=2, metavar="N", help="Item events that are timed.")
    ] = 200,
    workers: WorkersOption = 1,
    as_json: JsonOption = False,
) -> None:
    """From an item event to its revision in a replica, beside two bare Kafka hops."""
    from kae.bench.freshness import measure_freshness
    from kae.bench.latencies import FreshnessReport

    report = FreshnessReport.of(measure_freshness(items, probes, workers))
    if as_json:
        terminal.print_json(report)
        return
    terminal.print_table(
        f"Item to visible: {probes} items of {items:,}, at {report.load_events_per_second:,.0f} "
        "item events/s",
        ("what", "p50 ms", "p99 ms", "ratio of p50"),
        (
            ("two bare hops", report.two_hops_p50_ms, report.two_hops_p99_ms, None),
            ("kae", report.p50_ms, report.p99_ms, report.ratio_to_two_hops),
        ),
    )


@app.command()
def mask(
    items: ItemsOption = 1_000_000,
    as_json: JsonOption = False,
) -> None:
    """The mask of constrained decoding beside a decoder step, a dict trie, and under writes."""
    from kae.bench.mask import measure_mask

    report = measure_mask(items)
    if as_json:
        terminal.print_json(report)
        return
    terminal.print_table(
        f"Mask: {report.beam} beams, {report.items:,} items; us, p50",
        ("depth", "mask", "under writes", "LogitsProcessor", "over a dict trie"),
        (
            (one.depth, one.p50_us, one.written_p50_us, one.processor_p50_us, one.dict_trie_p50_us)
            for one in report.depths
        ),
    )
    if report.note:
        terminal.err.print(report.note, highlight=False)


@app.command()
def replica(
    items: ItemsOption = 1_000_000,
    small: Annotated[
        int, typer.Option(min=10_000, metavar="N", help="Items of the run that growth is told by.")
    ] = 100_000,
    as_json: JsonOption = False,
) -> None:
    """A replica that begins with snapshots beside a bare read of them, and edits a second."""
    from kae.bench.replica import measure_replica

    report = measure_replica(items, small)
    if as_json:
        terminal.print_json(report)
        return
    terminal.print_table(
        f"Replica: {report.items:,} items, {report.paths:,} paths",
        ("what", "figure"),
        (
            ("seconds to the first mask", report.bootstrap_seconds_1m),
            ("  of which fetching", report.fetch_seconds),
            ("to a bare read of files and keys", report.ratio_bootstrap_to_raw_read),
            (f"beside that of {report.small_items:,} items", report.growth),
            ("seconds to the first search, after that", report.words_seconds),
            ("edits a second", report.edits_per_second),
            ("bytes an item and path", report.bytes_per_item),
        ),
    )


@app.command()
def languages(topology: TopologyOption = None, as_json: JsonOption = False) -> None:
    """Recall of queries in ten languages that write the words of items otherwise; without Kafka."""
    from kae.bench.languages import measure_languages
    from kae.streams.local_run import open_topology

    report = measure_languages(open_topology(topology))
    if as_json:
        terminal.print_json(report)
        return
    terminal.print_table(
        f"Spellings: {report.queries} queries, {report.items} items",
        ("language", "recall@10"),
        (*report.by_language.items(), ("all", report.recall_at_10)),
    )


@app.command()
def search(
    queries: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="CSV with the header query,docid,rating; a docid is an item's id, 0 not relevant.",
        ),
    ],
    catalog: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", show_default=False, help="Feed file, repeatable; else the demo's."
        ),
    ] = None,
    codebook: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", show_default=False, help="Codebook to use instead of the topology's."
        ),
    ] = None,
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """A replica's search beside BM25, on judged queries, without Kafka."""
    from kae.bench.search import measure_search
    from kae.deploy.demo import CATALOG
    from kae.streams.local_run import open_topology

    loaded = open_topology(topology)
    report = measure_search(queries, catalog or CATALOG, loaded, codebook or loaded.codebook_folder)
    if as_json:
        terminal.print_json(report)
        return
    terminal.print_table(
        f"Search: {report.queries:,} queries, {report.items:,} items, {report.paths:,} paths",
        ("what", "recall@350", "nDCG@10", "p50 ms"),
        (
            ("BM25", report.bm25_recall_at_350, report.bm25_ndcg_at_10, report.bm25_p50_ms),
            ("kae", report.recall_at_350, report.ndcg_at_10, report.p50_ms),
            ("ratio", report.recall_ratio_to_bm25, report.ndcg_ratio_to_bm25, None),
        ),
    )


@app.command()
def extract(
    rounds: Annotated[int, typer.Option(min=1, metavar="N", help="Of each side, in turn.")] = 7,
    codebook: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", show_default=False, help="Codebook to use instead of the topology's."
        ),
    ] = None,
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fields and dictionary beside a bare scan of the same titles, and the tagger; no Kafka."""
    from kae.bench.extract import measure_extract
    from kae.encoders.tagger.tagger import Tagger
    from kae.streams.local_run import open_topology

    loaded = open_topology(topology)
    report = measure_extract(codebook or loaded.codebook_folder, loaded, rounds, Tagger())
    if as_json:
        terminal.print_json(report)
        return
    terminal.print_table(
        f"Extraction: {report.items:,} items, {report.words:,} words, median of {report.rounds}",
        ("what", "titles a second", "ratio", "p99 ms of a batch"),
        (
            ("bare automaton", report.raw_scan_titles_per_second, None, None),
            (
                "fields and title",
                report.dictionary_titles_per_second,
                report.ratio_to_raw_scan,
                None,
            ),
            ("and description", report.with_descriptions_per_second, None, report.p99_batch_ms),
            ("tagger", report.tagger_titles_per_second, None, report.tagger_p99_batch_ms),
        ),
    )


@app.command()
def backfill(
    items: ItemsOption = 1_000_000,
    small: Annotated[
        int, typer.Option(min=10_000, metavar="N", help="Items of the run that growth is told by.")
    ] = 100_000,
    as_json: JsonOption = False,
) -> None:
    """A backfill beside Tantivy's bulk indexing and a Beam pipeline that only counts; no Kafka."""
    from kae.bench.backfill import measure_backfill

    report = measure_backfill(items, small)
    if as_json:
        terminal.print_json(report)
        return
    terminal.print_table(
        f"Backfill: {report.items:,} items, {report.peak_memory_mb:,.0f} MB at most",
        ("what", "seconds", "ratio"),
        (
            ("backfill", report.seconds, None),
            ("Tantivy, bulk", report.tantivy_seconds, report.ratio_to_tantivy_bulk),
            ("Beam, counting", report.passthrough_seconds, report.ratio_to_beam_passthrough),
            (f"backfill of {report.small_items:,}", report.small_seconds, report.growth),
        ),
    )


@app.command()
def retriever(
    catalog: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="ITEMS", show_default=False, help="Feed file, repeatable; else the demo's."
        ),
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(
            metavar="JUDGEMENTS",
            show_default=False,
            help="CSV with the header query,docid,rating: 2.33 and more is a click, 3 an order.",
        ),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(metavar="JUDGEMENTS", show_default=False, help="The same, of other queries."),
    ] = None,
    codebook: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", show_default=False, help="Codebook to use instead of fitting one."
        ),
    ] = None,
    ceiling: Annotated[
        bool, typer.Option("--ceiling", help="Only what encodings allow; nothing is trained.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Models of each kind.")] = 3,
    first_seed: Annotated[int, typer.Option("--seed", min=1, metavar="N", help="The first.")] = 1,
    minutes: Annotated[
        float, typer.Option(min=0.01, metavar="N", help="Training of a model, on one thread.")
    ] = 15.0,
    nonce: Annotated[
        int, typer.Option("--nonce-words", min=6, metavar="N", help="Made up words that are bound.")
    ] = 2_000,
    removed: Annotated[
        int, typer.Option("--removed-words", min=0, metavar="N", help="Real words that are bound.")
    ] = 200,
    stages: Annotated[
        bool, typer.Option("--stages/--no-stages", help="Train without each stage, too.")
    ] = True,
    work: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            show_default=False,
            help="Keeps models and answers; a stopped run goes on there.",
        ),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, metavar="N", help="Models that are trained side by side.")
    ] = 2,
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """A trained retriever on judged queries, beside closed codebooks and other searches."""
    try:
        from kae.bench.retriever.bench import BenchSize, kept_in, measure_retriever
        from kae.bench.retriever.ceiling import measure_ceilings
        from kae.bench.retriever.inputs import read_inputs
        from kae.bench.retriever.kept_vectors import kept_vectors
        from kae.bench.retriever.tables import ceiling_tables, judged_tables, print_tables
        from kae.streams.retrieval.model_decoding import PATH_ITEMS
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f"`kae bench retriever` trains with the module {error.name}, which is not installed; "
            "in a clone: make neural; elsewhere: pip install 'kae[neural]'"
        ) from error
    from kae.streams.local_run import open_topology

    given = read_inputs(catalog, train, test, open_topology(topology), codebook, first_seed)
    if ceiling:
        with kept_in(work) as folder:
            ceilings = measure_ceilings(
                given, lambda titles: kept_vectors(titles, folder), PATH_ITEMS, first_seed
            )
        if as_json:
            terminal.print_json(ceilings)
        else:
            print_tables(ceiling_tables(ceilings))
        return
    size = BenchSize(seeds, minutes, nonce, removed, stages)
    with kept_in(work) as folder:
        report = measure_retriever(given, size, first_seed, folder, processes)
    if as_json:
        terminal.print_json(report)
    else:
        print_tables(judged_tables(report))
