"""What a prediction would do and need, by one tile that is forgotten."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_im2im.events import Event, duration
from napari_im2im.folders import check_writable
from napari_im2im.inference.loaded import LoadedModel
from napari_im2im.inference.prediction import opened_images, opened_mask
from napari_im2im.inference.preparation import prepare_prediction
from napari_im2im.inference.rescaling import in_model_pixels, rescaling_for
from napari_im2im.inference.sources import UnreadableChunkError
from napari_im2im.inference.targets import check_memory
from napari_im2im.inference.tiling.planning import tile_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping, Sequence
    from pathlib import Path

    from napari_im2im.images.image import Image
    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.jobs import Job
    from napari_im2im.inference.setup import Setup


_LONG = 20.0
"""Seconds of a first tile that are enough to know the pace."""


@dataclass(frozen=True)
class PredictionForecast(Event):
    """What a prediction would do and need.

    ``memory`` is estimated, in bytes on the device, for one tile; ``size`` are the
    bytes of the outputs, and ``disk`` those that writing them needs at most.
    ``whole`` are the bytes in memory of a step that needs the whole result, 0 without.
    ``seconds`` is what reading and computing all tiles takes, by one that was timed;
    None where it couldn't be.
    """

    model: str
    image: str
    output: Path | None
    shapes: tuple[Mapping[str, int], ...]
    tiles: int
    tile_shape: Mapping[str, int]
    halo: Mapping[str, int]
    engine: str
    device: str
    message: str
    memory: int
    size: int
    disk: int
    whole: int = 0
    seconds: float | None = None

    def describe(self) -> str:
        """Return it in sentences."""
        shapes = ", ".join(
            " × ".join(f"{axis} {size}" for axis, size in shape.items())
            for shape in self.shapes
        )
        goes = f" to {self.output}" if self.output else ""
        lines = [
            f"{self.image} → {self.model}: {shapes}, {describe_size(self.size)}{goes}.",
            self.describe_tiles()
            + (f", up to {describe_size(self.disk)} of disk." if self.output else "."),
            self.message,
        ]
        if self.whole:
            lines.append(
                f"The last steps need the whole result at once, about "
                f"{describe_size(self.whole)} of memory."
            )
        return "\n".join(line for line in lines if line)

    def describe_tiles(self) -> str:
        """Return how many tiles there are, what runs them, how long, in what memory."""
        takes = (
            ""
            if self.seconds is None
            else f" in about {duration(max(1, self.seconds))}"
        )
        tile = " × ".join(map(str, self.tile_shape.values()))
        return (
            f"{self.tiles:,} tile{'s' if self.tiles != 1 else ''} of {tile} with "
            f"{self.engine} on {self.device}{takes}, about "
            f"{describe_size(self.memory)} of memory each"
        )


def forecast_prediction(
    config: PredictConfig,
    images: Sequence[Image] | None = None,
    *,
    trusted: Collection[str] = (),
) -> PredictionForecast:
    """Make all checks and choices of a prediction, and time a tile; write nothing.

    The model is loaded; statistics that its preprocessing needs are those of the
    whole image, which is read for them.

    Parameters
    ----------
    config
        What to predict, with which model.
    images
        One image for each input of the model; default: the files of ``config``.
    trusted
        sha256 of the code that the user agreed to run.

    Raises
    ------
    ConfigError
        If image and model don't fit, or the output can't be written.
    ImageError
        If the image can't be read.
    ModelError
        If the model can't be applied.
    """
    from napari_im2im.models.package import load_package

    opened = list(images) if images is not None else opened_images(config)
    with LoadedModel(load_package(config.model), config, trusted) as loaded:
        return forecast_with(loaded, config, opened)[0]


def forecast_with(
    loaded: LoadedModel, config: PredictConfig, images: Sequence[Image]
) -> tuple[PredictionForecast, tuple[Image, ...]]:
    """Forecast with a model that is loaded already; see `forecast_prediction`.

    Returns
    -------
    PredictionForecast
        What the prediction would do and need.
    tuple of Image
        What its outputs would be, but for their pixels.
    """
    opened, job, mask, rescaling = list(images), config, opened_mask(config), None
    package, runtime = loaded.package, loaded.runtime()
    if config.rescale:
        rescaling = rescaling_for(package.inputs, opened, config)
        job, opened, mask = in_model_pixels(rescaling, config, opened, mask)
    measuring = None if config.precision == "float32" else loaded.measuring
    setup = _result(
        prepare_prediction(package, runtime, job, opened, {}, measuring, mask)
    )
    disk = sum(target.disk_bytes for target in setup.targets)
    if config.output is not None:
        check_writable(config.output.parent, disk)
    whole = [target.memory for target in setup.targets if target.whole_step]
    check_memory(setup.targets)
    plan, shape = setup.plan, tuple(setup.plan.tile_shape.values())
    # Of many images alike, one tells the pace of all.
    if shape not in loaded.paces:
        loaded.paces[shape] = _tile_seconds(setup)
    seconds = loaded.paces[shape]
    outputs = setup.blank_images()
    if rescaling is not None:
        outputs = tuple(rescaling.output(image) for image in outputs)
    forecast = PredictionForecast(
        model=package.name,
        image=opened[0].name,
        output=config.output,
        shapes=tuple(image.sizes for image in outputs),
        tiles=len(setup.jobs),
        tile_shape=plan.tile_shape,
        halo=plan.halo,
        engine=runtime.engine,
        device=runtime.device,
        message=plan.message,
        memory=tile_bytes(math.prod(plan.tile_shape.values()), config.precision),
        size=sum(math.prod(image.shape) * image.dtype.itemsize for image in outputs),
        disk=disk,
        whole=sum(whole),
        seconds=None if seconds is None else seconds * len(setup.jobs),
    )
    return forecast, outputs


def _tile_seconds(setup: Setup) -> float | None:
    """Return how long a tile takes, None where none can be timed."""
    job = setup.jobs[len(setup.jobs) // 2]
    try:
        seconds = _seconds(setup, job)
        # The first one takes longer: the engine gets ready for this shape.
        return seconds if seconds is None or seconds > _LONG else _seconds(setup, job)
    except (MemoryError, UnreadableChunkError):
        # A prediction takes smaller tiles, or leaves out what can't be read.
        return None


def _seconds(setup: Setup, job: Job) -> float | None:
    """Return how long reading and computing a tile takes, None if none is wanted."""
    begun = time.perf_counter()
    prepared = setup.runner.prepare(job)
    if prepared is None:
        return None
    setup.runner.compute(prepared)
    return time.perf_counter() - begun


def _result(events: Generator[Event, None, Setup]) -> Setup:
    """Return what a generator returns at its end."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            setup: Setup = end.value
            return setup


def describe_size(size: int) -> str:
    """Return bytes as people say them."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} bytes"
