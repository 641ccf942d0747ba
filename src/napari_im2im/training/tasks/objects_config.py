"""The settings of separating objects, as data."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt


class InstancesConfig(BaseModel):
    """Objects from foreground and boundaries."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    distance: bool = Field(
        False, description="Learn also how far from its boundary a pixel lies."
    )
    boundary: PositiveFloat = Field(
        1.5, description="Width of a boundary in pixels, inside its object."
    )
    touching: float = Field(
        5.0, ge=1, description="How much more pixels between neighbours count."
    )
    smallest: PositiveInt | None = Field(
        None,
        description="Predicted objects of fewer pixels are removed; default: a quarter "
        "of the small ones among the labels.",
    )


class EmbeddingConfig(BaseModel):
    """Objects from spatial embeddings."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    foreground_weight: PositiveFloat = Field(
        10.0, description="How much more a pixel of an object counts for the seeds."
    )
    smallest: PositiveInt | None = Field(
        None,
        description="Predicted objects of fewer pixels are removed; default: a quarter "
        "of the small ones among the labels.",
    )
