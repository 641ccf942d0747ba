"""The settings of segmentation, as data."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class SemanticConfig(BaseModel):
    """Which labels are which classes."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    classes: list[str] = Field(
        default_factory=list,
        description="Names of the classes, the background first; default: from the "
        "labels.",
    )
    values: list[int] = Field(
        default_factory=list,
        description="Label of each class; labels between them count to the nearest, "
        "as in anti-aliased masks. Default: the labels that there are.",
    )
    foreground: bool = Field(
        False,
        description="Learn one class: all labels above 0, as of masks that name "
        "objects.",
    )
    ignore: int | None = Field(
        None,
        description="Label of pixels that don't count, e.g. 0 where only some pixels "
        "were labelled.",
    )

    @field_validator("classes", "values", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """Read "a, b" as two entries, and a number as one."""
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return [value] if isinstance(value, int) else value

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.values and len(set(self.values)) < max(2, len(self.values)):
            raise ValueError("name at least two different labels, each once")
        if self.values and self.classes and len(self.values) != len(self.classes):
            raise ValueError(
                f"{len(self.classes)} classes have {len(self.values)} labels: give a "
                "label for each"
            )
        if self.foreground and (self.values or len(self.classes) not in (0, 2)):
            raise ValueError(
                "with foreground there are two classes and no labels to choose"
            )
        return self
