"""What `kae model` prints: a training's progress, a model, scores, and answers with their beams."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from kae.streams.cli import terminal

if TYPE_CHECKING:
    from kae.encoders.retriever.manifest import RetrieverManifest
    from kae.encoders.retriever.training import TrainingProgress
    from kae.streams.replica_api.answers import Words
    from kae.streams.retrieval.evaluate import ModelEvaluated
    from kae.streams.retrieval.model_search import ModelAnswer

# Beams that the table of an answer has.
SHOWN = 10
# A line of progress every so many points, where there is no terminal.
TOLD_POINTS = 8


@contextmanager
def training_progress() -> Iterator[Callable[["TrainingProgress"], None]]:
    """Show a bar for each stage on a terminal, otherwise print lines."""
    if not sys.stderr.isatty():
        told: list[int] = []

        def tell(found: "TrainingProgress") -> None:
            told.append(found.point.step)
            if len(told) % TOLD_POINTS == 1 or found.point.step == found.point.steps:
                terminal.err.print(_line(found), highlight=False)

        yield tell
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[line]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=terminal.err) as bar:
        tasks: dict[str, TaskID] = {}

        def move(found: "TrainingProgress") -> None:
            point = found.point
            if point.stage not in tasks:
                tasks[point.stage] = bar.add_task(point.stage, total=point.steps, line="")
            bar.update(tasks[point.stage], completed=point.step, line=_line(found))

        yield move


def _line(found: "TrainingProgress") -> str:
    point = found.point
    return (
        f"{point.stage}: step {point.step:,} of {point.steps:,}, loss {point.loss:.3f}, "
        f"rate {point.rate:.1e}, {found.samples_per_second:,.0f} samples/s"
    )


def print_model(folder: Path, manifest: "RetrieverManifest") -> None:
    terminal.print_table(
        f"{folder}: {manifest.plan.preset}, {manifest.parameters:,} weights, codebook "
        f"{manifest.codebook or 'none'}, seed {manifest.seed}",
        ("stage", "steps", "samples", "loss at the end"),
        ((one.name, one.steps, one.samples, one.loss) for one in manifest.stages),
    )
    terminal.out.print(
        f"texts have tokens 0 to {manifest.text_tokens - 1:,}; slot 0 of each position is token "
        f"{', '.join(f'{offset:,}' for offset in manifest.offsets)}",
        highlight=False,
    )


def print_scores(found: "ModelEvaluated") -> None:
    rows = (("model", found.model), ("own words", found.own_words), ("both", found.both))
    terminal.print_table(
        f"{found.pairs:,} chosen items of {found.queries:,} queries, {found.beams} beams, "
        f"{found.p50_ms:.1f} ms a query (p50)",
        ("ranked by", *(f"HR@{depth}" for depth in found.model.hit_rate), "MRR"),
        ((name, *one.hit_rate.values(), one.mrr) for name, one in rows),
    )


def print_answer(answer: "ModelAnswer") -> None:
    terminal.out.print(
        f"identifier of the query: {_written(answer.identifier)}", markup=False, highlight=False
    )
    terminal.print_table(
        f"Best of {len(answer.beams):,} beams",
        ("score", "identifier", "items", "of a term"),
        ((one.score, _written(one.words), one.items, one.routed) for one in answer.beams[:SHOWN]),
    )
    terminal.print_table(
        f"Items, after {answer.took_ms:.0f} ms",
        ("id", "title", "by"),
        ((one.id, one.title, _by(one.path, one.via)) for one in answer.items),
    )


def _by(path: "Words | None", via: str | None) -> str:
    """How an item was reached."""
    if path is None:
        return "own words"
    return f"term {via}" if via else _written(path)


def _written(words: "Words") -> str:
    return " · ".join(word or "-" for word in words)
