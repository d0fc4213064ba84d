"""Constrained decoding for transformers' `generate`; the one file that imports torch for serving.

decode = Decode(replica.view, codebook)
live = LiveIdentifiers(decode, TokenLayout.of(codebook, base), end=model.config.eos_token_id)
model.generate(..., num_beams=512, max_new_tokens=7, logits_processor=[live])
"""

import numpy as np
import torch
from transformers import LogitsProcessor

from kae.encoders.categories import POSITIONS
from kae.encoders.tokens import TokenLayout
from kae.sinks.decoding import PrefixInvalid
from kae.streams.replica.decode import Decode


class LiveIdentifiers(LogitsProcessor):
    """Leaves a score to those tokens alone that lead to a live item of the decode's version.

    `prompt` is how many tokens stand before the identifier: the one that the decoder starts with,
    and what a decoder-only model was given. After the identifier only the token `end` may come.
    """

    def __init__(self, decode: Decode, layout: TokenLayout, end: int, prompt: int = 1) -> None:
        self.decode = decode
        self._layout = layout
        self._end = end
        self._prompt = prompt

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        tokens = input_ids[:, self._prompt :].cpu().numpy()
        constrained = torch.full_like(scores, -torch.inf)
        if tokens.shape[1] >= POSITIONS:
            constrained[:, self._end] = scores[:, self._end]
            return constrained
        prefixes, valid = self._layout.slots(tokens)
        if len(valid) and not valid.any():
            raise PrefixInvalid(
                f"no beam begins with slots after {self._prompt} tokens, the first has "
                f"{tokens[0].tolist()}; say with `prompt` how many stand before the identifier"
            )
        allowed = self.decode.mask(prefixes)
        allowed[~valid] = False
        own = self._layout.tokens_of(tokens.shape[1])
        window = slice(own.start, own.stop)
        forbidden = torch.from_numpy(np.logical_not(allowed, out=allowed)).to(scores.device)
        constrained[:, window] = scores[:, window].masked_fill(forbidden, -torch.inf)
        return constrained
