"""Checkpoints of a training: one file, replaced as a whole, with the state of random numbers."""

import os
from pathlib import Path
from typing import Any

import torch

Checkpoint = dict[str, Any]
_RANDOM, _RANDOM_OF_GPU = "random", "random_of_gpu"


def save_checkpoint(path: Path, state: Checkpoint, device: torch.device) -> None:
    """Write a state; whatever ends the process, the file is the old one or the new one."""
    random: Checkpoint = {_RANDOM: torch.get_rng_state()}
    if device.type == "cuda":
        random[_RANDOM_OF_GPU] = torch.cuda.get_rng_state(device)
    beside = path.with_suffix(".next")
    with beside.open("wb") as file:
        torch.save({**state, **random}, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def load_checkpoint(path: Path, device: torch.device) -> Checkpoint:
    """Read a state, its tensors on a device; nothing in it is executed."""
    found: Checkpoint = torch.load(path, map_location=device, weights_only=True)
    return found


def restore_random_state(found: Checkpoint, device: torch.device) -> None:
    """Draw on as the training did when it wrote the checkpoint."""
    torch.set_rng_state(found[_RANDOM].cpu())
    if device.type == "cuda":
        torch.cuda.set_rng_state(found[_RANDOM_OF_GPU].cpu(), device)
