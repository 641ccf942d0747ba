"""Everything that defines a prediction, as data."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from napari_im2im.inference.objects.config import ObjectsConfig


class PredictConfig(BaseModel):
    """A prediction of one image with one model."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    model: str = Field("", description="Model package: a path, or a name of `zoo`.")
    inputs: list[str] = Field(
        default_factory=list,
        description="Image files, one for each input of the model.",
    )
    axes: str | None = Field(
        None, description="Axes of the image (e.g. 'tczyx') if the file doesn't say."
    )
    channels: list[int] | None = Field(
        None,
        description="Channels to read, in the model's order; default: those with the "
        "names of the model's channels, else all.",
    )
    region: dict[str, tuple[int, int]] | None = Field(
        None, description="Part of the image by axis, e.g. {y: [0, 512]}."
    )
    output: Path | None = Field(
        None, description="OME-Zarr or TIFF to write; default: keep in memory."
    )
    overwrite: bool = Field(False, description="Replace an output that exists.")
    resume: bool = Field(False, description="Continue an interrupted output.")
    result: Literal["auto", "raw"] = Field(
        "auto",
        description="auto: labels, where the model tells classes or objects apart; "
        "raw: its channels, such as probabilities.",
    )
    objects: ObjectsConfig = Field(default_factory=ObjectsConfig)
    device: str = Field("auto", description="auto, cpu, cuda, cuda:0, mps …")
    engine: Literal[
        "auto", "openvino", "onnxruntime", "torchscript", "torch", "keras"
    ] = Field(
        "auto", description="auto: the fastest that reproduces the model's own test."
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="Of the computation; the output is float32."
    )
    compile: bool = Field(
        False,
        description="Compile the network for a GPU: starts later, runs faster; the "
        "engine torch only.",
    )
    tile: dict[str, PositiveInt] | None = Field(
        None, description="Tile size by axis, halo included; default: automatic."
    )
    halo: Literal["measured", "exact"] | dict[str, int] = Field(
        "measured",
        description="measured: the smallest that keeps `tolerance`, where it saves "
        "much; exact: the whole receptive field; or pixels by axis.",
    )
    overlap: Literal["exact", "blend"] = Field(
        "exact",
        description="exact: tiles give what one forward of the whole image would; "
        "blend: they fade into each other. Networks without exact tiles are blended.",
    )
    tolerance: PositiveFloat = Field(
        1e-3, description="Largest difference from the whole image, in std."
    )
    statistics: Literal["image", "bioimageio.core"] = Field(
        "image",
        description="image: as the specification says, of the whole image; "
        "bioimageio.core: as that library computes them.",
    )
    unreadable: Literal["stop", "skip"] = Field(
        "stop",
        description="skip: leave out what depends on pixels that can't be read.",
    )
    rescale: bool = Field(
        False, description="Predict in the model's pixel size, and go back from it."
    )
    output_type: Literal["float32", "float16", "uint16", "uint8"] | None = Field(
        None,
        description="Data type of the result, cut off where it can't hold a value; "
        "default: what the model makes.",
    )
    mask: str | None = Field(
        None,
        description="Image file that isn't 0 where a result is wanted: tiles without "
        "any of that are left 0.",
    )
    empty: Literal["predict", "skip"] = Field(
        "predict",
        description="skip: tiles of which the whole image is 0, or was never written, "
        "are left 0.",
    )
    batch_size: PositiveInt | None = Field(None, description="Tiles at once.")
    test_time_augmentation: bool = Field(
        False, description="Mean over flips and quarter turns, with their spread."
    )
