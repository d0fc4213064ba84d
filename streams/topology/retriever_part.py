"""The section `retriever` of topology.yaml: what `kae samples` and `kae model train` make."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from kae.encoders.categories import POSITIONS
from kae.encoders.retriever.plan import StagePlan, TrainingPlan
from kae.encoders.retriever.samples import STAGES
from kae.streams.topology.part import Count, Part

_Weight = Annotated[float, Field(ge=0, le=1_000_000)]
_Share = Annotated[float, Field(ge=0, lt=1)]


class RoutingPart(Part):
    form: Literal["path", "identity"]
    each: Annotated[int, Field(ge=0, le=100_000)]


class StagePart(Part):
    name: Literal["S0", "S1", "S2", "S3"]
    samples: Count
    rate: Annotated[float, Field(gt=0, le=1)]
    mix: dict[str, _Weight]

    @model_validator(mode="after")
    def _own_tasks(self) -> "StagePart":
        """Each stage has tasks of its own."""
        unknown = sorted(set(self.mix) - set(STAGES[self.name]))
        if unknown or not any(self.mix.values()):
            raise PydanticCustomError(
                "mix",
                "the mix of {stage} is of {tasks}",
                {"stage": self.name, "tasks": ", ".join(STAGES[self.name])},
            )
        return self


class RetrieverPart(Part):
    preset: Literal["tiny", "small", "base"]
    text_tokens: Annotated[int, Field(ge=512, le=1_000_000)]
    source_tokens: Annotated[int, Field(ge=4, le=1024)]
    history_items: Annotated[int, Field(ge=0, le=100)]
    batch_samples: Annotated[int, Field(ge=1, le=65_536)]
    warm_up_steps: Count
    dropout: _Share
    prefix_dropout: _Share = 0.0
    weight_decay: _Share
    position_weights: Annotated[
        tuple[_Weight, ...], Field(strict=False, min_length=POSITIONS, max_length=POSITIONS)
    ]
    routing: RoutingPart
    stages: Annotated[tuple[StagePart, ...], Field(strict=False, min_length=1, max_length=4)]

    @model_validator(mode="after")
    def _distinct_stages(self) -> "RetrieverPart":
        names = [stage.name for stage in self.stages]
        if names != sorted(set(names)):
            raise PydanticCustomError("stages", "each stage comes once, in order")
        return self

    @property
    def plan(self) -> TrainingPlan:
        """As the training knows it."""
        data = self.model_dump(exclude={"routing", "stages"})
        stages = tuple(StagePlan(**stage.model_dump()) for stage in self.stages)
        return TrainingPlan(**data, stages=stages)
