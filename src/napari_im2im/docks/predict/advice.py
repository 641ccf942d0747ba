"""What a prediction will do, or what to fix first, in sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from napari_im2im.docks.advice import (
    Advice,
    Fix,
    advise_code,
    advise_guess,
    advise_memory,
    advise_model,
    describe_duration,
    describe_sizes,
)
from napari_im2im.errors import TrustError
from napari_im2im.folders import runs_folder
from napari_im2im.images.image import SPATIAL_AXES
from napari_im2im.inference.journal import journal_of
from napari_im2im.models.tensors import FixedSize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_im2im.images.image import Image
    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.models.package import ModelPackage
    from napari_im2im.models.tensors import TensorSpec
    from napari_im2im.zoo.trust import Code


@dataclass(frozen=True)
class ModelFacts:
    """What a dock has to know of a model.

    Parameters
    ----------
    path
        The model, as it was chosen.
    input_names
        One for each input that an image is needed for.
    channels
        Number of channels of each of these, None for those that take any number.
    spatial
        Spatial axes of the first input, e.g. ``"yx"``.
    output_channels
        Number of channels of all outputs together.
    meaning
        What the outputs stand for, as the task of a training says it.
    name
        What it calls itself.
    note
        What to know before it is used.
    code
        What somebody has to agree to before it runs.
    refused
        Why nobody can.
    """

    path: str
    input_names: tuple[str, ...]
    channels: tuple[int | None, ...]
    spatial: str
    output_channels: int
    meaning: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    note: str = ""
    code: Code | None = None
    refused: str = ""


def facts_of(package: ModelPackage, path: str) -> ModelFacts:
    """Return what the docks need of a package; nothing of it is run."""
    # Runs in a thread: what it imports takes seconds.
    from napari_im2im.zoo.compatibility import check_runs
    from napari_im2im.zoo.trust import TrustStore, code_to_agree

    code, refused = None, ""
    try:
        formats = check_runs(package).formats
        code = code_to_agree(package, formats, TrustStore().trusted())
    except TrustError as error:
        refused = str(error)
    inputs = [spec for spec in package.inputs if not spec.optional]
    return ModelFacts(
        path=path,
        input_names=tuple(spec.id if len(inputs) > 1 else "Image" for spec in inputs),
        channels=tuple(_channels(spec) for spec in inputs),
        spatial="".join(a for a in SPATIAL_AXES if a in inputs[0].axis_names),
        output_channels=sum(_channels(spec) or 1 for spec in package.outputs),
        meaning=package.config.get("task") or {},
        name=package.name,
        note=package.note,
        code=code,
        refused=refused,
    )


def _channels(spec: TensorSpec) -> int | None:
    """Return the number of channels, None if a tensor takes any number."""
    if "channel" not in spec.axis_names:
        return 1
    axis = spec.axis("channel")
    if isinstance(axis.size, FixedSize):
        return axis.size.size
    return len(axis.channel_names) or None


def advise_prediction(
    images: Sequence[Image],
    facts: ModelFacts | None,
    config: PredictConfig,
    *,
    labels: bool,
    guessed: bool,
) -> list[Advice]:
    """Return what keeps a prediction from starting, or what to know before.

    Parameters
    ----------
    images
        What is chosen, one for each input of the model.
    facts
        The model, None while its description is being read.
    config
        The job.
    labels
        Whether the first image is a Labels layer.
    guessed
        Whether its axes are a guess.
    """
    if not config.model:
        return [
            Advice(
                "There is no model yet. Train one, or get one from the Model Zoo.",
                "stop",
                (Fix("Train", "open", "Train"), Fix("Model Zoo", "open", "Model Zoo")),
            )
        ]
    if facts is not None and facts.refused:
        return [Advice(facts.refused, "stop")]
    if facts is not None and facts.code is not None:
        return [advise_code(facts.name, facts.code)]
    if not images:
        fixes = (Fix("Open the sample", "sample"),)
        return [Advice("Open an image to predict from.", "stop", fixes)]
    if labels:
        return [
            Advice(
                f"{images[0].name} is a Labels layer, whose numbers name objects: "
                "choose an Image layer.",
                "stop",
            )
        ]
    if config.channels == []:
        fixes = (Fix("Choose", "edit_axes"),)
        return [Advice("Choose at least one channel.", "stop", fixes)]
    if facts is None:
        return []
    return _advise_with_model(images, facts, config, guessed)


def _advise_with_model(
    images: Sequence[Image], facts: ModelFacts, config: PredictConfig, guessed: bool
) -> list[Advice]:
    if len(images) < len(facts.channels):
        missing = facts.input_names[len(images)]
        return [Advice(f"The model also reads {missing}: choose a layer.", "stop")]
    advice = []
    if facts.note:
        starts = facts.meaning.get("name") == "masked"
        fixes = (Fix("Start a training", "start_from", facts.path),) if starts else ()
        advice.append(Advice(facts.note, "warning", fixes))
    for number, (image, channels) in enumerate(
        zip(images, facts.channels, strict=True)
    ):
        chosen = config.channels if number == 0 else None
        if chosen is not None and "channel" in image.axes:
            image = image.select("channel", chosen)
        advice += advise_model(image, channels, facts.spatial, facts.name)
    if "z" in facts.spatial:
        advice += advise_guess(images[0], guessed)
    if config.output is not None:
        if not config.resume:
            advice += _advise_output(config.output)
        needed = result_size(images[0], facts, config.region)
        free = psutil.virtual_memory().available
        advice += advise_memory(needed, free, str(config.output))
    return advice


def _advise_output(output: Path) -> list[Advice]:
    """Say that a result is there already, whole or in part."""
    if journal_of(output).exists():
        # A layer without a file can't be told from another of its size.
        text = (
            f"{output.name} was interrupted: go on with it if it is of this image, or "
            "write to another file."
        )
        return [Advice(text, "stop", (Fix("Go on", "resume", str(output)),))]
    if output.exists():
        text = f"{output} is there already: write to another file."
        return [Advice(text, "stop")]
    return []


def result_size(
    image: Image,
    facts: ModelFacts | None,
    region: Mapping[str, tuple[int, int]] | None,
) -> int:
    """Return the bytes of a float32 result of the size of the image."""
    sizes = {a: n for a, n in image.sizes.items() if a != "channel"}
    for axis, (start, stop) in (region or {}).items():
        sizes[axis] = stop - start
    return 4 * math.prod(sizes.values()) * (facts.output_channels if facts else 1)


def result_path(
    image: Image,
    facts: ModelFacts | None,
    region: Mapping[str, tuple[int, int]] | None,
) -> Path | None:
    """Return a new file for a result that is too large for the memory, or None."""
    if result_size(image, facts, region) < psutil.virtual_memory().available * 0.5:
        return None
    folder = runs_folder().parent / "predictions"
    stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in image.name)
    number = 1
    while (path := folder / f"{stem}-{number}.ome.zarr").exists():
        number += 1
    return path


def describe_prediction(
    image: Image, config: PredictConfig, model: str, pace: float | None
) -> Advice:
    """Say what will be predicted, and how long that takes if that is known.

    Parameters
    ----------
    image
        What is predicted from.
    config
        The job.
    model
        Name of the model.
    pace
        Seconds a pixel that this model took before.
    """
    region = {a: slice(*ends) for a, ends in (config.region or {}).items()}
    part = image.crop(region)
    planes = {a: n for a, n in part.sizes.items() if a != "channel"}
    text = f"{model} predicts from {image.name}: {describe_sizes(part)}"
    if pace is not None:
        text += f", about {describe_duration(pace * math.prod(planes.values()))}"
    return Advice(f"{text}.")
