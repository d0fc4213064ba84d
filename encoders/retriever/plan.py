"""What a training consists of: the network's size, and for each stage how much of what.

`retriever` of topology.yaml is where it is written down.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """The shape of a BART, encoder and decoder alike."""

    width: int
    layers: int
    heads: int
    feed_forward: int


# `tiny` is for tests; `base` is that of BART-base.
PRESETS: Mapping[str, NetworkShape] = MappingProxyType(
    {
        "tiny": NetworkShape(64, 1, 2, 128),
        "small": NetworkShape(128, 2, 4, 512),
        "base": NetworkShape(768, 6, 12, 3072),
    }
)


class StagePlan(msgspec.Struct, frozen=True):
    """One stage: how many samples it draws, of which tasks, at which highest learning rate.

    `mix` has a weight for each task; only their ratios count.
    """

    name: str
    samples: int
    rate: float
    mix: dict[str, float]


class TrainingPlan(msgspec.Struct, frozen=True):
    """All that decides what is learned, beside the samples and the seed."""

    preset: str
    text_tokens: int  # size of the vocabulary of texts
    source_tokens: int  # of a text, how many are read
    history_items: int  # of a history, how many are read
    batch_samples: int
    warm_up_steps: int  # of each stage, at most a tenth of it
    dropout: float
    weight_decay: float
    position_weights: tuple[float, ...]  # of the loss
    stages: tuple[StagePlan, ...]
    # Of the slots that precede a slot, the share that is hidden from it; so it is learned from the
    # source rather than from combinations of slots that happen to exist.
    prefix_dropout: float = 0.0

    @property
    def tasks(self) -> frozenset[str]:
        """All tasks that are learned."""
        return frozenset(
            task for stage in self.stages for task, weight in stage.mix.items() if weight > 0
        )

    def scaled(self, share: float) -> "TrainingPlan":
        """The same with so much of the samples, at least a batch a stage."""
        return msgspec.structs.replace(
            self,
            stages=tuple(
                msgspec.structs.replace(
                    one, samples=max(self.batch_samples, round(one.samples * share))
                )
                for one in self.stages
            ),
        )

    def without(self, left_out: str) -> "TrainingPlan":
        """The same without a stage, or without a task."""
        stages = [
            msgspec.structs.replace(
                one, mix={task: part for task, part in one.mix.items() if task != left_out}
            )
            for one in self.stages
            if one.name != left_out
        ]
        return msgspec.structs.replace(self, stages=tuple(one for one in stages if one.mix))
