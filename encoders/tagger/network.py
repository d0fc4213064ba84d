"""The network: an ensemble of small BERTs that labels words, in integer arithmetic.

Its sums are exact (encoders/tagger/exact.py), so the texts of a batch are computed together and
the result of a text does not depend on the others.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from kae.encoders.tagger.exact import (
    ADDENDS,
    ATTENDING_LEVELS,
    VALUE_LEVELS,
    Float32Array,
    gelu,
    layer_norm,
    quantize_rows,
    softmax_weights,
)
from kae.encoders.tagger.pieces import TokenizedText

HEADS = 12
LAYERS = 6
Tensors = Mapping[str, NDArray[np.generic]]


class Linear:
    """y = x W^T + b, with W in 8 bits and a scale for each output."""

    def __init__(self, tensors: Tensors, name: str) -> None:
        matrix = tensors[f"{name}.weight"].astype(np.float32).T
        self._parts = [
            np.ascontiguousarray(matrix[begin : begin + ADDENDS])
            for begin in range(0, len(matrix), ADDENDS)
        ]
        self._scales = tensors[f"{name}.scale"].astype(np.float32)
        self._bias = tensors[f"{name}.bias"].astype(np.float32)

    def __call__(self, whole: Float32Array, scale: Float32Array) -> Float32Array:
        sums = whole[:, :ADDENDS] @ self._parts[0]
        for number, part in enumerate(self._parts[1:], start=1):
            sums += whole[:, number * ADDENDS : (number + 1) * ADDENDS] @ part
        product: Float32Array = sums * scale * self._scales + self._bias
        return product


class TransformerLayer:
    """Self-attention and a feed-forward block, each with a residual connection and layer norm."""

    def __init__(self, tensors: Tensors, name: str) -> None:
        self._attending = Linear(tensors, f"{name}.attending")
        self._attended = Linear(tensors, f"{name}.attended")
        self._wide = Linear(tensors, f"{name}.wide")
        self._narrow = Linear(tensors, f"{name}.narrow")
        self._norms = [
            (
                tensors[f"{name}.{norm}.gain"].astype(np.float32),
                tensors[f"{name}.{norm}.offset"].astype(np.float32),
            )
            for norm in ("attended", "narrow")
        ]

    def __call__(self, rows: Float32Array, bounds: Sequence[tuple[int, int]]) -> Float32Array:
        attending = self._attending(*quantize_rows(rows))
        attended = np.empty_like(rows)
        for begin, end in bounds:
            attended[begin:end] = _attend(attending[begin:end])
        rows = layer_norm(rows + self._attended(*quantize_rows(attended)), *self._norms[0])
        wide = gelu(self._wide(*quantize_rows(rows)))
        return layer_norm(rows + self._narrow(*quantize_rows(wide)), *self._norms[1])


class EnsembleMember:
    """One of the models whose scores are averaged."""

    def __init__(self, tensors: Tensors, name: str) -> None:
        self._places = tensors[f"{name}.places"].astype(np.float32)
        self._shapes = tensors[f"{name}.shapes"].astype(np.float32)
        self._norm = (
            tensors[f"{name}.embedded.gain"].astype(np.float32),
            tensors[f"{name}.embedded.offset"].astype(np.float32),
        )
        self._layers = [
            TransformerLayer(tensors, f"{name}.layers.{number}") for number in range(LAYERS)
        ]
        self._labels = Linear(tensors, f"{name}.labels")

    def score(
        self,
        vectors: Float32Array,
        readings: Sequence[TokenizedText],
        bounds: Sequence[tuple[int, int]],
    ) -> Float32Array:
        """Shape: vectors (pieces of all texts, size) -> (words of all texts, labels)."""
        places = np.concatenate([self._places[: end - begin] for begin, end in bounds])
        shapes = self._shapes[np.concatenate([reading.shapes for reading in readings])]
        rows = layer_norm(vectors + places + shapes, *self._norm)
        for layer in self._layers:
            rows = layer(rows, bounds)
        firsts = [
            begin + first
            for reading, (begin, _) in zip(readings, bounds, strict=True)
            for first in reading.firsts
        ]
        return self._labels(*quantize_rows(rows[np.array(firsts, np.intp)]))


class Network:
    """Scores each label for each word of a text: the mean over the members."""

    def __init__(self, tensors: Tensors) -> None:
        self._vectors = tensors["pieces.weight"]
        self._scales = tensors["pieces.scale"].astype(np.float32)
        names = sorted({".".join(name.split(".")[:2]) for name in tensors if name[0] == "m"})
        self._members = [EnsembleMember(tensors, name) for name in names]

    def score(self, readings: Sequence[TokenizedText]) -> list[Float32Array]:
        """Shape: for each text (words, labels)."""
        bounds = list(pairwise(accumulate((len(one.pieces) for one in readings), initial=0)))
        pieces = np.concatenate([reading.pieces for reading in readings])
        vectors = self._vectors[pieces] * self._scales[pieces, None]
        scores = self._members[0].score(vectors, readings, bounds)
        for member in self._members[1:]:
            scores += member.score(vectors, readings, bounds)
        ends = np.cumsum([len(reading.words) for reading in readings])
        return np.split(scores / np.float32(len(self._members)), ends[:-1])


def _attend(attending: Float32Array) -> Float32Array:
    """Shape: (pieces, 3 * size): queries, keys, values -> (pieces, size)."""
    pieces, size = len(attending), attending.shape[1] // 3
    # (3, heads, pieces, size of a head)
    heads = attending.reshape(pieces, 3, HEADS, size // HEADS).transpose(1, 2, 0, 3)
    queries, query_scale = quantize_rows(heads[0], ATTENDING_LEVELS)
    keys, key_scale = quantize_rows(heads[1], ATTENDING_LEVELS)
    products = queries @ keys.transpose(0, 2, 1)
    scores = products * query_scale * key_scale.transpose(0, 2, 1)
    whole, total = softmax_weights(scores / np.float32(np.sqrt(size // HEADS)))
    # One scale for each head, since values are summed over pieces.
    values, value_scale = quantize_rows(heads[2], VALUE_LEVELS, axis=(1, 2))
    mixed: Float32Array = (whole @ values) * value_scale / total
    return mixed.transpose(1, 0, 2).reshape(pieces, size)
