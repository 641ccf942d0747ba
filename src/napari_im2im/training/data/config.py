"""Which images a training learns from, as data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    field_validator,
    model_validator,
)

SplitBy = Literal["image", "group", "every_nth"]
Fraction = Annotated[float, Field(ge=0, le=0.9)]
Part = Annotated[float, Field(ge=0, le=1)]


class DataConfig(BaseModel):
    """The images to learn from.

    They are named by patterns (``inputs``, ``targets``), by a ``folder`` whose layout
    is recognised, or by a ``table``; all stay empty when images are handed over in
    memory, as the Train dock does with layers.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    inputs: list[str] = Field(
        default_factory=list,
        description="Files or glob patterns of the input images; 'a_*.tif + b_*.tif' "
        "reads files together, as channels.",
    )
    targets: list[str] = Field(
        default_factory=list,
        description="Files or glob patterns of the target images, in the same order.",
    )
    cost_maps: list[str] = Field(
        default_factory=list,
        description="Files or glob patterns of the pixels' weights; 0 is left out.",
    )
    folder: Path | None = Field(
        None,
        description="Folder whose layout is recognised: *_IM and *_GT files, folders "
        "IM and GT or x and y, train and val of these, an OME-Zarr plate …",
    )
    kinds: dict[Literal["input", "target", "cost_map"], str] = Field(
        default_factory=dict,
        description="Which files of the folder are what, by what their names share, "
        "e.g. {input: phase, target: dna}; default: told by the names.",
    )
    table: Path | None = Field(
        None,
        description="CSV file with the columns input, target, cost_map, split, group.",
    )
    input_axes: str | None = Field(
        None, description="Axes of the input files (e.g. 'cyx') if they don't say."
    )
    target_axes: str | None = Field(
        None, description="Axes of the target files (e.g. 'cyx') if they don't say."
    )
    input_channels: list[int] | None = Field(
        None, description="Channels to read; default: all."
    )
    target_channels: list[int] | None = Field(
        None,
        description="Channels to learn; default: all. Without target files, those of "
        "the inputs.",
    )
    validation_fraction: Fraction = Field(
        0.15, description="Part of the images (of the only image: a strip) held out."
    )
    test_fraction: Fraction = Field(
        0, description="Part of the images that training leaves alone altogether."
    )
    split_by: SplitBy = Field(
        "image",
        description="image: typical images are held out; group: whole groups (plate, "
        "study, well, position); every_nth: images at equal distances in their order.",
    )
    group_pattern: str | None = Field(
        None,
        description="Regular expression whose match in a file's path is its group, "
        "e.g. 'plate\\d+'; default: found in the names.",
    )
    foreground_patches: Part = Field(
        0, description="Part of the patches that are centred on foreground."
    )
    least_foreground: Part = Field(
        0, description="Patches with a smaller part of foreground are drawn anew."
    )
    draw_by_cost_map: bool = Field(
        False, description="Draw patches more often where the cost map is larger."
    )
    cache_gigabytes: PositiveFloat = Field(
        100, description="Most disk space for decoded images, of all trainings."
    )

    @field_validator("group_pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        named = {"inputs": self.inputs, "folder": self.folder, "table": self.table}
        used = [name for name, value in named.items() if value]
        if len(used) > 1:
            raise ValueError(
                f"images are named by {' and '.join(used)}: leave all but one out"
            )
        if self.cost_maps and not self.inputs:
            raise ValueError("cost_maps go with inputs: name the inputs by patterns")
        if self.kinds and not (self.folder and {"input", "target"} <= {*self.kinds}):
            raise ValueError("kinds name input and target files of a folder")
        return self

    @property
    def names_files(self) -> bool:
        """Whether files are named, in whatever way."""
        return bool(self.inputs or self.folder or self.table)
