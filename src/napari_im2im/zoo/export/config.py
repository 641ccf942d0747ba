"""Everything that defines an export, as data."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_im2im.zoo.metadata import Metadata

Format = Literal["torchscript", "onnx"]
Architecture = Literal["auto", "source", "library"]


class ExportConfig(BaseModel):
    """A package to publish, made of a model on this computer."""

    model_config = ConfigDict(extra="forbid")

    model: Path = Field(description="Run folder, package folder or zip.")
    output: Path = Field(description="The zip to write.")
    metadata: Metadata
    formats: tuple[Format, ...] = Field(
        ("torchscript", "onnx"), description="Weights to add to those that are there."
    )
    leave_out: tuple[str, ...] = Field(
        (), description="Weights of the model that aren't published, nor made anew."
    )
    architecture: Architecture = Field(
        "auto",
        description="How the state dict's network is built again: 'source' adds one "
        "readable file that needs PyTorch alone, which BiaPy and ilastik can load, "
        "'library' imports MONAI's class, 'auto' takes the file where there is one.",
    )
    overwrite: bool = False
