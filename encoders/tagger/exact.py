"""Arithmetic whose results do not depend on the order of additions.

Floats round, so a sum depends on the order that a library chooses for the batch, the threads and
the machine at hand, and a decision may follow it. Here every sum is one of whole numbers that the
float type holds exactly, and what lies between sums (scaling, rounding, square roots, look-ups in
tables) is rounded in one way by IEEE 754 for each element alone. The same text gives the same bits
in any batch, on any number of threads.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
# A float32 holds whole numbers up to 2**24. Matrices are rounded to 8 bits and vectors to 11 (at 8
# bits, one label in a hundred changes): so many products of the two can be added.
MATRIX_LEVELS = 127
VECTOR_LEVELS = 1023
ADDENDS = (1 << 24) // (MATRIX_LEVELS * VECTOR_LEVELS)  # 129
# Queries times keys: 32 products are added.
ATTENDING_LEVELS = 511
# Attention weights times values: as many products as a text has pieces, at most 256.
WEIGHT_LEVELS = 511
VALUE_LEVELS = 127
_GRID = 2.0**12  # of a vector before its mean is taken
_GRID_LIMIT = 2.0**19  # 384 squares of it stay below 2**53, which a float64 holds
_GELU_STEPS = 256
_GELU_LIMIT = 8  # beyond it the function is 0, or its argument
_EXP_STEPS = 256
_EXP_LIMIT = 8  # exp(-8) is less than half a weight level


def _table(values: list[float]) -> Floats:
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


def rounded(
    rows: Floats, levels: int = VECTOR_LEVELS, axis: int | tuple[int, int] = -1
) -> tuple[Floats, Floats]:
    """Each row as whole numbers of at most `levels`, with the scale that gives it back.

    Shape: (..., n) -> (..., n), (..., 1); `axis` names what a row is.
    """
    scale = np.abs(rows).max(axis=axis, keepdims=True) / np.float32(levels)
    scale[scale == 0] = 1
    return np.rint(rows / scale), scale


def normalised(rows: Floats, gain: Floats, offset: Floats) -> Floats:
    """Layer normalisation.

    Shape: (rows, n), n <= 2**15; gain and offset (n,).
    """
    n = rows.shape[-1]
    whole = np.rint(rows.astype(np.float64) * _GRID).clip(-_GRID_LIMIT, _GRID_LIMIT)
    total = whole.sum(axis=-1, keepdims=True)
    squares = np.square(whole).sum(axis=-1, keepdims=True)
    deviation = np.sqrt(np.maximum(squares / n - np.square(total / n), 1.0))
    centred: Floats = ((whole - total / n) / deviation).astype(np.float32)
    return centred * gain + offset


def gelu(rows: Floats) -> Floats:
    """The Gaussian error linear unit, in its form with tanh."""
    steps = np.rint(rows * np.float32(_GELU_STEPS)).clip(-_GELU_EDGE, _GELU_EDGE)
    activated = _GELU[steps.astype(np.int32) + _GELU_EDGE]
    return np.where(rows > _GELU_LIMIT, rows, activated)


def weights(scores: Floats) -> tuple[Floats, Floats]:
    """Softmax over the last axis: whole weights, and their sum.

    Shape: (..., n) -> (..., n), (..., 1).
    """
    below = scores.max(axis=-1, keepdims=True) - scores
    steps = np.rint(below * np.float32(_EXP_STEPS)).clip(0, _EXP_LIMIT * _EXP_STEPS)
    whole = _EXP[steps.astype(np.int32)]
    return whole, whole.sum(axis=-1, keepdims=True)
