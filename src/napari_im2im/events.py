"""What a running job tells whoever watches it.

Jobs are generators of these events: a dock draws them, the command line prints
them, a test loops over them. Closing the generator stops the job.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from napari_im2im.images.image import Image


@dataclass(frozen=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True)
class Message(Event):
    """A sentence for the user, which stays visible (``warning``) or not."""

    text: str
    level: str = "info"


@dataclass(frozen=True)
class Progress(Event):
    """How far a job is: ``done`` of ``total`` steps of what ``activity`` names."""

    done: int
    total: int
    activity: str = ""
    seconds_left: float | None = None


@dataclass(frozen=True)
class TrainingStarted(Event):
    """A training is set up and takes its first step next."""

    run_folder: Path
    device: str
    parameters: int
    training_images: int
    validation_images: int
    validation: str
    """One sentence: what is held out for validation."""


@dataclass(frozen=True)
class MetricsLogged(Event):
    """Measurements after ``step`` optimiser steps, e.g. ``train_loss``, ``pcc``."""

    step: int
    epoch: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Preview(Event):
    """One validation image: arrays ``(channel, [z,] y, x)`` in their own units.

    With ``labels``, target and prediction name classes or objects by whole numbers;
    ``unpaired``: the target shows another field.
    """

    step: int
    input: np.ndarray
    target: np.ndarray
    prediction: np.ndarray
    labels: bool = False
    unpaired: bool = False


@dataclass(frozen=True)
class NewBest(Event):
    """Validation improved; ``package`` is the model package of this step."""

    step: int
    metric: str
    value: float
    package: Path


@dataclass(frozen=True)
class TrainingFinished(Event):
    """A training ended; ``reason`` says why, in a few words."""

    run_folder: Path
    package: Path
    metrics: Mapping[str, float]
    reason: str


@dataclass(frozen=True)
class PredictionStarted(Event):
    """A prediction is set up; ``outputs`` are readable at once and fill up."""

    outputs: tuple[Image, ...]
    tiles: int
    tile_shape: Mapping[str, int]
    halo: Mapping[str, int]
    engine: str
    device: str
    done: int = 0
    """Tiles that an earlier, interrupted job had finished."""


@dataclass(frozen=True)
class TileDone(Event):
    """Tile ``index`` of ``total`` is in the outputs at ``region``."""

    index: int
    total: int
    region: Mapping[str, slice]
    seconds: float


@dataclass(frozen=True)
class PredictionFinished(Event):
    """A prediction is complete; ``outputs`` carry axes, scale and provenance."""

    outputs: tuple[Image, ...]
    seconds: float
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FileStarted(Event):
    """Image ``number`` of ``total`` is next."""

    input: Path
    output: Path
    number: int
    total: int


@dataclass(frozen=True)
class FileDone(Event):
    """An image is predicted, or was before (``skipped``)."""

    output: Path
    seconds: float
    skipped: bool = False


@dataclass(frozen=True)
class FileFailed(Event):
    """An image can't be predicted, for a reason in one sentence."""

    input: Path
    reason: str


@dataclass(frozen=True)
class FilesFinished(Event):
    """All images were tried; what failed can be predicted again with resume."""

    done: int
    skipped: int
    failed: tuple[FileFailed, ...]


def duration(seconds: float) -> str:
    """Return a time as people say it: 8 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
