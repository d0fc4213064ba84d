"""The curve of a training as a picture: loss and learning rate, stage after stage, in SVG."""

from collections.abc import Sequence
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec

from kae.encoders.retriever.training import CURVE, CurvePoint

_INK = "#33415c"
_LOSS = "#1d4ed8"
_RATE = "#b45309"


def read_curve(folder: Path) -> list[CurvePoint]:
    """The points so far of a training in a folder; none before it has begun."""
    path = folder / CURVE
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=CurvePoint) for line in lines]


def draw_curve(points: Sequence[CurvePoint]) -> bytes:
    """Draw the curve; the same points give the same bytes.

    Raises: ModuleNotFoundError without matplotlib (extra `plot`).
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {"svg.hashsalt": "kae", "svg.fonttype": "none"}
    with mpl.rc_context(style):
        figure = Figure(figsize=(10, 4), layout="constrained")
        axes = figure.add_subplot()
        steps = _steps(points)
        axes.plot(steps, [point.loss for point in points], color=_LOSS, linewidth=1.6)
        axes.set_ylabel("loss (nats a token)", color=_LOSS)
        axes.set_xlabel("steps")
        rates = axes.twinx()
        rates.plot(steps, [point.rate for point in points], color=_RATE, linewidth=1, alpha=0.7)
        rates.set_ylabel("learning rate", color=_RATE)
        for begin, name in _stages(points, steps):
            axes.axvline(begin, color=_INK, linewidth=0.6, linestyle=":")
            axes.annotate(name, (begin, 1), (4, -12), ("data", "axes fraction"), "offset points")
        picture = BytesIO()
        figure.savefig(picture, format="svg", metadata={"Date": None})
    return picture.getvalue()


def _steps(points: Sequence[CurvePoint]) -> list[int]:
    """The step of each point, counted over all stages."""
    lengths = {point.stage: point.steps for point in points}
    before = dict(zip(lengths, accumulate(lengths.values(), initial=0), strict=False))
    return [before[point.stage] + point.step for point in points]


def _stages(points: Sequence[CurvePoint], steps: Sequence[int]) -> list[tuple[int, str]]:
    """Where each stage begins."""
    first: dict[str, int] = {}
    for point, step in zip(points, steps, strict=True):
        first.setdefault(point.stage, step - point.step)
    return [(begin, name) for name, begin in first.items()]
