"""The mask of constrained decoding, beside a decoder step, a dict trie, and under writes."""

import csv
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from kae.bench.live import BenchFailed
from kae.bench.live_trie import BEAM, ByDepth, LiveTrie, beams_of, seconds_of, widest
from kae.bench.recombined_items import CatalogShape, Identifiers, Recombination, shape_of
from kae.deploy.demo import CATALOG
from kae.encoders.categories import POSITIONS, Group
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.codebook.tokens import TokenLayout
from kae.encoders.fitting.build import build_codebook
from kae.encoders.items import Item
from kae.sinks.trie.prefixes import Prefixes
from kae.streams.catalog.rows import read_items
from kae.streams.cli import terminal
from kae.streams.replica.decode import Decode
from kae.streams.replica.shared_views import SharedViews
from kae.streams.replica.shared_views_writer import SharedViewsWriter
from kae.streams.runtime.interpreter import set_for_indexing
from kae.streams.topology.types import Topology

SEED = 20260613
QUERIES = Path(__file__).parent / "judged" / "icecat.csv"
QUERIES_ASKED = 24
TIMES = 1920  # a depth and a kind of prefixes
OUR_TIMES = 96
THEIR_TIMES = 12
REFRESHES = 200
REFRESHES_SECONDS = 60
EDITS_A_SECOND = 1000
SHARED_MEMORY = "/dev/shm"
# The capacities of the method's paper: 9,216 core codes and 60 reserved.
DENSE, LIGHT, RESERVED = 2058, 1034, 10
DENSE_GROUPS = 3  # those that have most room in the topology
NO_TORCH = "torch and transformers are not installed: pip install kae[neural]"


class Depth(msgspec.Struct, frozen=True):
    """Of 512 prefixes of one length, those of real queries or the widest, whichever took longer."""

    depth: int
    p50_us: float
    p99_us: float
    written_p50_us: float
    written_p99_us: float
    ratio_under_writes: float
    shared_p99_us: float  # of views that another process lays, at rest
    within_p99_us: float  # under writes of a thread of the same process
    ratio_within_process: float
    processor_p50_us: float | None
    dict_trie_p50_us: float | None
    processor_ratio_to_dict_trie: float | None


class MaskReport(msgspec.Struct, frozen=True):
    """What `kae bench mask --json` prints. Of all depths the worst counts; shares and ratios are of
    medians. `ratio_under_writes` and `ratio_within_process` are of 99th percentiles, under writes
    and at rest: of a decoder that maps the views of a process beside, and of one whose own process
    writes. `refresh_p50_us` is what a decode takes that maps a new view, one in 50 ms at most: too
    few for the 99th percentiles. Null without torch; `note` says why."""

    p50_us: float
    p99_us: float
    mask_share_of_decode_step: float | None
    processor_share_of_decode_step: float | None
    processor_ratio_to_dict_trie: float | None
    ratio_under_writes: float
    ratio_within_process: float
    refresh_p50_us: float
    refresh_p99_us: float
    decode_step_ms: float | None
    edits_per_second: float
    views: int
    slowest_view_ms: float
    trie_bytes_per_entry: float  # of an item and a path of it
    depths: list[Depth]
    items: int
    beam: int
    scores: tuple[int, int]
    recombined: CatalogShape
    catalog: CatalogShape
    codebook: str
    note: str | None


def measure_mask(items: int) -> MaskReport:
    """Recombine items, then ask; raises what reading the catalog raises."""
    topology = Topology.load()
    catalog = list(read_items(CATALOG, topology.catalog))
    codebook = paper_codebook(catalog, topology)
    recombination = Recombination.of(codebook, catalog)
    own = recombination.identifiers(recombination.donors(SEED, items))
    terminal.err.print(f"building a trie of {items:,} items", highlight=False)
    held = LiveTrie(own)
    set_for_indexing()  # as a replica is
    try:
        return _measured(held, codebook, recombination)
    finally:
        held.close()


def paper_codebook(catalog: Sequence[Item], topology: Topology) -> Codebook:
    """A codebook of the catalog with the topology's groups and the paper's capacities."""
    own = topology.codebook_groups
    dense = sorted(own, key=lambda group: group.capacity - group.reserved)[-DENSE_GROUPS:]
    groups = [Group(g.name, g.categories, DENSE if g in dense else LIGHT, RESERVED) for g in own]
    with TemporaryDirectory(prefix="kae-bench-") as folder:
        return build_codebook(lambda: catalog, groups, topology.catalog.fields, Path(folder))


def _measured(held: LiveTrie, codebook: Codebook, recombination: Recombination) -> MaskReport:
    own = held.identifiers
    decode = Decode(held.view, codebook)
    kinds = _prefixes(decode, codebook, recombination, own)
    terminal.err.print("asking for masks, at rest and under writes", highlight=False)
    rest = _by_depth(kinds, lambda batches: seconds_of(decode.mask, batches, TIMES))

    def fresh(prefixes: Prefixes) -> object:
        return Decode(held.view, codebook).mask(prefixes)

    with TemporaryDirectory(prefix="kae-bench-", dir=SHARED_MEMORY) as folder:
        share = SharedViewsWriter(Path(folder))
        share.write(held.view, codebook)
        views = SharedViews(folder)

        def mapped(prefixes: Prefixes) -> object:
            return views.decode().mask(prefixes)

        shared = _by_depth(kinds, lambda batches: seconds_of(mapped, batches, TIMES))
        with held.written_beside(EDITS_A_SECOND, share, codebook):
            written = _by_depth(kinds, lambda batches: seconds_of(mapped, batches, TIMES))
            refreshing = _refreshing(SharedViews(folder, refresh_seconds=0))
    with held.written(EDITS_A_SECOND):
        within = _by_depth(kinds, lambda batches: seconds_of(fresh, batches, TIMES))
    beside = _beside(decode, codebook, own, kinds)
    depths = [
        _depth(depth, rest[depth], shared[depth], written[depth], within[depth], beside)
        for depth in range(POSITIONS)
    ]
    worst = max(one.p50_us for one in depths)
    step = beside.step_seconds * 1e6 if beside else None
    return MaskReport(
        p50_us=worst,
        p99_us=max(one.p99_us for one in depths),
        mask_share_of_decode_step=_share(worst, step),
        processor_share_of_decode_step=_share(
            max(one.processor_p50_us or 0.0 for one in depths), step
        ),
        processor_ratio_to_dict_trie=min(
            (one.processor_ratio_to_dict_trie for one in depths if beside),
            key=lambda ratio: ratio or 0.0,
            default=None,
        ),
        ratio_under_writes=max(one.ratio_under_writes for one in depths),
        ratio_within_process=max(one.ratio_within_process for one in depths),
        refresh_p50_us=_worst([refreshing], 50),
        refresh_p99_us=_worst([refreshing], 99),
        decode_step_ms=None if step is None else round(step / 1000, 1),
        edits_per_second=round(held.edits / held.written_seconds, 1),
        views=held.views,
        slowest_view_ms=round(held.slowest_view_seconds * 1000, 2),
        trie_bytes_per_entry=round(held.trie_bytes / held.view.trie.entry_count, 1),
        depths=depths,
        items=len(own),
        beam=BEAM,
        scores=(BEAM, sum(group.capacity for group in codebook.groups)),
        recombined=shape_of(own),
        catalog=shape_of(recombination.own),
        codebook=codebook.fingerprint,
        note=None if beside else NO_TORCH,
    )


Kinds = Sequence[ByDepth]
Times = list[float]


def _prefixes(
    decode: Decode, codebook: Codebook, recombination: Recombination, own: Identifiers
) -> Kinds:
    """Those that beams of real queries hold, and those with the most children."""
    with QUERIES.open(newline="") as lines:
        asked = sorted({row["query"] for row in csv.DictReader(lines)})
    queries = asked[:: max(1, len(asked) // QUERIES_ASKED)]
    return beams_of(queries, decode, codebook, recombination.own), widest(decode, own)


def _by_depth(kinds: Kinds, measure: Callable[[Sequence[Prefixes]], Times]) -> list[list[Times]]:
    """The times of each depth, a list for each kind."""
    return [[measure(kind[depth]) for kind in kinds] for depth in range(POSITIONS)]


class _Beside(msgspec.Struct):
    """What torch was needed for: times as those of masks."""

    step_seconds: float
    ours: list[list[Times]]
    theirs: list[list[Times]]


def _beside(decode: Decode, codebook: Codebook, own: Identifiers, kinds: Kinds) -> _Beside | None:
    if find_spec("torch") is None or find_spec("transformers") is None:
        return None
    from kae.bench.bart_step import Processors, step_seconds

    terminal.err.print("a decoder step of BART-base, and a dict trie", highlight=False)
    layout = TokenLayout.of(codebook, 0)
    processors = Processors(decode, layout, own)
    for kind in kinds:
        if not processors.agree(kind):
            raise BenchFailed("the mask and the dict trie allow different slots")
    return _Beside(
        step_seconds(layout.size),
        _by_depth(kinds, lambda batches: processors.ours(batches, OUR_TIMES)),
        _by_depth(kinds, lambda batches: processors.theirs(batches, THEIR_TIMES)),
    )


def _depth(
    depth: int,
    rest: Sequence[Times],
    shared: Sequence[Times],
    written: Sequence[Times],
    within: Sequence[Times],
    beside: _Beside | None,
) -> Depth:
    p50, p99 = _worst(rest, 50), _worst(rest, 99)
    shared_p99, written_p99, within_p99 = (_worst(one, 99) for one in (shared, written, within))
    ours = theirs_us = ratio = None
    if beside is not None:
        ours, theirs_us = _worst(beside.ours[depth], 50), _worst(beside.theirs[depth], 50)
        ratio = min(
            median(theirs) / median(mine)
            for theirs, mine in zip(beside.theirs[depth], beside.ours[depth], strict=True)
        )
    return Depth(
        depth=depth,
        p50_us=p50,
        p99_us=p99,
        written_p50_us=_worst(written, 50),
        written_p99_us=written_p99,
        ratio_under_writes=round(written_p99 / shared_p99, 2),
        shared_p99_us=shared_p99,
        within_p99_us=within_p99,
        ratio_within_process=round(within_p99 / p99, 2),
        processor_p50_us=ours,
        dict_trie_p50_us=theirs_us,
        processor_ratio_to_dict_trie=None if ratio is None else round(ratio, 1),
    )


def _worst(kinds: Sequence[Times], percent: int) -> float:
    """Microseconds of the kind of prefixes that took longer."""
    return round(max(float(np.percentile(times, percent)) for times in kinds) * 1e6, 1)


def _refreshing(views: SharedViews) -> Times:
    """Of decodes that begin with a view that has just been laid."""
    took: Times = []
    before = views.decode().version.view
    deadline = time.monotonic() + REFRESHES_SECONDS
    while len(took) < REFRESHES:
        if time.monotonic() > deadline:
            raise BenchFailed(f"{len(took)} new views in {REFRESHES_SECONDS} s")
        began = time.perf_counter()
        view = views.decode().version.view
        if view != before:
            took.append(time.perf_counter() - began)
        before = view
    return took


def _share(us: float, step_us: float | None) -> float | None:
    return None if step_us is None else round(us / step_us, 5)
