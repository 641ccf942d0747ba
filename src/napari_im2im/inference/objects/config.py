"""How objects are told apart, as data."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

Fraction = Annotated[float, Field(gt=0, lt=1)]


class ObjectsConfig(BaseModel):
    """What is made of a model that separates objects; default: as it was trained."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    foreground: Fraction | None = Field(
        None, description="How sure a pixel must be to belong to an object."
    )
    seed: Fraction | None = Field(
        None, description="How sure a pixel must be for an object to start there."
    )
    smallest: PositiveInt | None = Field(
        None, description="Objects of fewer pixels are removed."
    )
