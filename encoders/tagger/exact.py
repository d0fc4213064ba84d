"""Arithmetic whose results do not depend on the order of additions.

Floating-point sums depend on the order of additions, which a library chooses by batch, threads and
machine, and a label may depend on the sum. Here every sum adds integers that the float type holds
exactly; all other operations (scaling, rounding, square roots, table look-ups) are elementwise and
rounded by IEEE 754. So the same text gives the same bits in any batch, on any number of threads.
"""

import math

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
# A float32 holds integers up to 2**24 exactly. Matrices are rounded to 8 bits and vectors to 11 (at
# 8 bits, one label in a hundred would change), so this many products can be added.
MATRIX_LEVELS = 127
VECTOR_LEVELS = 1023
ADDENDS = (1 << 24) // (MATRIX_LEVELS * VECTOR_LEVELS)  # 129
# Queries times keys: sums of 32 products.
ATTENDING_LEVELS = 511
# Attention weights times values: sums over the pieces of a text, at most 256 products.
WEIGHT_LEVELS = 511
VALUE_LEVELS = 127
_GRID = 2.0**12  # steps of a vector's element when its mean is taken
_GRID_LIMIT = 2.0**19  # 384 squares add up to less than 2**53, which a float64 holds
_GELU_STEPS = 256
_GELU_LIMIT = 8  # beyond it GELU(x) is 0 or x
_EXP_STEPS = 256
_EXP_LIMIT = 8  # exp(-8) is less than half a weight level


def _table(values: list[float]) -> Float32Array:
    return np.array(values, np.float32)


def _gelu_at(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


_GELU_EDGE = _GELU_LIMIT * _GELU_STEPS
_GELU = _table([_gelu_at(step / _GELU_STEPS) for step in range(-_GELU_EDGE, _GELU_EDGE + 1)])
_EXP = _table(
    [
        round(WEIGHT_LEVELS * math.exp(-step / _EXP_STEPS))
        for step in range(_EXP_LIMIT * _EXP_STEPS + 1)
    ]
)


def quantize_rows(
    rows: Float32Array, levels: int = VECTOR_LEVELS, axis: int | tuple[int, int] = -1
) -> tuple[Float32Array, Float32Array]:
    """Quantise each row to integers of at most `levels`; also return the scale that restores it.

    Shape: (..., n) -> (..., n), (..., 1); `axis` says what a row is.
    """
    scale = np.abs(rows).max(axis=axis, keepdims=True) / np.float32(levels)
    scale[scale == 0] = 1
    return np.rint(rows / scale), scale


def layer_norm(rows: Float32Array, gain: Float32Array, offset: Float32Array) -> Float32Array:
    """Layer normalisation.

    Shape: (rows, n), n <= 2**15; gain and offset (n,).
    """
    n = rows.shape[-1]
    whole = np.rint(rows.astype(np.float64) * _GRID).clip(-_GRID_LIMIT, _GRID_LIMIT)
    total = whole.sum(axis=-1, keepdims=True)
    squares = np.square(whole).sum(axis=-1, keepdims=True)
    deviation = np.sqrt(np.maximum(squares / n - np.square(total / n), 1.0))
    centred: Float32Array = ((whole - total / n) / deviation).astype(np.float32)
    return centred * gain + offset


def gelu(rows: Float32Array) -> Float32Array:
    """Return the Gaussian error linear unit, in its tanh form."""
    steps = np.rint(rows * np.float32(_GELU_STEPS)).clip(-_GELU_EDGE, _GELU_EDGE)
    activated = _GELU[steps.astype(np.int32) + _GELU_EDGE]
    return np.where(rows > _GELU_LIMIT, rows, activated)


def softmax_weights(scores: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Return the softmax over the last axis, as integer weights and their sum.

    Shape: (..., n) -> (..., n), (..., 1).
    """
    below = scores.max(axis=-1, keepdims=True) - scores
    steps = np.rint(below * np.float32(_EXP_STEPS)).clip(0, _EXP_LIMIT * _EXP_STEPS)
    whole = _EXP[steps.astype(np.int32)]
    return whole, whole.sum(axis=-1, keepdims=True)
