"""The whole road on the bundled sample: train, predict, show."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.events import Event, PredictionFinished, TrainingFinished
from napari_im2im.images.sample import load_sample
from napari_im2im.inference.config import PredictConfig
from napari_im2im.training.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from napari_im2im.images.image import Image

TRAINING_ROWS = slice(0, 768)
TEST_ROWS = slice(768, 1024)


@dataclass(frozen=True)
class DemoFinished(Event):
    """The demo is done: where its picture is, and how good the prediction is."""

    picture: Path
    package: Path
    metrics: Mapping[str, float]
    seconds: float


def demo_config(output: Path | None, seconds: float) -> TrainConfig:
    """Return the training of the demo: a small network, a time budget."""
    return TrainConfig.model_validate(
        {
            "name": "demo",
            "output": output,
            "network": {"size": "small"},
            "effort": {"seconds": seconds},
        }
    )


def demo_events(folder: Path, seconds: float) -> Generator[Event]:
    """Train on the upper three quarters of the sample, predict the last quarter.

    Parameters
    ----------
    folder
        Where the run (``runs/demo``) and ``demo.png`` go.
    seconds
        Time to train.

    Yields
    ------
    Event
        The events of the training and of the prediction, then `DemoFinished`.
    """
    from napari_im2im.inference.prediction import predict_events
    from napari_im2im.training.loop import train_events

    start = time.monotonic()
    phase, fluorescence = load_sample()
    pair = (rows_of(phase, TRAINING_ROWS), rows_of(fluorescence, TRAINING_ROWS))
    package = None
    for event in train_events(demo_config(folder / "runs", seconds), [pair]):
        yield event
        if isinstance(event, TrainingFinished):
            package = event.package
    if package is None:
        return
    test_input = rows_of(phase, TEST_ROWS)
    target = rows_of(fluorescence, TEST_ROWS)
    for event in predict_events(PredictConfig(model=str(package)), [test_input]):
        yield event
        if isinstance(event, PredictionFinished):
            prediction = event.outputs[0].read(axes=target.axes)
            picture = folder / "demo.png"
            write_comparison(picture, test_input, target, prediction)
            yield DemoFinished(
                picture=picture,
                package=package,
                metrics=correlations(prediction, target),
                seconds=time.monotonic() - start,
            )


def rows_of(image: Image, rows: slice) -> Image:
    """Return some rows of an image ``(channel, y, x)``, in memory."""
    return replace(image, data=image.read({"y": rows}))


def correlations(prediction: np.ndarray, target: Image) -> dict[str, float]:
    """Return Pearson's correlation of each channel, e.g. ``{"PCC DAPI": 0.9}``."""
    truth = target.read()
    return {
        f"PCC {name}": float(np.corrcoef(prediction[c].ravel(), truth[c].ravel())[0, 1])
        for c, name in enumerate(target.channel_names)
    }


def write_comparison(
    path: Path, source: Image, target: Image, prediction: np.ndarray
) -> None:
    """Write input | target | prediction as a PNG, a row for each target channel.

    Target and prediction are shown with the same limits: the percentiles 1 and
    99.8 of the target.

    Parameters
    ----------
    path
        PNG to write; its folder is made.
    source, target
        Images ``(channel, y, x)``; of the source the first channel is shown.
    prediction
        Array ``(channel, y, x)`` in the target's units.
    """
    from PIL import Image as Picture
    from PIL import ImageDraw, ImageFont

    truth, first = target.read(), source.read()[0]
    height, width = first.shape
    margin, gap = 28, 4
    canvas = Picture.new(
        "L",
        (3 * width + 2 * gap, len(truth) * (height + margin)),
    )
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(18)
    shown_input = _to_bytes(first, np.percentile(first, (0.5, 99.5)))
    for row, name in enumerate(target.channel_names):
        limits = np.percentile(truth[row], (1, 99.8))
        panels = {
            f"input: {source.name}": shown_input,
            f"target: {name}": _to_bytes(truth[row], limits),
            f"prediction: {name}": _to_bytes(prediction[row], limits),
        }
        top = row * (height + margin)
        for column, (label, panel) in enumerate(panels.items()):
            left = column * (width + gap)
            draw.text((left + 4, top + 3), label, fill=255, font=font)
            canvas.paste(Picture.fromarray(panel), (left, top + margin))
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)


def _to_bytes(pixels: np.ndarray, limits: np.ndarray) -> np.ndarray:
    low, high = limits
    scaled = (pixels.astype("float32") - low) / max(high - low, 1e-6)
    return np.asarray(scaled.clip(0, 1) * 255, "uint8")
