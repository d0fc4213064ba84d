"""The merging of categories as a dendrogram along the cumulative loss, in SVG."""

from io import BytesIO
from typing import TYPE_CHECKING, Any

from kae.encoders.categories import CATEGORIES, POSITIONS
from kae.encoders.groups.merge import MergeTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_INK = "#33415c"
_KNEE = "#c2410c"
_GROUPS = ("#1d4ed8", "#047857", "#b45309", "#7c3aed", "#be123c", "#0e7490")
Node = tuple[int, ...]


def draw_dendrogram(tree: MergeTree, catalog_items: int) -> bytes:
    """Draw the dendrogram with its knee and its cut; the same tree gives the same bytes.

    Raises: ModuleNotFoundError without matplotlib (extra `plot`).
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.hashsalt": "kae",  # else the names inside differ from run to run
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "figure.constrained_layout.w_pad": 0.2,
        "figure.constrained_layout.h_pad": 0.1,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(10, 0.8 + 0.36 * len(tree.categories)), layout="constrained")
        axes = figure.add_subplot()
        _draw_tree(axes, tree)
        _draw_levels(axes, tree)
        axes.set_title(f"How categories merge, {catalog_items:,} items", loc="left", pad=18)
        axes.set_xlabel("cumulative information loss (bits)")
        axes.spines[["top", "right", "left"]].set_visible(False)
        picture = BytesIO()
        figure.savefig(picture, format="svg", metadata={"Date": None})
    return picture.getvalue()


def _draw_tree(axes: "Axes", tree: MergeTree) -> None:
    rows = _rows(tree)
    color = {
        category: _GROUPS[number % len(_GROUPS)]
        for number, group in enumerate(tree.cut(POSITIONS))
        for category in group
    }
    height: dict[Node, float] = {(c,): 0.0 for c in tree.categories}
    middle: dict[Node, float] = {(c,): float(rows[c]) for c in tree.categories}
    for step, level in zip(tree.merges, tree.cumulative(), strict=True):
        joined = tuple(sorted(step.left + step.right))
        ends = [(height[side], middle[side]) for side in (step.left, step.right)]
        for side, (start, row) in zip((step.left, step.right), ends, strict=True):
            axes.plot([start, level], [row, row], color=_ink(side, color), linewidth=1.6)
        upright = [ends[0][1], ends[1][1]]
        axes.plot([level, level], upright, color=_ink(joined, color), linewidth=1.6)
        height[joined] = level
        middle[joined] = (ends[0][1] + ends[1][1]) / 2
    axes.set_yticks([rows[c] for c in tree.categories], [CATEGORIES[c] for c in tree.categories])
    for label, category in zip(axes.get_yticklabels(), tree.categories, strict=True):
        label.set_color(color[category])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()


def _ink(node: Node, color: dict[int, str]) -> str:
    """Return the color of a node's group; nodes that join groups share one color."""
    colors = {color[category] for category in node}
    return colors.pop() if len(colors) == 1 else _INK


def _draw_levels(axes: "Axes", tree: MergeTree) -> None:
    """Draw the knee, and the cut at six groups."""
    knee = tree.knee()
    # The line with more groups is on the left, and so is its label.
    cut_side, knee_side = ("right", "left") if (knee or 0) <= POSITIONS else ("left", "right")
    levels = {POSITIONS: (f" cut at {POSITIONS} ", _INK, "dotted", cut_side)}
    if knee is not None:
        at = f" knee and cut at {knee} " if knee == POSITIONS else f" knee at {knee} "
        levels[knee] = (at, _KNEE, "dashed", knee_side)
    for groups, (text, ink, dashes, side) in levels.items():
        level = _level_between(tree, groups)
        axes.axvline(level, color=ink, linestyle=dashes, linewidth=1.2)
        axes.annotate(
            text, (level, 1.0), xycoords=("data", "axes fraction"), color=ink, ha=side, fontsize=9
        )


def _level_between(tree: MergeTree, groups: int) -> float:
    """Return a loss between the merges that leave and end so many groups."""
    reached = [0.0, *tree.cumulative()]
    steps = min(max(len(tree.categories) - groups, 0), len(reached) - 1)
    after = reached[min(steps + 1, len(reached) - 1)]
    return (reached[steps] + after) / 2


def _rows(tree: MergeTree) -> dict[int, int]:
    """Return the row of each category, so that no branches cross."""
    order: dict[Node, tuple[int, ...]] = {(c,): (c,) for c in tree.categories}
    for step in tree.merges:
        joined = tuple(sorted(step.left + step.right))
        order[joined] = order[step.left] + order[step.right]
    whole = order[tree.categories] if tree.categories else ()
    return {category: row for row, category in enumerate(whole)}
