"""The settings of pretraining by hidden blocks, as data."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveInt


class MaskedConfig(BaseModel):
    """Which blocks of a patch are hidden."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.6, description="Part of the blocks that are hidden."
    )
    block: dict[str, PositiveInt] = Field(
        default_factory=dict,
        description="Size of a block by axis, e.g. {y: 32, x: 32}, at most half of "
        "the patch; default: 16 pixels, along z as many planes as are that thick.",
    )
