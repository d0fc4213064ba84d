"""Which samples a step takes: the tasks by their shares, and each task's samples in turn.

Every sample of a task comes once before any comes again, in an order that follows from the seed.
Batches of roughly the same length are made of a window of samples, so that less of them is padding;
only roughly, so that the tasks of a stage stay mixed.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from math import floor

import numpy as np
from numpy.typing import NDArray

from kae.encoders.retriever.plan import StagePlan
from kae.encoders.retriever.samples import Sample
from kae.encoders.retriever.stage_samples import StageSamples
from kae.encoders.retriever.tokens import SampleTokens, TokenPair

# Batches that are made of one window.
WINDOW = 16
# Lengths that count as the same; an identifier is shorter than the first.
_TARGET_STEP, _SOURCE_STEP = 8, 16
_CHUNK = 4096


class StageBatches:
    """The batches of one stage; any of them can be asked for without those before."""

    def __init__(
        self, plan: StagePlan, samples: StageSamples, tokens: SampleTokens, batch: int, seed: int
    ) -> None:
        self._batch = batch
        self._seed = seed
        self._stage = _number_of(plan.name)
        self._pairs = {
            task: _tokenized(samples.of(task), tokens)
            for task, weight in plan.mix.items()
            if weight > 0 and samples.of(task)
        }
        whole = sum(plan.mix[task] for task in self._pairs)
        self._shares = {task: plan.mix[task] / whole for task in self._pairs}
        self._orders: dict[tuple[str, int], NDArray[np.int64]] = {}
        self._window: tuple[int, list[list[TokenPair]]] = (-1, [])
        # A stage whose tasks have no samples takes no steps.
        self.steps = -(-plan.samples // batch) if self._pairs else 0

    def batch(self, step: int) -> list[TokenPair]:
        number, place = divmod(step, WINDOW)
        if self._window[0] != number:
            self._window = (number, self._batches_of(number))
        return self._window[1][place]

    def _batches_of(self, window: int) -> list[list[TokenPair]]:
        size = WINDOW * self._batch
        begin, end = window * size, (window + 1) * size
        pairs = [
            pair
            for task, share in self._shares.items()
            for pair in self._taken(task, floor(begin * share), floor(end * share))
        ]
        # Rounded shares may leave a window a few samples short; every batch has at least one.
        chance = np.random.default_rng([self._seed, self._stage, window])
        pairs = [pairs[place] for place in chance.permutation(len(pairs)).tolist()]
        pairs.sort(key=_length)
        cuts = np.linspace(0, len(pairs), WINDOW + 1).astype(int).tolist()
        order = chance.permutation(WINDOW).tolist()
        return [pairs[cuts[place] : cuts[place + 1]] for place in order]

    def _taken(self, task: str, begin: int, end: int) -> Iterator[TokenPair]:
        """The samples of a task that are drawn from the `begin`th on, before the `end`th."""
        pairs = self._pairs[task]
        for number in range(begin, end):
            turn, place = divmod(number, len(pairs))
            yield pairs[self._order(task, turn)[place]]

    def _order(self, task: str, turn: int) -> NDArray[np.int64]:
        if (task, turn) not in self._orders:
            chance = np.random.default_rng([self._seed, _number_of(task), turn])
            # One window may end a turn and begin the next.
            kept = {key: order for key, order in self._orders.items() if key[0] != task}
            self._orders = {**kept, (task, turn): chance.permutation(len(self._pairs[task]))}
        return self._orders[task, turn]


def _number_of(name: str) -> int:
    """A number that is always the same for a name, so that each has an order of its own."""
    return int.from_bytes(blake2b(name.encode(), digest_size=4).digest(), "big")


def _length(pair: TokenPair) -> tuple[int, int]:
    return len(pair.target) // _TARGET_STEP, len(pair.source) // _SOURCE_STEP


def _tokenized(samples: Sequence[Sample], tokens: SampleTokens) -> list[TokenPair]:
    return [
        pair
        for first in range(0, len(samples), _CHUNK)
        for pair in tokens.pairs(samples[first : first + _CHUNK])
    ]
