"""Quantise a trained model to 8-bit integers, as encoders/tagger/network.py computes with."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kae.encoders.tagger.exact import MATRIX_LEVELS
from kae.encoders.tagger.network import LAYERS
from kae.encoders.tagger.pieces import PIECES

_EMBEDDINGS = "bert.embeddings"


def quantize_members(
    members: Sequence[Mapping[str, NDArray[np.float32]]],
) -> dict[str, NDArray[np.generic]]:
    """Return the tensors of encoders/tagger/network.py; members share the piece embeddings."""
    tensors: dict[str, NDArray[np.generic]] = {}
    _put(tensors, "pieces", members[0][f"{_EMBEDDINGS}.word_embeddings.weight"])
    for number, floats in enumerate(members):
        _put_member(tensors, f"members.{number}", floats)
    return tensors


def _put_member(
    tensors: dict[str, NDArray[np.generic]], name: str, floats: Mapping[str, NDArray[np.float32]]
) -> None:
    # BERT's token type 0: every text is a first sentence.
    first = floats[f"{_EMBEDDINGS}.token_type_embeddings.weight"][0]
    tensors[f"{name}.places"] = floats[f"{_EMBEDDINGS}.position_embeddings.weight"][:PIECES] + first
    tensors[f"{name}.shapes"] = floats["shapes.weight"]
    _put_norm(tensors, f"{name}.embedded", floats, f"{_EMBEDDINGS}.LayerNorm")
    _put(tensors, f"{name}.labels", floats["labels.weight"], floats["labels.bias"])
    for number in range(LAYERS):
        theirs, ours = f"bert.encoder.layer.{number}", f"{name}.layers.{number}"
        parts = [f"{theirs}.attention.self.{part}" for part in ("query", "key", "value")]
        _put(
            tensors,
            f"{ours}.attending",
            np.concatenate([floats[f"{part}.weight"] for part in parts]),
            np.concatenate([floats[f"{part}.bias"] for part in parts]),
        )
        for part, linear in (
            ("attended", "attention.output"),
            ("wide", "intermediate"),
            ("narrow", "output"),
        ):
            weight, bias = (floats[f"{theirs}.{linear}.dense.{of}"] for of in ("weight", "bias"))
            _put(tensors, f"{ours}.{part}", weight, bias)
        _put_norm(tensors, f"{ours}.attended", floats, f"{theirs}.attention.output.LayerNorm")
        _put_norm(tensors, f"{ours}.narrow", floats, f"{theirs}.output.LayerNorm")


def _put_norm(
    tensors: dict[str, NDArray[np.generic]],
    name: str,
    floats: Mapping[str, NDArray[np.float32]],
    norm: str,
) -> None:
    tensors[f"{name}.gain"] = floats[f"{norm}.weight"]
    tensors[f"{name}.offset"] = floats[f"{norm}.bias"]


def _put(
    tensors: dict[str, NDArray[np.generic]],
    name: str,
    matrix: NDArray[np.float32],
    bias: NDArray[np.float32] | None = None,
) -> None:
    scale = np.abs(matrix).max(axis=1) / np.float32(MATRIX_LEVELS)
    scale[scale == 0] = 1
    tensors[f"{name}.weight"] = np.rint(matrix / scale[:, None]).astype(np.int8)
    tensors[f"{name}.scale"] = scale
    if bias is not None:
        tensors[f"{name}.bias"] = bias
