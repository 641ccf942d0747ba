"""Translating images into the look of others, without pairs of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor, nn

from napari_im2im.errors import ConfigError
from napari_im2im.training.data.tensors import scaled
from napari_im2im.training.losses.images import WeightedLoss
from napari_im2im.training.tasks.image import ImageTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.training.batches import LearningBatch
    from napari_im2im.training.data.samples import Sample

_MOST_PIXELS = 200_000
"""So many pixels tell how intensities are distributed."""


class UnpairedTask(ImageTask):
    """A network translates inputs into targets, a second one back.

    What went there and back must be what it was, and discriminators tell what was
    translated from what is real (CycleGAN, Zhu et al. 2017,
    https://doi.org/10.1109/ICCV.2017.244). Both networks see an input and a target
    in one call, as further channels; their output holds all translations, see
    `CycleNetworks`.
    """

    def check(self, samples: Sequence[Sample]) -> None:
        """Refuse targets without contrast, and weights for channels."""
        if self.config.loss_channel_weights is not None:
            raise ConfigError(
                "loss_channel_weights weigh targets that are compared one by one: "
                "leave them out for the task unpaired."
            )
        super().check(samples)

    @property
    def sides(self) -> tuple[int, int]:
        """Channels of inputs and of targets."""
        layout = self.layout
        return len(layout.input_channels), len(layout.target_channels)

    @property
    def keeps_identity(self) -> bool:
        """Whether networks learn to leave alone what needs no translation."""
        inputs, targets = self.sides
        return inputs == targets and self.config.unpaired.identity > 0

    def corrupt(
        self, inputs: Tensor, target: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Put the normalised target beside the input; both are to come back."""
        both = torch.cat([inputs, scaled(target, self.scaling)], dim=1)
        return both, both, None

    def examine(
        self, inputs: Tensor, target: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Do in validation what `corrupt` does."""
        return self.corrupt(inputs, target, weight)

    def loss(self, patch: Sequence[int]) -> nn.Module:
        """Return the loss of what went there and back, or was to be left alone."""
        weights: dict[Any, float] = dict(self.config.loss)
        distance = WeightedLoss(weights, patch, [0.0], [1.0])
        identity = self.config.unpaired.identity if self.keeps_identity else 0.0
        return _CycleLoss(distance, self.sides, identity)

    def compared(
        self, part: LearningBatch, output: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return what is real and what was made: a target, and an input."""
        inputs, targets = self.sides
        source, goal = torch.split(part.input, [inputs, targets], dim=1)
        made = output[:, : inputs + targets]
        made_goal, made_source = torch.split(made, [targets, inputs], dim=1)
        return [goal, source], [made_goal, made_source]

    def metrics(
        self,
        predictions: Tensor,
        targets: np.ndarray,
        weights: np.ndarray | None,
    ) -> dict[str, float]:
        """Compare the distributions of predictions and of other, real targets.

        Returns
        -------
        dict
            `intensity_distance` and `texture_distance`.
        """
        made, real = predictions.numpy(), np.asarray(targets, np.float32)
        return {
            "intensity distance": intensity_distance(made, real),
            "texture distance": texture_distance(made, real),
        }

    def meaning(self) -> dict[str, Any]:
        """Say that the output is an image."""
        return {"name": "unpaired"}

    def summary(self, inputs: str) -> str:
        """Say what is translated into what."""
        names = ", ".join(self.output_names)
        return f"Translates {inputs} into {names}, learned without pairs of both"

    def metrics_note(self) -> str:
        """Say what was measured without pairs."""
        return (
            "without pairs to compare with: how far images that went there and back "
            "are from what they were, and how far the distributions of predicted and "
            "real targets are apart"
        )


class _CycleLoss(nn.Module):
    """Distance of images that came back, and of those that were to be left alone."""

    def __init__(
        self, distance: nn.Module, sides: tuple[int, int], identity: float
    ) -> None:
        super().__init__()
        self.distance, self.sides, self.identity = distance, sides, identity

    def forward(
        self, output: Tensor, target: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        inputs, targets = self.sides
        wanted = torch.split(target, [inputs, targets], dim=1)
        sizes = [targets, inputs, inputs, targets]
        sizes += [inputs, targets] * (output.shape[1] > sum(sizes))
        _, _, *images = torch.split(output, sizes, dim=1)
        values = [
            self.distance(image, truth)
            for image, truth in zip(images[:2], wanted, strict=True)
        ]
        values += [
            self.identity * self.distance(image, truth)
            for image, truth in zip(images[2:], wanted, strict=False)
        ]
        return torch.stack(values).sum()


def intensity_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return how far the intensities of two sets of images are apart.

    Parameters
    ----------
    one, other
        Images ``(batch, c, [z,] y, x)``; they need not show the same.

    Returns
    -------
    float
        The Wasserstein distance of the distributions of their pixels, in their
        units, mean over the channels.
    """
    channels = range(one.shape[1])
    pairs = [(one[:, c], other[:, c]) for c in channels]
    return float(np.mean([wasserstein_distance(*map(_few, pair)) for pair in pairs]))


def texture_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return how far the differences between neighbours of two sets are apart.

    As `intensity_distance`, of the absolute differences along y and x: smooth images
    are far from sharp ones, whatever they show.
    """
    return intensity_distance(_differences(one), _differences(other))


def _few(pixels: np.ndarray) -> np.ndarray:
    flat = pixels.ravel()
    return flat[:: -(-flat.size // _MOST_PIXELS)]


def _differences(pixels: np.ndarray) -> np.ndarray:
    """Return how much neighbours along y and x differ, ``(batch, c, any)``."""
    flat = (*pixels.shape[:2], -1)
    parts = [np.abs(np.diff(pixels, axis=axis)).reshape(flat) for axis in (-2, -1)]
    return np.concatenate(parts, axis=-1)
