"""A dense retriever: MiniLM, tuned on the same pairs of queries and clicked items.

Each query of a batch has to tell its title from those of all others (in-batch negatives), as
sentence-transformers' MultipleNegativesRankingLoss does, with its scale of 20. Search is exact: the
dot product with every title. Needs the extra `neural`.
"""

import random
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from kae.bench.retriever.judged_queries import JudgedQuery
from kae.encoders.items import Item
from kae.encoders.retriever.sentences import SentenceEncoder

BATCH = 64
SCALE = 20.0
RATE, WARM_SHARE = 5e-5, 0.1
# More of them are not better on queries that were held back from training.
ROUNDS = 3


class DensePeer:
    """`steps` batches of pairs at most; the same seed and threads give the same ranking."""

    def __init__(
        self, items: Sequence[Item], queries: Sequence[JudgedQuery], steps: int, seed: int
    ) -> None:
        self._encoder = SentenceEncoder()
        titles = {item.id: item.title for item in items}
        pairs = [
            (query.text, titles[item])
            for query in queries
            for item in sorted(query.clicked)
            if item in titles
        ]
        self.loss = self._tune(pairs, min(steps, ROUNDS * (len(pairs) // BATCH)), seed)
        self._ids: list[str] = []
        self._vectors = self._encoder.vectors([])

    def index(self, items: Sequence[Item]) -> None:
        """Search among these items from now on."""
        self._ids = [item.id for item in items]
        self._vectors = self._encoder.vectors([item.title for item in items])

    def rank(self, query: str, limit: int) -> list[str]:
        """The ids of the nearest items, the nearest first."""
        nearness = self._vectors @ self._encoder.vectors([query])[0]
        nearest = np.argsort(-nearness, kind="stable")[:limit]
        return [self._ids[row] for row in nearest.tolist()]

    def _tune(self, pairs: list[tuple[str, str]], steps: int, seed: int) -> float | None:
        """Return the mean loss of the last tenth of the steps; None without any step."""
        torch.manual_seed(seed)
        model = self._encoder.model
        optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
        warm = max(1, int(steps * WARM_SHARE))
        plan = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min((step + 1) / warm, 1 - step / (steps + 1))
        )
        losses: list[float] = []
        model.train()
        for batch in _batches(pairs, steps, seed):
            asked, titles = zip(*batch, strict=True)
            near = SCALE * self._encoder.embed(asked) @ self._encoder.embed(titles).T
            loss = cross_entropy(near, torch.arange(len(batch)))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            plan.step()
            losses.append(loss.item())
        model.eval()
        last = losses[-max(1, steps // 10) :]
        return sum(last) / len(last) if last else None


def _batches(
    pairs: Sequence[tuple[str, str]], steps: int, seed: int
) -> Iterator[list[tuple[str, str]]]:
    chance = random.Random(seed)
    while steps > 0:
        drawn = chance.sample(pairs, len(pairs))
        whole = range(0, len(drawn) - BATCH + 1, BATCH)
        for first in whole[:steps]:
            yield drawn[first : first + BATCH]
        steps -= len(whole)
