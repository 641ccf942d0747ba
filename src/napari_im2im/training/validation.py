"""Judging a network by images that it doesn't learn from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_im2im.training.automatic import largest_size
from napari_im2im.training.data.tensors import normalized, to_device

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_im2im.models.tensors import FixedSize, SteppedSize
    from napari_im2im.training.data.samples import Sample
    from napari_im2im.training.tasks.task import Task

_CROP = {2: {"y": 256, "x": 256}, 3: {"z": 32, "y": 128, "x": 128}}
_CROPS = {2: 8, 3: 3}

_BAD = (
    "loss",
    "mae",
    "mse",
    "error",
    "distance",
    "split",
    "merge",
    "missed",
    "over_",
    "under_",
)
"""What names of metrics hold that count errors."""


def crop_shape(
    samples: Sequence[Sample], sizes: Mapping[str, SteppedSize | FixedSize]
) -> tuple[int, ...]:
    """Return the size ``([z,] y, x)`` of regions to judge by that fit all samples."""
    axes = tuple(sizes)
    shape = []
    for i, axis in enumerate(axes):
        smallest = min(sample.spatial_shape[i] for sample in samples)
        usual = min(smallest, _CROP[len(axes)][axis])
        # A network of fixed size larger than usual gets what it takes.
        shape.append(largest_size(sizes[axis], usual) or smallest)
    return tuple(shape)


def validation_crops(
    samples: Sequence[Sample], shape: Sequence[int], seed: int
) -> list[Sample]:
    """Choose regions of equal size, spread over the samples, that fit the network.

    The first shows most: it is the one whose target varies most.

    Parameters
    ----------
    samples
        The held-out images.
    shape
        Their size, as `crop_shape` returns it.
    seed
        Draws the regions where there are more than are needed.
    """
    crops = [
        sample.crop(tuple(slice(a, a + n) for a, n in zip(corner, shape, strict=True)))
        for sample in samples
        for corner in product(
            *(
                range(0, size - n + 1, n)
                for size, n in zip(sample.spatial_shape, shape, strict=True)
            )
        )
    ]
    order = np.random.default_rng(seed).permutation(len(crops))[: _CROPS[len(shape)]]
    return sorted((crops[i] for i in order), key=lambda c: -float(c.target.std()))


@dataclass(frozen=True)
class Evaluation:
    """How well a network does: loss and metrics, and what it made of each crop.

    ``predictions`` are ``(crop, c, [z,] y, x)``, float32, postprocessed.
    """

    loss: float
    metrics: dict[str, float]
    predictions: np.ndarray


@dataclass(frozen=True)
class Validator:
    """Applies a network to crops and measures what its output means.

    Parameters
    ----------
    crops
        Regions of equal size.
    task
        What is learned.
    device
        Where the network is.
    """

    crops: Sequence[Sample]
    task: Task
    device: torch.device

    def evaluate(
        self,
        network: torch.nn.Module,
        loss: Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor],
    ) -> Evaluation:
        """Return loss, metrics and predictions; the network stays in its mode."""
        training = network.training
        network.eval()
        losses, outputs = [], []
        try:
            with torch.inference_mode():
                for crop in self.crops:
                    inputs = normalized(crop.input[None], [crop.scaling], self.device)
                    weight = None if crop.weight is None else crop.weight[None]
                    encoded = self.task.encode(crop.target[None], weight)
                    seen, target, counted = self.task.examine(
                        inputs, *to_device(encoded, self.device)
                    )
                    output = network(seen).float()
                    losses.append(float(loss(output, target, counted)))
                    if seen is not inputs and not self.task.judges_examined:
                        output = network(inputs).float()
                    outputs.append(output.cpu())
        finally:
            network.train(training)
        predictions = self.task.postprocess(torch.cat(outputs))
        return Evaluation(
            loss=float(np.mean(losses)),
            metrics=self.task.metrics(
                predictions,
                np.stack([crop.target for crop in self.crops]),
                stacked_weights(self.crops),
            ),
            predictions=predictions.numpy(),
        )


def lower_is_better(metric: str) -> bool:
    """Return whether a smaller value of a metric is a better one."""
    return any(word in metric for word in _BAD)


def stacked_weights(samples: Sequence[Sample]) -> np.ndarray | None:
    """Return the weights of samples of equal size; a sample without counts fully."""
    if all(sample.weight is None for sample in samples):
        return None
    return np.stack(
        [
            np.ones((1, *sample.target.shape[1:]), np.float32)
            if sample.weight is None
            else np.asarray(sample.weight, np.float32)
            for sample in samples
        ]
    )
