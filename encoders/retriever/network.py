"""The network: a BART whose every position has a softmax over its own slots alone.

It is saved as a folder that transformers loads as it is:

    config.json, generation_config.json, model.safetensors     BartForConditionalGeneration
    tokenizer.json, tokenizer_config.json                      AutoTokenizer
    retriever.json                                             manifest.py

The vocabulary is that of texts, then the slots, position by position. A token competes with those
of its own kind: a slot with the slots of its position, a piece of text with the other pieces. So a
position costs what its own capacity costs, and no token of another position can come out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import BartConfig, BartForConditionalGeneration, GenerationConfig
from transformers.utils import logging

from kae.encoders.categories import POSITIONS
from kae.encoders.codebook.tokens import TokenLayout
from kae.encoders.retriever.manifest import check_weights, read_manifest
from kae.encoders.retriever.plan import PRESETS, TrainingPlan
from kae.encoders.retriever.text import END, PAD, START, UNKNOWN, TextTokens
from kae.encoders.retriever.tokens import SampleTokens, SourceLimits, TokenPair, padded

# Longest sequences are a multiple of it.
_ROUND = 16


@dataclass(frozen=True, slots=True)
class LossRows:
    """Which of the flattened outputs are to be tokens of one range, and which of its tokens.

    `part` 0 are the pieces of texts, and from 1 the positions.
    """

    part: int
    weight: float
    rows: Tensor
    wanted: Tensor


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Samples as tensors on one device; `shifted` is what the decoder reads, a token late."""

    source: Tensor
    present: Tensor
    shifted: Tensor
    losses: tuple[LossRows, ...]


class Retriever(nn.Module):
    """The network with its vocabulary of texts and its layout of slots."""

    def __init__(
        self,
        bart: BartForConditionalGeneration,
        texts: TextTokens,
        capacities: Sequence[int],
        limits: SourceLimits,
    ) -> None:
        super().__init__()
        self.bart = bart
        self.texts = texts
        self.layout = TokenLayout(texts.size, tuple(capacities))
        self.limits = limits
        self.tokens = SampleTokens(texts, self.layout, limits)

    @staticmethod
    def create(
        plan: TrainingPlan, texts: TextTokens, capacities: Sequence[int], seed: int
    ) -> "Retriever":
        """A network with random weights; the same seed gives the same ones."""
        shape = PRESETS[plan.preset]
        limits = SourceLimits(plan.source_tokens, plan.history_items)
        longest = -(-limits.longest // _ROUND) * _ROUND
        torch.manual_seed(seed)
        config = BartConfig(
            vocab_size=texts.size + sum(capacities),
            d_model=shape.width,
            encoder_layers=shape.layers,
            decoder_layers=shape.layers,
            encoder_attention_heads=shape.heads,
            decoder_attention_heads=shape.heads,
            encoder_ffn_dim=shape.feed_forward,
            decoder_ffn_dim=shape.feed_forward,
            max_position_embeddings=longest,
            dropout=plan.dropout,
            attention_dropout=plan.dropout,
            # BART's own 0.02 is meant for 768 dimensions; with it, a small network learns slowly.
            init_std=shape.width**-0.5,
            bos_token_id=START,
            pad_token_id=PAD,
            eos_token_id=END,
            decoder_start_token_id=END,
            forced_eos_token_id=None,
        )
        return Retriever(BartForConditionalGeneration(config), texts, capacities, limits)

    @staticmethod
    def load(folder: Path, device: str = "cpu") -> "Retriever":
        """Read a folder. Raises: RetrieverInvalid."""
        manifest = read_manifest(folder)
        check_weights(folder, manifest)
        logging.disable_progress_bar()
        bart = BartForConditionalGeneration.from_pretrained(str(folder), local_files_only=True)
        limits = SourceLimits(manifest.plan.source_tokens, manifest.plan.history_items)
        texts = TextTokens.load(folder)
        return Retriever(bart, texts, manifest.capacities, limits).to(device).eval()

    def save(self, folder: Path) -> None:
        """Write all of the folder but its manifest."""
        logging.disable_progress_bar()
        folder.mkdir(parents=True, exist_ok=True)
        self.bart.generation_config = _generation()
        self.bart.save_pretrained(str(folder))
        self.texts.save(folder)

    def begin_with(self, vectors: NDArray[np.float32]) -> None:
        """Set the vectors of all tokens, (tokens, width), but of the one that fills rows up."""
        with torch.no_grad():
            kept = self.embeddings[PAD].clone()
            self.embeddings.copy_(torch.from_numpy(vectors))
            self.embeddings[PAD] = kept

    @property
    def width(self) -> int:
        width: int = self.bart.config.d_model
        return width

    @property
    def parameter_count(self) -> int:
        return sum(weights.numel() for weights in self.parameters())

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def embeddings(self) -> Tensor:
        """The vectors of all tokens, which the outputs are compared with, too."""
        weights: Tensor = self.bart.model.shared.weight
        return weights

    def batch(
        self,
        pairs: Sequence[TokenPair],
        weights: Sequence[float] = (1.0,) * POSITIONS,
        prefix_dropout: float = 0.0,
    ) -> TokenBatch:
        """`prefix_dropout`: the share of slots that the decoder is not told; drawn by torch."""
        source = padded([one.source for one in pairs])
        target = padded([one.target for one in pairs])
        shifted = np.full_like(target, END)
        shifted[:, 1:] = target[:, :-1]
        if prefix_dropout:
            hidden = torch.rand(shifted.shape).numpy() < prefix_dropout
            shifted[hidden & (shifted >= self.layout.base)] = UNKNOWN
        device = self.device
        return TokenBatch(
            torch.from_numpy(source).to(device),
            torch.from_numpy(source != PAD).long().to(device),
            torch.from_numpy(shifted).to(device),
            tuple(self._loss_rows(target.reshape(-1), weights)),
        )

    def loss(self, batch: TokenBatch) -> Tensor:
        """The mean cross-entropy of a token, each among those of its own range."""
        hidden = self.bart.model(
            input_ids=batch.source,
            attention_mask=batch.present,
            decoder_input_ids=batch.shifted,
            use_cache=False,
        ).last_hidden_state.flatten(0, 1)
        # Split once: the gradient of a slice is a matrix of all tokens.
        parts = self.embeddings.split([self.layout.base, *self.layout.capacities])
        total, weight = hidden.new_zeros(()), 0.0
        for one in batch.losses:
            scores = hidden[one.rows] @ parts[one.part].T
            total = total + one.weight * cross_entropy(scores, one.wanted, reduction="sum")
            weight += one.weight * len(one.rows)
        return total / weight

    def _loss_rows(self, target: NDArray[np.int64], weights: Sequence[float]) -> Iterator[LossRows]:
        positions = [self.layout.tokens_of(position) for position in range(POSITIONS)]
        ranges = [range(self.layout.base), *positions]
        for part, (tokens, weight) in enumerate(zip(ranges, (1.0, *weights), strict=True)):
            inside = (target >= tokens.start) & (target < tokens.stop) & (target != PAD)
            rows = np.flatnonzero(inside)
            if len(rows):
                wanted = torch.from_numpy(target[rows] - tokens.start).to(self.device)
                yield LossRows(part, weight, torch.from_numpy(rows).to(self.device), wanted)


def _generation() -> GenerationConfig:
    """What `generate` does when nothing is said: every setting that changes beams is pinned."""
    return GenerationConfig(
        bos_token_id=START,
        pad_token_id=PAD,
        eos_token_id=END,
        decoder_start_token_id=END,
        forced_bos_token_id=None,
        forced_eos_token_id=None,
        max_new_tokens=POSITIONS + 1,
        num_beams=64,
        num_return_sequences=64,
        do_sample=False,
        early_stopping=False,
        length_penalty=0.0,
        no_repeat_ngram_size=0,
        repetition_penalty=1.0,
        renormalize_logits=False,
    )
