"""Beam search over identifiers: six steps, each over the slots of its position.

All beams of a query share its encoded source, which is therefore never copied. What a step computed
of keys and values is kept for the next ones, and reordered as the beams are.

A beam's score is the sum over its slots of

    log p - GIVEN_BACK * log P      p: of the slot, among all slots of its position
                                    P: of all slots that the mask permits there

With 0 a query for a bin of 14 gallons finds no other bin: most of p is on 14 gallons, which no bin
has, and all that bins have is unlikely. With 1 a prefix with few continuations is preferred,
whatever they are. Without a mask P is 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from kae.encoders.categories import POSITIONS, Slot
from kae.encoders.retriever.network import Retriever
from kae.encoders.retriever.samples import NO_SLOTS, Sample, Slots
from kae.encoders.retriever.text import END, PAD
from kae.encoders.retriever.tokens import padded

GIVEN_BACK = 0.5
# (prefixes, depth) uint16 -> (prefixes, capacity of the next position): what may come next.
Mask = Callable[[NDArray[np.uint16]], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class AskedQuery:
    """A query, its identifier where there is a dictionary, and what its user chose before.

    `terms` are the slots of bound terms that it names; `beam_search` does not look at them.
    """

    text: str
    slots: Slots = NO_SLOTS
    history: tuple[Slots, ...] = ()
    terms: tuple[Slot, ...] = ()

    def sample(self) -> Sample:
        return Sample("retrieve", text=self.text, slots=self.slots, history=self.history)


@dataclass(frozen=True, slots=True)
class Beams:
    """Identifiers, (beams, 6), with their scores, the best first."""

    identifiers: NDArray[np.uint16]
    scores: NDArray[np.float32]


@torch.inference_mode()
def beam_search(
    retriever: Retriever,
    queries: Sequence[AskedQuery],
    mask: Mask | None,
    beams: int,
    *,
    cached: bool = True,
) -> list[Beams]:
    """At most `beams` identifiers for each query; without a mask, any that the model prefers.

    `cached` False computes every step from the beginning, for comparison.
    """
    if not queries:
        return []
    retriever.eval()
    decoder = BeamDecoder(retriever, queries, cached=cached)
    found = torch.zeros((len(queries), 1, 0), dtype=torch.int64, device=retriever.device)
    scores = torch.zeros((len(queries), 1), device=retriever.device)
    for position in range(POSITIONS):
        capacity = retriever.layout.capacities[position]
        added = decoder.log_probabilities(found)
        if mask is not None:
            prefixes = found.flatten(0, 1).cpu().numpy().astype(np.uint16)
            allowed = torch.from_numpy(mask(prefixes)).to(retriever.device)
            added = added.masked_fill(~allowed.view_as(added), -torch.inf)
            permitted = added.logsumexp(-1, keepdim=True)
            # Beams of no query permit nothing.
            added = added - GIVEN_BACK * permitted.masked_fill(permitted == -torch.inf, 0.0)
        total = (scores.unsqueeze(-1) + added).flatten(1)
        scores, chosen = total.topk(min(beams, total.shape[1]), dim=1)
        # Fewer remain when a query has fewer: those of no query are dropped.
        kept = max(1, int((scores > -torch.inf).sum(1).max()))
        scores, chosen = scores[:, :kept], chosen[:, :kept]
        parents, slots = chosen // capacity, chosen % capacity
        prefix = found.gather(1, parents.unsqueeze(-1).expand(-1, -1, position))
        found = torch.cat([prefix, slots.unsqueeze(-1)], dim=2)
        decoder.reorder(parents)
    return [
        Beams(rows[live].astype(np.uint16), own[live])
        for rows, own in zip(found.cpu().numpy(), scores.cpu().numpy(), strict=True)
        for live in [own > -np.inf]
    ]


class BeamDecoder:
    """The decoder of a BART over beams: (queries, beams, slots chosen so far)."""

    def __init__(
        self, retriever: Retriever, queries: Sequence[AskedQuery], *, cached: bool
    ) -> None:
        self._retriever = retriever
        self._cached = cached
        self._decoder = retriever.bart.model.decoder
        self._heads = retriever.bart.config.decoder_attention_heads
        source = torch.from_numpy(
            padded(retriever.tokens.sources([query.sample() for query in queries]))
        ).to(retriever.device)
        present = source != PAD
        encoded = retriever.bart.model.encoder(
            input_ids=source, attention_mask=present.long()
        ).last_hidden_state
        self._present = present[:, None, None, :]
        self._sources = [
            tuple(
                self._split(project(encoded))
                for project in (layer.encoder_attn.k_proj, layer.encoder_attn.v_proj)
            )
            for layer in self._decoder.layers
        ]
        # Of each layer keys and values, (queries, beams, heads, steps, width of a head).
        self._past: list[tuple[Tensor, Tensor] | None] = [None] * len(self._decoder.layers)

    def log_probabilities(self, found: Tensor) -> Tensor:
        """(queries, beams, capacity) of the position after (queries, beams, depth) slots."""
        depth = found.shape[2]
        layout = self._retriever.layout
        firsts = [layout.tokens_of(position).start for position in range(depth)]
        tokens = torch.full((*found.shape[:2], 1), END, device=found.device)
        tokens = torch.cat([tokens, found + torch.tensor(firsts, device=found.device).long()], 2)
        begin = depth if self._cached else 0
        hidden = self._embedded(tokens[:, :, begin:], begin)
        for number, layer in enumerate(self._decoder.layers):
            hidden = self._layer(number, layer, hidden)
        own = layout.tokens_of(depth)
        vectors = self._retriever.embeddings[own.start : own.stop]
        return linear(hidden[:, :, -1], vectors).log_softmax(-1)

    def reorder(self, parents: Tensor) -> None:
        """Keep what belongs to the beams that go on: (queries, beams), each one's parent."""
        rows = torch.arange(len(parents), device=parents.device)[:, None]
        for number, past in enumerate(self._past):
            if past is not None:
                keys, values = past
                self._past[number] = (keys[rows, parents], values[rows, parents])

    def _embedded(self, tokens: Tensor, begin: int) -> Tensor:
        decoder = self._decoder
        places = torch.arange(begin, begin + tokens.shape[-1], device=tokens.device)
        positions = decoder.embed_positions.weight[places + decoder.embed_positions.offset]
        embedded: Tensor = decoder.layernorm_embedding(decoder.embed_tokens(tokens) + positions)
        return embedded

    def _layer(self, number: int, layer: nn.Module, hidden: Tensor) -> Tensor:
        """One layer, as BartDecoderLayer computes it."""
        hidden = layer.self_attn_layer_norm(hidden + self._own(number, layer.self_attn, hidden))
        attended = self._of_source(number, layer.encoder_attn, hidden)
        hidden = layer.encoder_attn_layer_norm(hidden + attended)
        fed = layer.fc2(layer.activation_fn(layer.fc1(hidden)))
        final: Tensor = layer.final_layer_norm(hidden + fed)
        return final

    def _own(self, number: int, attention: nn.Module, hidden: Tensor) -> Tensor:
        asked = self._split(attention.q_proj(hidden))
        keys, values = self._split(attention.k_proj(hidden)), self._split(attention.v_proj(hidden))
        past = self._past[number]
        if self._cached:
            if past is not None:
                pairs = zip(past, (keys, values), strict=True)
                keys, values = (torch.cat(pair, dim=-2) for pair in pairs)
            self._past[number] = keys, values
        attended = scaled_dot_product_attention(asked, keys, values, is_causal=not self._cached)
        out: Tensor = attention.out_proj(self._joined(attended))
        return out

    def _of_source(self, number: int, attention: nn.Module, hidden: Tensor) -> Tensor:
        """All beams and steps of a query ask its source together."""
        keys, values = self._sources[number]
        flat = hidden.flatten(1, 2)
        asked = self._split(attention.q_proj(flat))
        attended = scaled_dot_product_attention(asked, keys, values, attn_mask=self._present)
        out: Tensor = attention.out_proj(self._joined(attended))
        return out.view_as(hidden)

    def _split(self, vectors: Tensor) -> Tensor:
        """(..., steps, width) -> (..., heads, steps, width of a head)."""
        return vectors.unflatten(-1, (self._heads, -1)).transpose(-3, -2)

    @staticmethod
    def _joined(attended: Tensor) -> Tensor:
        return attended.transpose(-3, -2).flatten(-2)
