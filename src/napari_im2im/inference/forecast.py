"""What a prediction would do and need, without a single tile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_im2im.events import Event
from napari_im2im.folders import check_writable
from napari_im2im.inference.loaded import LoadedModel
from napari_im2im.inference.prediction import opened_images, opened_mask
from napari_im2im.inference.preparation import prepare_prediction
from napari_im2im.inference.rescaling import in_model_pixels, rescaling_for
from napari_im2im.inference.targets import check_memory
from napari_im2im.inference.tiling.planning import tile_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping, Sequence
    from pathlib import Path

    from napari_im2im.images.image import Image
    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.setup import Setup


@dataclass(frozen=True)
class PredictionForecast(Event):
    """What a prediction would do and need.

    ``memory`` is estimated, in bytes on the device, for one tile; ``size`` are the
    bytes of the outputs, and ``disk`` those that writing them needs at most.
    ``whole`` are the bytes in memory of a step that needs the whole result, 0 without.
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
        """Return how many tiles there are, what runs them, and in what memory."""
        tile = " × ".join(map(str, self.tile_shape.values()))
        return (
            f"{self.tiles:,} tile{'s' if self.tiles != 1 else ''} of {tile} with "
            f"{self.engine} on {self.device}, about {describe_size(self.memory)} of "
            "memory each"
        )


def forecast_prediction(
    config: PredictConfig,
    images: Sequence[Image] | None = None,
    *,
    trusted: Collection[str] = (),
) -> PredictionForecast:
    """Make all checks and choices of a prediction, but compute and write no tile.

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
    plan = setup.plan
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
    )
    return forecast, outputs


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
