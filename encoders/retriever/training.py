"""Training, stage by stage; killed at any moment, the same call goes on from its last checkpoint.

Which samples a step takes follows from the seed and the number of the step alone. A checkpoint has
the weights, what the optimizer remembers and the state of the random numbers. So a training that
was killed ends with the weights of one that was not, byte by byte, if both have the same threads.

    out/checkpoint.pt   the last checkpoint, replaced as a whole; removed once the model is there
    out/curve.jsonl     loss and rate, a line for every so many steps
    out/                the model (network.py), once all stages are done
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from kae.encoders.retriever.checkpoints import (
    Checkpoint,
    load_checkpoint,
    restore_random_state,
    save_checkpoint,
)
from kae.encoders.retriever.first_vectors import first_vectors
from kae.encoders.retriever.manifest import (
    FORMAT,
    MANIFEST,
    RetrieverManifest,
    StageFigures,
    hash_weights,
    offsets_of,
    read_manifest,
)
from kae.encoders.retriever.network import Retriever
from kae.encoders.retriever.plan import StagePlan, TrainingPlan
from kae.encoders.retriever.sampling import StageBatches
from kae.encoders.retriever.stage_samples import StageSamples
from kae.encoders.retriever.text import TextTokens

CHECKPOINT = "checkpoint.pt"
CURVE = "curve.jsonl"
# Steps of one point of the curve.
POINT_STEPS = 25
CHECKPOINT_SECONDS = 30.0
# The share of a stage that its rate rises in, at most.
_WARM_UP = 0.1
_CLIPPED = 1.0


class TrainingDiffers(ValueError):
    """A folder has the checkpoint or the model of another training."""


class TrainingDiverged(ArithmeticError):
    """The loss is no number any more."""


class CurvePoint(msgspec.Struct, frozen=True):
    """The mean loss since the point before, in nats a token, and the rate of the last step."""

    stage: str
    step: int
    steps: int
    loss: float
    rate: float


class TrainingProgress(msgspec.Struct, frozen=True):
    """The newest point of the curve, and how fast it goes."""

    point: CurvePoint
    samples_per_second: float


Progress = Callable[[TrainingProgress], None]


def train(
    samples: StageSamples,
    plan: TrainingPlan,
    capacities: tuple[int, ...],
    out: Path,
    *,
    seed: int,
    threads: int = 1,
    device: str = "cpu",
    codebook: str = "",
    texts: TextTokens | None = None,
    progress: Progress | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Retriever:
    """Train a model and save it to a folder; where that is done already, load it.

    `texts` are trained on the samples if none are given; `codebook` is its fingerprint.
    Raises: TrainingDiffers, TrainingDiverged.
    """
    torch.set_num_threads(threads)
    texts = texts or TextTokens.train(samples.texts(), plan.text_tokens)
    retriever = Retriever.create(plan, texts, capacities, seed)
    manifest = RetrieverManifest(
        format=FORMAT,
        codebook=codebook,
        text_tokens=texts.size,
        capacities=retriever.layout.capacities,
        offsets=offsets_of(retriever.layout),
        parameters=retriever.parameter_count,
        plan=plan,
        seed=seed,
        threads=threads,
        device=device,
        samples=samples.digest(),
    )
    if (out / MANIFEST).exists():
        _refuse_other(read_manifest(out), manifest, out / MANIFEST)
        return Retriever.load(out, device)
    out.mkdir(parents=True, exist_ok=True)
    retriever.begin_with(
        first_vectors(samples, plan.tasks, retriever.tokens, retriever.width, seed)
    )
    training = _Training(retriever.to(device), manifest, out, checkpoint_seconds, progress)
    training.resume()
    training.run(samples)
    return retriever.eval()


class _Training:
    """The state of a training: which stage and step is next, and the curve so far."""

    def __init__(
        self,
        retriever: Retriever,
        manifest: RetrieverManifest,
        out: Path,
        checkpoint_seconds: float,
        progress: Progress | None,
    ) -> None:
        self._retriever = retriever
        self._manifest = manifest
        self._out = out
        self._checkpoint_seconds = checkpoint_seconds
        self._progress = progress
        self._stage = 0
        self._step = 0
        self._curve: list[CurvePoint] = []
        self._losses: list[float] = []
        self._resumed: Checkpoint | None = None

    def resume(self) -> None:
        """Go on from the checkpoint of the folder, if there is one. Raises: TrainingDiffers."""
        path = self._out / CHECKPOINT
        if path.exists():
            found = load_checkpoint(path, self._retriever.device)
            begun = msgspec.json.decode(found["training"], type=RetrieverManifest)
            _refuse_other(begun, self._manifest, path)
            self._retriever.load_state_dict(found["weights"])
            self._stage, self._step = found["stage"], found["step"]
            self._losses = found["losses"]
            self._curve = msgspec.json.decode(found["curve"], type=list[CurvePoint])
            self._resumed = found
        lines = b"".join(msgspec.json.encode(point) + b"\n" for point in self._curve)
        (self._out / CURVE).write_bytes(lines)

    def run(self, samples: StageSamples) -> None:
        plan = self._manifest.plan
        figures = []
        for number, stage in enumerate(plan.stages):
            batches = StageBatches(
                stage, samples, self._retriever.tokens, plan.batch_samples, self._manifest.seed
            )
            if number >= self._stage:
                self._learn(stage, batches, number)
            figures.append(self._figures(stage, batches.steps))
        self._save(figures)

    def _learn(self, stage: StagePlan, batches: StageBatches, number: int) -> None:
        self._stage = number
        optimizer, schedule = self._optimizer(stage, batches.steps)
        if self._resumed:
            optimizer.load_state_dict(self._resumed["optimizer"])
            schedule.load_state_dict(self._resumed["schedule"])
            restore_random_state(self._resumed, self._retriever.device)
            self._resumed = None
        began = saved = time.monotonic()
        taken = 0
        self._retriever.train()
        while self._step < batches.steps:
            batch = batches.batch(self._step)
            self._losses.append(self._take(batch, optimizer))
            rate = schedule.get_last_lr()[0]
            schedule.step()
            self._step += 1
            taken += len(batch)
            if self._step % POINT_STEPS == 0 or self._step == batches.steps:
                self._tell(stage, batches.steps, rate, taken / (time.monotonic() - began))
            if time.monotonic() - saved >= self._checkpoint_seconds:
                self._save_checkpoint(optimizer, schedule)
                saved = time.monotonic()
        self._step = 0

    def _take(self, batch: list[Any], optimizer: torch.optim.Optimizer) -> float:
        """One step of the optimizer; returns the loss."""
        retriever = self._retriever
        plan = self._manifest.plan
        tokens = retriever.batch(batch, plan.position_weights, plan.prefix_dropout)
        on_gpu = retriever.device.type == "cuda"
        with torch.autocast(retriever.device.type, torch.bfloat16, enabled=on_gpu):
            loss = retriever.loss(tokens)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(retriever.parameters(), _CLIPPED)
        optimizer.step()
        return loss.item()

    def _optimizer(self, stage: StagePlan, steps: int) -> tuple[torch.optim.Optimizer, LambdaLR]:
        """AdamW, whose rate rises for some steps and then falls along a cosine."""
        plan = self._manifest.plan
        optimizer = torch.optim.AdamW(
            self._retriever.parameters(), lr=stage.rate, weight_decay=plan.weight_decay, fused=True
        )
        rising = max(1, min(plan.warm_up_steps, int(steps * _WARM_UP)))

        def rate(step: int) -> float:
            if step < rising:
                return (step + 1) / rising
            return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))

        return optimizer, LambdaLR(optimizer, rate)

    def _tell(self, stage: StagePlan, steps: int, rate: float, speed: float) -> None:
        loss = sum(self._losses) / len(self._losses)
        self._losses.clear()
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"{self._out}: the loss of stage {stage.name} is {loss} at step {self._step} of "
                f"{steps}; lower its rate, now {stage.rate:g}, in the section retriever of "
                "topology.yaml"
            )
        point = CurvePoint(stage.name, self._step, steps, loss, rate)
        self._curve.append(point)
        with (self._out / CURVE).open("ab") as file:
            file.write(msgspec.json.encode(point) + b"\n")
        if self._progress:
            self._progress(TrainingProgress(point, speed))

    def _save_checkpoint(self, optimizer: torch.optim.Optimizer, schedule: LambdaLR) -> None:
        state = {
            "training": msgspec.json.encode(self._manifest),
            "weights": self._retriever.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "stage": self._stage,
            "step": self._step,
            "losses": self._losses,
            "curve": msgspec.json.encode(self._curve),
        }
        save_checkpoint(self._out / CHECKPOINT, state, self._retriever.device)

    def _figures(self, stage: StagePlan, steps: int) -> StageFigures:
        points = [point for point in self._curve if point.stage == stage.name]
        last = points[-max(1, len(points) // 10) :]
        loss = sum(point.loss for point in last) / len(last) if last else 0.0
        samples = min(stage.samples, steps * self._manifest.plan.batch_samples)
        return StageFigures(stage.name, steps, samples, round(loss, 4))

    def _save(self, figures: list[StageFigures]) -> None:
        self._retriever.save(self._out)
        # The manifest last: it makes the folder a model.
        msgspec.structs.replace(
            self._manifest,
            stages=tuple(figures),
            weights_blake2b=hash_weights(self._out),
        ).write(self._out)
        (self._out / CHECKPOINT).unlink(missing_ok=True)


def _refuse_other(found: RetrieverManifest, wanted: RetrieverManifest, path: Path) -> None:
    if found.is_same_training(wanted):
        return
    theirs, ours = msgspec.to_builtins(found), msgspec.to_builtins(wanted)
    different = [
        name
        for name in ours
        if name not in ("stages", "weights_blake2b") and theirs[name] != ours[name]
    ]
    raise TrainingDiffers(
        f"{path}: is of another training; different: {', '.join(different)}. Give what that "
        "training was begun with, or another --out"
    )
