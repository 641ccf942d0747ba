"""Separating objects: a label for each, by boundaries or by embeddings."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.inference.objects.decoding import decode
from napari_im2im.models.tensors import Step
from napari_im2im.training.data.normalization import ChannelScaling
from napari_im2im.training.data.tensors import restored
from napari_im2im.training.losses.objects import BoundaryLoss, EmbeddingLoss
from napari_im2im.training.tasks.object_labels import (
    ObjectSizes,
    check_objects,
    encode_boundaries,
    measure_objects,
    pixels_between,
)
from napari_im2im.training.tasks.object_thresholds import (
    FOREGROUNDS,
    SEEDS,
    SEEDS_OF_EMBEDDING,
    SEEDS_WITH_DISTANCE,
    Crop,
    Tried,
    choose_thresholds,
)
from napari_im2im.training.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from napari_im2im.training.data.samples import Sample
    from napari_im2im.training.finetuning.parent import Start


class _ObjectsTask(Task):
    """What both ways to separate objects share. Negative labels don't count.

    Attributes
    ----------
    sizes
        Of the training objects.
    seed, foreground
        From which sureness objects start, and pixels belong to them: what suited the
        last validation best.
    """

    sizes: ObjectSizes
    smallest: int
    seed: float
    foreground: float = FOREGROUNDS.usual

    @property
    @abstractmethod
    def seeds(self) -> Tried:
        """Thresholds for seeds to choose from."""

    def check(self, samples: Sequence[Sample]) -> None:
        """Refuse targets that don't number objects."""
        check_objects(samples)

    def learn(self, samples: Sequence[Sample], start: Start | None) -> list[str]:
        """Measure the objects."""
        self.sizes = measure_objects(samples)
        settings = getattr(self.config, self.config.task)
        self.smallest = settings.smallest or max(1, self.sizes.smallest // 4)
        self.seed = self.seeds.usual
        return [
            f"{self.sizes.describe()} Predicted ones of fewer than {self.smallest} are "
            "removed."
        ]

    def fingerprint(self) -> list[list[float]]:
        """Return the sizes of the objects."""
        return [[self.sizes.count, self.sizes.largest, *self.sizes.extent]]

    def metrics(
        self,
        predictions: torch.Tensor,
        targets: np.ndarray,
        weights: np.ndarray | None,
    ) -> dict[str, float]:
        """Choose the thresholds that suit best; return the precision with them."""
        crops = []
        for index, maps in enumerate(predictions.numpy()):
            counted = targets[index, 0] >= 0
            if weights is not None:
                counted = counted & (weights[index, 0] > 0)
            truth = np.maximum(targets[index, 0], 0).astype(np.int64)
            crops.append(Crop(maps, truth, counted))
        self.seed, self.foreground, precision = choose_thresholds(
            crops, self.meaning(), self.seeds
        )
        return precision

    def summary(self, inputs: str) -> str:
        """Say what is separated."""
        return f"Separates objects in {inputs}"

    def metrics_note(self) -> str:
        """Say what the metrics are."""
        return (
            "average precision (found / (found + missed + invented)) of objects whose "
            "intersection over union reaches the number, mean over the crops, with the "
            "thresholds that suit them best"
        )

    @property
    def tags(self) -> tuple[str, ...]:
        """What other software calls it."""
        return ("instance-segmentation",)

    @property
    def shows_labels(self) -> bool:
        """Previews are labels."""
        return True

    def preview(self, prediction: np.ndarray) -> np.ndarray:
        """Return the objects ``(1, [z,] y, x)``."""
        return decode(prediction, self.meaning())[None]

    def preview_target(self, target: np.ndarray) -> np.ndarray:
        """Return the objects ``(1, [z,] y, x)``."""
        shown: np.ndarray = np.maximum(target, 0)
        return shown


class InstancesTask(_ObjectsTask):
    """Foreground, boundary and, on demand, distance; a watershed makes the objects."""

    @property
    def seeds(self) -> Tried:
        """Interior from which an object may start."""
        return SEEDS_WITH_DISTANCE if self.config.instances.distance else SEEDS

    @property
    def output_names(self) -> tuple[str, ...]:
        """The maps that are learned."""
        names = ("foreground", "boundary")
        return (*names, "distance") if self.config.instances.distance else names

    def encode(
        self, target: np.ndarray, weight: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the maps ``(batch, 2 or 3, [z,] y, x)``, float32.

        Pixels between neighbouring objects count more, as for the first U-Net: there
        are few of them, and they tell objects apart (Ronneberger et al. 2015,
        https://arxiv.org/abs/1505.04597).
        """
        axes = self.layout.spatial_axes
        spacing = [float(self.layout.scale.get(axis, 1.0)) for axis in axes]
        settings = self.config.instances
        objects = np.maximum(target[:, 0], 0).astype(np.int32)
        maps = [
            encode_boundaries(
                labels, spacing, settings.boundary, distance=settings.distance
            )
            for labels in objects
        ]
        between = np.stack([pixels_between(labels, spacing) for labels in objects])
        emphasis = 1 + (settings.touching - 1) * between[:, None].astype(np.float32)
        known = _known(target, weight)
        return np.stack(maps), emphasis if known is None else emphasis * known

    def loss(self, patch: Sequence[int]) -> torch.nn.Module:
        """Return the weighted sum of the losses of the maps."""
        weights: dict[Any, float] = dict(self.config.loss)
        return BoundaryLoss(weights)

    def postprocess(self, output: torch.Tensor) -> torch.Tensor:
        """Bring all maps to 0 to 1."""
        return output.float().sigmoid()

    def postprocessing(self) -> tuple[Step, ...]:
        """Bring all maps to 0 to 1."""
        return (Step("sigmoid", {}),)

    def meaning(self) -> dict[str, Any]:
        """Say which maps there are, and how objects are made of them."""
        return {
            "name": "instances",
            "channels": list(self.output_names),
            "foreground": self.foreground,
            "seed": self.seed,
            "smallest_seed": max(1, self.smallest // 3),
            "smallest": self.smallest,
        }


class EmbeddingTask(_ObjectsTask):
    """Where the centre of a pixel's object lies, how wide it is, how near it is.

    References
    ----------
    Lalit et al. 2021, EmbedSeg, https://arxiv.org/abs/2101.10033
    """

    @property
    def seeds(self) -> Tried:
        """Nearness to a centre from which a cluster may start."""
        return SEEDS_OF_EMBEDDING

    @property
    def output_names(self) -> tuple[str, ...]:
        """Offsets and bandwidths along each axis, and the seed."""
        axes = self.layout.spatial_axes
        return (
            *(f"offset {axis}" for axis in axes),
            *(f"bandwidth {axis}" for axis in axes),
            "seed",
        )

    def learn(self, samples: Sequence[Sample], start: Start | None) -> list[str]:
        """Measure the objects; keep how far a model to start from can point."""
        notes = super().learn(samples, start)
        meaning = {} if start is None else start.package.config.get("task") or {}
        if meaning.get("name") == "embedding":
            extent = tuple(meaning["extent"])
            if any(np.greater(self.sizes.extent, extent)):
                notes.append(
                    "Some objects are larger than any that the model to start from "
                    f"can find ({' × '.join(map(str, extent))} pixels): start from a "
                    "new network to learn them whole."
                )
            self.sizes = replace(self.sizes, extent=extent)
        return notes

    @property
    def _scaling(self) -> ChannelScaling:
        """From 0 to 1 to pixels: offsets reach as far as the largest object does."""
        extent = [float(size) for size in self.sizes.extent]
        return ChannelScaling(
            offset=(*(-size for size in extent), *(0.0 for _ in extent), 0.0),
            scale=(*(2 * size for size in extent), *extent, 1.0),
        )

    def encode(
        self, target: np.ndarray, weight: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the labels ``(batch, 1, [z,] y, x)``, int32, from 1 in each patch."""
        labels = [np.unique(np.maximum(t, 0), return_inverse=True) for t in target]
        numbers = [
            inverse.reshape(t.shape) + int(names[0] > 0)
            for (names, inverse), t in zip(labels, target, strict=True)
        ]
        return np.stack(numbers).astype(np.int32), _known(target, weight)

    def loss(self, patch: Sequence[int]) -> torch.nn.Module:
        """Return the weighted sum of the losses of EmbedSeg."""
        factor = self.config.embedding.foreground_weight
        weights: dict[Any, float] = dict(self.config.loss)
        return EmbeddingLoss(weights, self.sizes.extent, factor)

    def postprocess(self, output: torch.Tensor) -> torch.Tensor:
        """Bring offsets and bandwidths to pixels, seeds to 0 to 1."""
        return restored(output.float().sigmoid(), self._scaling)

    def postprocessing(self) -> tuple[Step, ...]:
        """Bring offsets and bandwidths to pixels, seeds to 0 to 1."""
        return (Step("sigmoid", {}), *self._scaling.postprocessing())

    def meaning(self) -> dict[str, Any]:
        """Say what the channels are, and how objects are made of them."""
        return {
            "name": "embedding",
            "channels": list(self.output_names),
            "foreground": self.foreground,
            "seed": self.seed,
            "smallest": self.smallest,
            "extent": list(self.sizes.extent),
        }


def _known(target: np.ndarray, weight: np.ndarray | None) -> np.ndarray | None:
    """Return the weights of pixels, 0 where a label is negative."""
    known = target >= 0
    if known.all():
        return weight
    return known.astype(np.float32) * (1 if weight is None else weight)
