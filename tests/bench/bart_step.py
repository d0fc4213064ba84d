"""Baselines for the mask: a decoder step of BART-base, and a usual prefix function."""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
import torch
from transformers import BartConfig, BartForConditionalGeneration, PrefixConstrainedLogitsProcessor
from transformers.modeling_outputs import BaseModelOutput

from kae.bench.live_trie import BEAM, ByDepth
from kae.bench.recombined_items import Identifiers
from kae.encoders.codebook.tokens import TokenLayout
from kae.streams.replica.decode import Decode
from kae.streams.replica.generate import LiveIdentifiers

QUERY_TOKENS = 16
STEPS = 5
BASE_TOKENS = BartConfig().vocab_size


def step_seconds(slots: int) -> float:
    """One step of BART-base's decoder with a cache: 512 beams, random weights, the median of some.

    Its vocabulary is its own and one token for each slot.
    """
    torch.manual_seed(1)
    model = BartForConditionalGeneration(BartConfig(vocab_size=BASE_TOKENS + slots)).eval()
    width = model.config.d_model
    read = BaseModelOutput(last_hidden_state=torch.randn(BEAM, QUERY_TOKENS, width))
    tokens = torch.ones((BEAM, 1), dtype=torch.long)
    past: Any = None
    took = []
    with torch.inference_mode():
        for _ in range(STEPS + 1):
            began = time.perf_counter()
            step = model(
                encoder_outputs=read, decoder_input_ids=tokens, past_key_values=past, use_cache=True
            )
            took.append(time.perf_counter() - began)
            past = step.past_key_values
    return median(took[1:])


Node = dict[int, Any]


def dict_trie(own: Identifiers, layout: TokenLayout) -> Node:
    """Nested dictionaries of tokens, as prefix functions are written."""
    root: Node = {}
    for path in layout.tokens(np.unique(own, axis=0)).tolist():
        node = root
        for token in path:
            node = node.setdefault(token, {})
    return root


class Processors:
    """Ours and theirs over the same scores."""

    def __init__(self, decode: Decode, layout: TokenLayout, own: Identifiers) -> None:
        self._layout = layout
        self._scores = torch.randn(BEAM, layout.size)
        self._ours = LiveIdentifiers(decode, layout, end=0, reuse=True)
        root = dict_trie(own, layout)

        def allowed(_batch: int, sent: torch.Tensor) -> list[int]:
            node = root
            for token in sent.tolist()[1:]:
                node = node[token]
            return list(node)

        self._theirs = PrefixConstrainedLogitsProcessor(allowed, num_beams=BEAM)

    def ours(self, batches: Sequence[Any], times: int) -> list[float]:
        return self._seconds(self._ours, batches, times)

    def theirs(self, batches: Sequence[Any], times: int) -> list[float]:
        return self._seconds(self._theirs, batches, times)

    def agree(self, by_depth: ByDepth) -> bool:
        """Whether both leave the same scores; to the last bit."""
        ids = [self._ids(batches[0]) for batches in by_depth]
        return all(
            bool(torch.equal(self._ours(i, self._scores), self._theirs(i, self._scores)))
            for i in ids
        )

    def _seconds(
        self, processor: Callable[..., Any], batches: Sequence[Any], times: int
    ) -> list[float]:
        ids = [self._ids(batch) for batch in batches]
        took = []
        for turn in range(times):
            began = time.perf_counter()
            processor(ids[turn % len(ids)], self._scores)
            took.append(time.perf_counter() - began)
        return took

    def _ids(self, prefixes: Any) -> torch.Tensor:
        started = torch.full((len(prefixes), 1), 2)
        return torch.cat([started, torch.from_numpy(self._layout.tokens(prefixes))], 1)
