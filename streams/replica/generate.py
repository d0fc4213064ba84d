"""Constrained decoding for transformers' `generate`; the one file of a replica that imports torch.

decode = replica.decode()
live = LiveIdentifiers(decode, TokenLayout.of(codebook, base), end=model.config.eos_token_id)
model.generate(..., num_beams=512, max_new_tokens=7, logits_processor=[live])
"""

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LogitsProcessor

from kae.encoders.categories import POSITIONS
from kae.encoders.codebook.tokens import TokenLayout
from kae.sinks.trie.decoding import PrefixInvalid
from kae.streams.replica.decode import Constraint


class LiveIdentifiers(LogitsProcessor):
    """Keeps the scores of those tokens alone that lead to a live item of the decode's version.

    `prompt` is how many tokens precede the identifier: the one that the decoder starts with, and
    the prompt of a decoder-only model. After the identifier only the token `end` may follow.
    With `reuse` each step overwrites the scores of the step before: beam search, which copies what
    it keeps, allows this; sampling with `output_scores` does not.
    """

    def __init__(
        self,
        decode: Constraint,
        layout: TokenLayout,
        end: int,
        prompt: int = 1,
        *,
        reuse: bool = False,
    ) -> None:
        self.decode = decode
        self._layout = layout
        self._end = end
        self._prompt = prompt
        self._reuse = reuse
        self._blank = torch.empty(0)
        self._written: slice | torch.Tensor | None = None  # of `_blank`: columns, or flat indices

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        tokens = input_ids[:, self._prompt :].cpu().numpy()
        constrained = self._blank_like(scores)
        if tokens.shape[1] >= POSITIONS:
            self._leave_columns(constrained, scores, slice(self._end, self._end + 1))
            return constrained
        prefixes, valid = self._layout.slots(tokens)
        if len(valid) and not valid.any():
            raise PrefixInvalid(
                f"no beam begins with slots after {self._prompt} tokens, the first has "
                f"{tokens[0].tolist()}; say with `prompt` how many stand before the identifier"
            )
        own = self._layout.tokens_of(tokens.shape[1])
        pairs = self.decode.few_children(prefixes)
        if pairs is None:
            allowed = self.decode.mask(prefixes)
            allowed[~valid] = False
            self._leave_columns(constrained, scores, slice(own.start, own.stop), allowed)
            return constrained
        places, slots = pairs
        if not valid.all():
            places, slots = places[valid[places]], slots[valid[places]]
        flat = torch.from_numpy(places * scores.shape[1] + own.start + slots).to(scores.device)
        if torch.are_deterministic_algorithms_enabled():  # they refuse the fastest way
            constrained.view(-1).index_copy_(0, flat, scores.take(flat))
        else:
            constrained.put_(flat, scores.take(flat))
        self._written = flat
        return constrained

    def _leave_columns(
        self,
        constrained: torch.Tensor,
        scores: torch.Tensor,
        columns: slice,
        allowed: NDArray[np.bool_] | None = None,
    ) -> None:
        left, own = constrained[:, columns], scores[:, columns]
        if allowed is None:
            left.copy_(own)
        else:
            where = torch.from_numpy(allowed).to(scores.device)
            if own.requires_grad:  # `out` has no gradient
                left.copy_(torch.where(where, own, left))
            else:
                torch.where(where, own, left, out=left)
        self._written = columns

    def _blank_like(self, scores: torch.Tensor) -> torch.Tensor:
        """-inf everywhere; with `reuse` the same tensor, without what the step before wrote."""
        blank, written = self._blank, self._written
        alike = (blank.shape, blank.dtype, blank.device) == (
            scores.shape,
            scores.dtype,
            scores.device,
        )
        if not (self._reuse and alike):
            self._blank = torch.full_like(scores, -torch.inf)
        elif isinstance(written, slice):
            blank[:, written] = -torch.inf
        elif written is not None:
            blank.view(-1).index_fill_(0, written, -torch.inf)
        return self._blank
