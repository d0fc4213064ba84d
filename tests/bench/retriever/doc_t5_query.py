"""docT5query: titles are extended by queries that a model makes up for them, and searched by BM25.

A T5 too small for anything else, trained here on pairs of a clicked item's title and its query; its
queries are drawn from the ten likeliest tokens at each step, as in the paper. Needs the extra
`neural`.

Source: Nogueira and Lin, From doc2query to docTTTTTquery (2019).
"""

import random
from collections.abc import Iterator, Sequence

import msgspec
import torch
from torch import Tensor
from transformers import T5Config, T5ForConditionalGeneration

from kae.bench.bm25_peer import Bm25Peer
from kae.bench.retriever.judged_queries import JudgedQuery
from kae.encoders.items import Item
from kae.encoders.retriever.text import END, PAD, START, TextTokens
from kae.encoders.text.normal_form import normalise

TOKENS = 8_000
WIDTH, LAYERS, HEADS = 128, 2, 4
BATCH = 64
RATE, WARM_STEPS = 1e-3, 100
# Of an item; in the paper 40 to 80, of passages that are much longer than titles.
QUERIES_MADE = 10
DRAWN_FROM = 10
LONGEST_QUERY = 16
_GENERATED_AT_ONCE = 512
_IGNORED = -100


class DocT5Query:
    """Items with queries that were made up for them."""

    def __init__(
        self, items: Sequence[Item], queries: Sequence[JudgedQuery], steps: int, seed: int
    ) -> None:
        torch.manual_seed(seed)
        titles = {item.id: item.title for item in items}
        pairs = [
            (titles[item], query.text)
            for query in queries
            for item in sorted(query.clicked)
            if item in titles
        ]
        texts = map(normalise, [*titles.values(), *(query for _, query in pairs)])
        self._texts = TextTokens.train(texts, TOKENS)
        self._model = T5ForConditionalGeneration(
            T5Config(
                vocab_size=self._texts.size,
                d_model=WIDTH,
                d_kv=WIDTH // HEADS,
                d_ff=4 * WIDTH,
                num_layers=LAYERS,
                num_decoder_layers=LAYERS,
                num_heads=HEADS,
                dropout_rate=0.1,
                pad_token_id=PAD,
                eos_token_id=END,
                decoder_start_token_id=START,
            )
        )
        self.loss = self._learn(pairs, steps, seed)

    def peer(self, items: Sequence[Item]) -> Bm25Peer:
        """BM25 over titles, descriptions and made up queries."""
        made = self.queries([item.title for item in items])
        return Bm25Peer(
            [
                msgspec.structs.replace(item, description=f"{item.description} {' '.join(queries)}")
                for item, queries in zip(items, made, strict=True)
            ]
        )

    def queries(self, titles: Sequence[str]) -> list[list[str]]:
        """QUERIES_MADE queries of each title."""
        made: list[list[str]] = []
        at_once = _GENERATED_AT_ONCE // QUERIES_MADE
        for first in range(0, len(titles), at_once):
            tokens = _padded(self._encode(titles[first : first + at_once]), PAD)
            with torch.inference_mode():
                found = self._model.generate(
                    input_ids=tokens,
                    attention_mask=(tokens != PAD).long(),
                    do_sample=True,
                    top_k=DRAWN_FROM,
                    top_p=1.0,
                    temperature=1.0,
                    num_beams=1,
                    num_return_sequences=QUERIES_MADE,
                    max_new_tokens=LONGEST_QUERY,
                )
            texts = [self._texts.decode(row) for row in found.tolist()]
            made += [texts[row : row + QUERIES_MADE] for row in range(0, len(texts), QUERIES_MADE)]
        return made

    def _learn(self, pairs: list[tuple[str, str]], steps: int, seed: int) -> float | None:
        """Return the mean loss of the last tenth of the steps; None without any step."""
        optimiser = torch.optim.AdamW(self._model.parameters(), lr=RATE, weight_decay=0.01)
        plan = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min((step + 1) / WARM_STEPS, 1 - step / (steps + 1))
        )
        losses: list[float] = []
        self._model.train()
        for titles, queries in _batches(pairs, steps, seed):
            source = _padded(self._encode(titles), PAD)
            loss = self._model(
                input_ids=source,
                attention_mask=(source != PAD).long(),
                labels=_padded(self._encode(queries), _IGNORED),
            ).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            plan.step()
            losses.append(loss.item())
        self._model.eval()
        last = losses[-max(1, steps // 10) :]
        return sum(last) / len(last) if last else None

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [[*tokens, END] for tokens in self._texts.encode(texts)]


def _batches(
    pairs: Sequence[tuple[str, str]], steps: int, seed: int
) -> Iterator[tuple[list[str], list[str]]]:
    chance = random.Random(seed)
    for _ in range(steps):
        drawn = [chance.choice(pairs) for _ in range(BATCH)]
        yield [title for title, _ in drawn], [query for _, query in drawn]


def _padded(rows: Sequence[list[int]], fill: int) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [fill] * (longest - len(row)) for row in rows])
