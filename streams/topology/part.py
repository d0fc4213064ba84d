"""What the types of all parts of topology.yaml are made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# The upper bound is what clients can represent.
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Part(BaseModel):
    """A mapping of topology.yaml: no other keys, no conversions between types."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )
