"""The whole road on the bundled sample: train, predict, show."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.events import Event, PredictionFinished, TrainingFinished
from napari_im2im.images.panels import Panel, grey, write_panels
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
    truth, first = target.read(), source.read()[0]
    shown = Panel(f"input: {source.name}", grey(first))
    rows = []
    for channel, name in enumerate(target.channel_names):
        limits = np.percentile(truth[channel], (1, 99.8)).tolist()
        pixels = {"target": truth[channel], "prediction": prediction[channel]}
        panels = [Panel(f"{t}: {name}", grey(p, limits)) for t, p in pixels.items()]
        rows.append([shown, *panels])
    write_panels(path, rows)
