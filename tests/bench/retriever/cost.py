"""What a query costs: milliseconds by beam, the mask's part of them, and memory."""

import resource
import time
from collections.abc import Sequence
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

from kae.bench.retriever.report import QueryCost
from kae.bench.retriever.trained import TrainedEncoding
from kae.encoders.retriever.beams import AskedQuery, beam_search
from kae.streams.runtime.interpreter import peak_memory_bytes

BEAMS = (64, 512)
# Queries that are timed, one by one, after a few that are not.
TIMED, WARMED = 100, 5
THREADS = 2


class TimedMask:
    """The mask of an index, and the seconds that it took."""

    def __init__(self, trained: TrainedEncoding) -> None:
        self._mask = trained.index.constraint.mask
        self.seconds = 0.0

    def __call__(self, prefixes: NDArray[np.uint16]) -> NDArray[np.bool_]:
        began = time.perf_counter()
        allowed = self._mask(prefixes)
        self.seconds += time.perf_counter() - began
        return allowed


def query_costs(trained: TrainedEncoding, texts: Sequence[str]) -> tuple[QueryCost, ...]:
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        return tuple(_cost(trained, texts, beam) for beam in BEAMS)
    finally:
        torch.set_num_threads(threads)


def _cost(trained: TrainedEncoding, texts: Sequence[str], beam: int) -> QueryCost:
    mask = TimedMask(trained)
    times = []
    for number in range(WARMED + TIMED):
        text = texts[number % len(texts)]
        if number == WARMED:
            mask.seconds = 0.0
        began = time.perf_counter()
        beam_search(trained.retriever, [AskedQuery(text, trained.identify(text))], mask, beam)
        times.append(time.perf_counter() - began)
    timed = times[WARMED:]
    return QueryCost(
        beam,
        round(median(timed) * 1000, 2),
        round(float(np.percentile(timed, 99)) * 1000, 2),
        round(mask.seconds / sum(timed), 4),
    )


def peak_memory_mb() -> float:
    """Of the largest process: one that trained a model and asked it, or this one."""
    own = peak_memory_bytes()
    # Linux counts in KiB.
    others = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return round(max(own, others) / 1e6, 1)
