"""Random patches, drawn in the process that trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.training.data import Sample


@dataclass(frozen=True)
class Batch:
    """Patches ``(batch, c, [z,] y, x)``, float32, in the images' own units.

    ``weight`` ``(batch, 1, [z,] y, x)`` says how much each pixel counts, 0 where
    nothing is learned; it is None where every pixel of every image counts alike.
    """

    input: np.ndarray
    target: np.ndarray
    weight: np.ndarray | None = None


@dataclass(frozen=True)
class PatchSampler:
    """Draws batches of patches at random positions of several images.

    Batch number n is always the same for the same images, sizes and seed, so that
    a training that was interrupted goes on as if it hadn't been.

    Parameters
    ----------
    samples
        The images, each at least as large as the patch.
    patch
        Patch size ``([z,] y, x)``.
    batch_size
        Patches in a batch.
    augment
        Whether patches are flipped and turned by quarters in the y-x plane;
        quarter turns need patches as high as wide.
    seed
        Of the positions and of the turns.
    """

    samples: Sequence[Sample]
    patch: tuple[int, ...]
    batch_size: int
    augment: bool = True
    seed: int = 0

    @property
    def steps_per_epoch(self) -> int:
        """Batches that hold as many pixels as the images do."""
        pixels = sum(int(np.prod(s.spatial_shape)) for s in self.samples)
        return max(1, round(pixels / (int(np.prod(self.patch)) * self.batch_size)))

    def batch(self, index: int) -> Batch:
        """Return batch ``index``."""
        random = np.random.default_rng((self.seed, index))
        # Every position of every image is equally likely.
        positions = np.array([self._positions(s).prod() for s in self.samples])
        chosen = random.choice(
            len(self.samples), size=self.batch_size, p=positions / positions.sum()
        )
        first = self.samples[0]
        count, patch = self.batch_size, self.patch
        inputs = np.empty((count, len(first.input), *patch), np.float32)
        targets = np.empty((count, len(first.target), *patch), np.float32)
        weighted = any(sample.weight is not None for sample in self.samples)
        weights = np.ones((count, 1, *patch), np.float32) if weighted else None
        for i, number in enumerate(chosen):
            sample = self.samples[number]
            corner = random.integers(self._positions(sample))
            turns, flip = int(random.integers(4)), bool(random.integers(2))
            region = tuple(
                slice(start, start + size)
                for start, size in zip(corner, self.patch, strict=True)
            )
            cropped = sample.crop(region)
            inputs[i] = self._turn(cropped.input, turns, flip)
            targets[i] = self._turn(cropped.target, turns, flip)
            if weights is not None and cropped.weight is not None:
                weights[i] = self._turn(cropped.weight, turns, flip)
        return Batch(inputs, targets, weights)

    def _positions(self, sample: Sample) -> np.ndarray:
        return np.subtract(sample.spatial_shape, self.patch) + 1

    def _turn(self, array: np.ndarray, turns: int, flip: bool) -> np.ndarray:
        if not self.augment:
            return array
        if self.patch[-1] != self.patch[-2]:
            turns = turns // 2 * 2
        if flip:
            array = array[..., ::-1]
        return np.rot90(array, turns, axes=(-2, -1))
