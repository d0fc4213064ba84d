"""A small BART that learns to emit identifiers, and what it emits under a view's mask."""

import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BartConfig, BartForConditionalGeneration

from kae.bench.emit_samples import END, PAD, Samples
from kae.encoders.categories import POSITIONS
from kae.streams.cli import terminal
from kae.streams.replica.decode import Decode
from kae.streams.replica.generate import LiveIdentifiers

BATCH = 32
WIDTH, LAYERS, HEADS = 128, 2, 4
RATE, WARM_STEPS = 2e-3, 60
# BART's own 0.02 is meant for 768 dimensions; with it, slots are not copied within these steps.
INIT = 0.1
TOLD_EVERY = 250
# What the loss leaves out.
IGNORED = -100


class Emitter:
    """The model; the same seed, samples and threads give the same one."""

    def __init__(self, samples: Samples, seed: int) -> None:
        torch.manual_seed(seed)
        self._samples = samples
        self.model = BartForConditionalGeneration(
            BartConfig(
                vocab_size=samples.layout.size,
                d_model=WIDTH,
                encoder_layers=LAYERS,
                decoder_layers=LAYERS,
                encoder_attention_heads=HEADS,
                decoder_attention_heads=HEADS,
                encoder_ffn_dim=4 * WIDTH,
                decoder_ffn_dim=4 * WIDTH,
                max_position_embeddings=64,
                dropout=0.0,
                init_std=INIT,
                decoder_start_token_id=END,
                forced_eos_token_id=None,
            )
        )

    @property
    def parameters(self) -> int:
        return sum(weights.numel() for weights in self.model.parameters())

    def train(self, steps: int) -> float:
        """Seconds that it took."""
        began = time.perf_counter()
        optimiser = torch.optim.AdamW(self.model.parameters(), lr=RATE, weight_decay=0.01)
        plan = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min((step + 1) / WARM_STEPS, 1 - step / (steps + 1))
        )
        self.model.train()
        for step, batch in enumerate(self._samples.batches(steps, BATCH), 1):
            source, present = _padded([one.source for one in batch], PAD)
            target, there = _padded([one.target for one in batch], PAD)
            labels = target.masked_fill(there == 0, IGNORED)
            found = self.model(input_ids=source, attention_mask=present, labels=labels)
            found.loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            plan.step()
            if step % TOLD_EVERY == 0:
                told = f"step {step:,} of {steps:,}: loss {found.loss.item():.2f}"
                terminal.err.print(told, highlight=False)
        self.model.eval()
        return time.perf_counter() - began

    def emitted(self, source: Sequence[int], decode: Decode, beam: int) -> NDArray[np.uint16]:
        """(at most beam, 6): live identifiers, the best first."""
        layout = self._samples.layout
        with torch.inference_mode():
            found = self.model.generate(
                torch.tensor([source]),
                num_beams=beam,
                num_return_sequences=beam,
                max_new_tokens=POSITIONS + 1,
                do_sample=False,
                logits_processor=[LiveIdentifiers(decode, layout, end=END, reuse=True)],
            )
        slots, valid = layout.slots(found[:, 1 : POSITIONS + 1].numpy())
        return slots[valid]


def _padded(rows: Sequence[list[int]], fill: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows as one matrix, and where they are."""
    longest = max(map(len, rows))
    padded = torch.tensor([row + [fill] * (longest - len(row)) for row in rows])
    there = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return padded, there
