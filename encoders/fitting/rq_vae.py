"""RQ-VAE as a baseline: a closed codebook learned together with an autoencoder.

    vector -> encoder -> latent -> residual quantisation, a level a position -> decoder -> vector

Codes start as latents of items, and a code that no item used in an epoch restarts as one; otherwise
most codes would never be used. It runs in one thread, so runs are reproducible. Needs torch (extra
`neural`), and is not in the wheel: only a clone of the repository has it.

Source: Lee et al., Autoregressive Image Generation using Residual Quantization (arXiv 2203.01941).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from kae.encoders.fitting.closed_codebooks import Vectors

EPOCHS = 30
_HIDDEN = 256
_LATENT = 64
_BATCH = 1024
_LEARNING_RATE = 1e-3
_COMMITMENT = 0.25


class _Model(nn.Module):
    def __init__(self, dimensions: int, capacities: Sequence[int]) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(dimensions, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, _LATENT)
        )
        self.decoder = nn.Sequential(
            nn.Linear(_LATENT, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, dimensions)
        )
        self.levels = nn.ParameterList(torch.zeros(size, _LATENT) for size in capacities)

    def quantise(self, latent: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield for each level its residual, the code of each row, and the vector of that code."""
        residual = latent
        for level in self.levels:
            codes = torch.cdist(residual.detach(), level.detach()).argmin(dim=1)
            chosen = level[codes]
            yield residual, codes, chosen
            residual = residual - chosen.detach()

    def loss(self, batch: Tensor) -> Tensor:
        latent = self.encoder(batch)
        total, quantised = torch.zeros(()), torch.zeros_like(latent)
        for residual, _, chosen in self.quantise(latent):
            total = total + mse_loss(chosen, residual.detach())
            total = total + _COMMITMENT * mse_loss(residual, chosen.detach())
            quantised = quantised + chosen
        # Straight-through estimator: the decoder sees the codes, the encoder gets its gradient.
        through = latent + (quantised - latent).detach()
        return total + mse_loss(self.decoder(through), batch)

    @torch.no_grad()
    def restart_unused(self, vectors: Tensor, generator: torch.Generator) -> None:
        """Replace each unused code by the residual of a random row at its level."""
        residual = self.encoder(vectors)
        for level in self.levels:
            codes = _nearest(residual, level)
            unused = torch.bincount(codes, minlength=len(level)) == 0
            rows = torch.randint(len(residual), (int(unused.sum()),), generator=generator)
            level[unused] = residual[rows]
            residual = residual - level[_nearest(residual, level)]


def _nearest(residual: Tensor, level: Tensor) -> Tensor:
    return torch.cat([torch.cdist(part, level).argmin(dim=1) for part in residual.split(_BATCH)])


class RqVae:
    """A trained autoencoder, and the scale of the vectors that it was trained on."""

    def __init__(self, model: _Model, scale: float) -> None:
        self._model = model
        self._scale = scale

    def codes(self, vectors: Vectors) -> NDArray[np.int32]:
        """Quantise any vectors; shape (rows, dimensions) -> (rows, levels)."""
        with _one_thread(), torch.no_grad():
            codes = [
                torch.stack(
                    [code for _, code, _ in self._model.quantise(self._model.encoder(part))], dim=1
                )
                for part in (torch.from_numpy(vectors) / self._scale).split(_BATCH)
            ]
        return np.asarray(torch.cat(codes).numpy(), dtype=np.int32)


def fit_rq_vae(
    vectors: Vectors,
    capacities: Sequence[int],
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> RqVae:
    """Train on vectors; `progress` is called with the number of epochs done."""
    with _one_thread():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = _Model(vectors.shape[1], capacities)
        data = torch.from_numpy(vectors)
        # One scale for all dimensions, so that their relative variances remain.
        scale = max(float(data.std(correction=0)), 1e-6)
        _train(model, data / scale, torch.Generator().manual_seed(seed), progress)
    return RqVae(model, scale)


def rq_vae(
    vectors: Vectors,
    capacities: Sequence[int],
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.int32]:
    """Return the codes of each item; `progress` is called with the number of epochs done."""
    return fit_rq_vae(vectors, capacities, seed, progress).codes(vectors)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _train(
    model: _Model,
    data: Tensor,
    generator: torch.Generator,
    progress: Callable[[int], None] | None,
) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATE)
    for epoch in range(EPOCHS):
        model.restart_unused(data, generator)
        for rows in torch.randperm(len(data), generator=generator).split(_BATCH):
            optimiser.zero_grad()
            model.loss(data[rows]).backward()
            optimiser.step()
        if progress:
            progress(epoch + 1)
