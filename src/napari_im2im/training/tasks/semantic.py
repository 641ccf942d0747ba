"""Segmenting: a class for each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_im2im.errors import DataError
from napari_im2im.models.tensors import Step
from napari_im2im.training.losses.segmentation import SegmentationLoss
from napari_im2im.training.metrics import class_metrics
from napari_im2im.training.tasks.label_images import (
    MOST_CLASSES,
    count_labels,
    is_blended,
    slabs,
)
from napari_im2im.training.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.training.data.samples import Sample
    from napari_im2im.training.finetuning.parent import Start

_BACKGROUND = "background"


@dataclass(frozen=True)
class Classes:
    """The classes of a segmentation, the background first.

    Parameters
    ----------
    names
        Of the classes.
    values
        The label of each in the targets, and in what is predicted.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]

    def indices(self, labels: np.ndarray) -> np.ndarray:
        """Return the number of the class whose label is nearest, uint8."""
        order = np.argsort(self.values)
        ascending = np.asarray(self.values, np.float64)[order]
        middles = (ascending[1:] + ascending[:-1]) / 2
        return order.astype(np.uint8)[np.searchsorted(middles, labels)]


class SemanticTask(Task):
    """A class for each pixel, from labels, or from a mask for each class.

    Two classes are one channel of the network, more are a channel each. With several
    target channels each is the mask of a class, the later one counts where they
    overlap, and what none of them covers is the background.

    Attributes
    ----------
    classes
        What is told apart.
    """

    classes: Classes

    @property
    def output_names(self) -> tuple[str, ...]:
        """The classes; without the background where there is only one other."""
        names = self.classes.names
        return names[1:] if len(names) == 2 else names

    @property
    def _masks(self) -> bool:
        return len(self.layout.target_channels) > 1

    def check(self, samples: Sequence[Sample]) -> None:
        """Find the classes; refuse targets that aren't labels of at least two."""
        if self._masks:
            self.classes = self._classes_of_masks(samples)
            return
        counts: dict[int, int] = {}
        for sample in samples:
            self._check_labels(sample)
            for label, count in count_labels(sample.target).items():
                counts[label] = counts.get(label, 0) + count
        counts.pop(self.config.semantic.ignore, None)  # type: ignore[arg-type]
        self.classes = self._classes_of_labels(counts)

    def _check_labels(self, sample: Sample) -> None:
        if self.config.semantic.values:
            return
        if is_blended(sample.target):
            found = len(count_labels(sample.target))
            raise DataError(
                f"The target of {sample.name} has {found} different values, most of "
                "them in single pixels, like a picture or an anti-aliased mask: give "
                "the label of each class in semantic.values (e.g. [0, 255]), or save "
                "the mask without smoothing."
            )

    def _classes_of_labels(self, counts: Mapping[int, int]) -> Classes:
        config = self.config.semantic
        found = sorted(counts)
        if config.foreground:
            found = sorted({int(label > 0) for label in found})
        if len(found) < 2 and not config.values:
            ignored = "" if config.ignore is None else f" besides {config.ignore}"
            raise DataError(
                f"The targets hold only one label{ignored}, {found[0] if found else 0},"
                " so there is nothing to tell apart: choose other targets, or label "
                "the background, too."
            )
        if config.values:
            found = list(config.values)
        elif config.classes and set(found) <= {*range(len(config.classes))}:
            found = list(range(len(config.classes)))
        if len(found) > MOST_CLASSES:
            raise DataError(
                f"The targets hold {len(found)} different labels, as where each object "
                "has its own number: set semantic.foreground to learn objects against "
                "the background, or choose a task that separates objects."
            )
        if config.classes and len(config.classes) != len(found):
            raise DataError(
                f"The targets hold the labels {', '.join(map(str, found))}, but "
                f"{len(config.classes)} classes are named: name each of them in "
                "semantic.classes, the background first."
            )
        return Classes(tuple(config.classes) or _names(found), tuple(found))

    def _classes_of_masks(self, samples: Sequence[Sample]) -> Classes:
        covered = True
        for sample in samples:
            self._check_masks(sample)
            covered = covered and all(
                (sample.target[:, part] > 0).any(axis=0).all()
                for part in slabs(sample.target.shape)
            )
        names = self.layout.target_channels
        if not covered:
            names = (_BACKGROUND, *names)
        config = self.config.semantic
        if config.classes and len(config.classes) != len(names):
            raise DataError(
                f"There are {len(names)} classes ({', '.join(names)}), but "
                f"{len(config.classes)} are named: name each of them in "
                "semantic.classes."
            )
        names = tuple(config.classes) or names
        return Classes(names, tuple(range(covered, len(names) + covered)))

    def _check_masks(self, sample: Sample) -> None:
        most = 2 if self.config.semantic.ignore is None else 3
        for name, mask in zip(self.layout.target_channels, sample.target, strict=True):
            if len(count_labels(mask)) > most:
                raise DataError(
                    f"The mask {name} of {sample.name} has more than two values, but "
                    "with several targets each is the mask of one class: save masks of "
                    "0 and 255, or choose a single labels image."
                )

    def learn(self, samples: Sequence[Sample], start: Start | None) -> list[str]:
        """Say how common each class is."""
        names = self.classes.names
        counts = np.zeros(len(names), np.int64)
        for sample in samples:
            for part in slabs(sample.target.shape):
                counts += self._count(sample, part)
        missing = [name for name, count in zip(names, counts, strict=True) if not count]
        if missing:
            raise DataError(
                f"No training image shows the class {missing[0]}: add images that do, "
                "or hold out others (data.validation_fraction)."
            )
        parts = ", ".join(
            f"{name} {100 * count / counts.sum():.3g} %"
            for name, count in zip(names, counts, strict=True)
        )
        return [f"{len(names)} classes: {parts}."]

    def _count(self, sample: Sample, part: slice) -> np.ndarray:
        """Return how many pixels of a part that count each class has."""
        weight = None if sample.weight is None else sample.weight[None, :, part]
        index, counted = self.encode(sample.target[None, :, part], weight)
        pixels = index if counted is None else index[counted > 0]
        return np.bincount(pixels.ravel(), minlength=len(self.classes.names))

    def fingerprint(self) -> list[list[float]]:
        """Return the labels of the classes."""
        return [list(map(float, self.classes.values))]

    def encode(
        self, target: np.ndarray, weight: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the number of each pixel's class ``(batch, 1, [z,] y, x)``, uint8."""
        config = self.config.semantic
        if self._masks:
            # The channel that is painted last, counted from 1; 0 where there is none.
            number = np.arange(1, target.shape[1] + 1).reshape(
                1, -1, *[1] * (target.ndim - 2)
            )
            labels = ((target > 0) * number).max(axis=1, keepdims=True)
        else:
            labels = target > 0 if config.foreground else target
        index = self.classes.indices(labels)
        if config.ignore is not None:
            known = (target != config.ignore).all(axis=1, keepdims=True)
            weight = known.astype(np.float32) * (1 if weight is None else weight)
        return np.ascontiguousarray(index), weight

    def loss(self, patch: Sequence[int]) -> torch.nn.Module:
        """Return the weighted sum of segmentation losses."""
        weights: dict[Any, float] = dict(self.config.loss)
        return SegmentationLoss(weights, len(self.classes.names))

    def postprocess(self, output: torch.Tensor) -> torch.Tensor:
        """Return probabilities."""
        output = output.float()
        return output.sigmoid() if output.shape[1] == 1 else output.softmax(1)

    def postprocessing(self) -> tuple[Step, ...]:
        """Bring the output to probabilities."""
        if len(self.output_names) == 1:
            return (Step("sigmoid", {}),)
        return (Step("softmax", {"axis": "channel"}),)

    def metrics(
        self,
        predictions: torch.Tensor,
        targets: np.ndarray,
        weights: np.ndarray | None,
    ) -> dict[str, float]:
        """Measure Dice and IoU of each class."""
        truth, counted = self.encode(targets, weights)
        guess = torch.from_numpy(_winner(predictions.numpy()))
        return class_metrics(
            guess,
            torch.from_numpy(truth),
            self.classes.names,
            None if counted is None else torch.from_numpy(counted) > 0,
        )

    def meaning(self) -> dict[str, Any]:
        """Say which label each class has."""
        return {
            "name": "semantic",
            "classes": list(self.classes.names),
            "values": list(self.classes.values),
        }

    def summary(self, inputs: str) -> str:
        """Say what is told apart in what."""
        names = ", ".join(self.classes.names[:-1])
        return f"Tells {names} and {self.classes.names[-1]} apart in {inputs}"

    def metrics_note(self) -> str:
        """Say over what the metrics are taken."""
        return "over all pixels of validation together, the mean without the background"

    @property
    def tags(self) -> tuple[str, ...]:
        """What other software calls it."""
        return ("semantic-segmentation",)

    @property
    def shows_labels(self) -> bool:
        """Previews are labels."""
        return True

    def preview(self, prediction: np.ndarray) -> np.ndarray:
        """Return the number of each pixel's class."""
        shown: np.ndarray = _winner(prediction[None])[0]
        return shown

    def preview_target(self, target: np.ndarray) -> np.ndarray:
        """Return the number of each pixel's class."""
        shown: np.ndarray = self.encode(target[None], None)[0][0]
        return shown


def _winner(probabilities: np.ndarray) -> np.ndarray:
    """Return the likeliest class ``(batch, 1, [z,] y, x)``, uint8."""
    if probabilities.shape[1] == 1:
        return (probabilities > 0.5).astype(np.uint8)
    best: np.ndarray = probabilities.argmax(1).astype(np.uint8)
    return best[:, None]


def _names(values: Sequence[int]) -> tuple[str, ...]:
    """Return names for classes of which only the labels are known."""
    if len(values) == 2:
        return (_BACKGROUND, "foreground")
    return tuple(_BACKGROUND if value == 0 else f"class {value}" for value in values)
