"""Random patches of images, in memory or mapped from disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.training.data.focus import Focus
from napari_im2im.training.data.normalization import ChannelScaling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.training.data.samples import Sample

_CANDIDATES = 256
"""Positions of an image that are looked at for one that counts."""

_TRIES = 20
"""Patches that are drawn anew at most, before the last one is taken."""

_PROBED = 4
"""Every so-manieth pixel of a patch says how much foreground it has."""


@dataclass(frozen=True)
class Batch:
    """Patches ``(batch, c, [z,] y, x)``, float32, in the images' own units.

    ``weight`` ``(batch, 1, [z,] y, x)`` says how much each pixel counts, 0 where
    nothing is learned; it is None where every pixel of every image counts alike.
    ``scalings`` normalise the input, one for each patch.
    """

    input: np.ndarray
    target: np.ndarray
    weight: np.ndarray | None = None
    scalings: tuple[ChannelScaling, ...] = (ChannelScaling(),)

    def patch(self, index: int) -> Batch:
        """Return one of the patches, still with its batch axis."""
        one = slice(index, index + 1)
        weight = None if self.weight is None else self.weight[one]
        return Batch(self.input[one], self.target[one], weight, self.scalings[one])


@dataclass(frozen=True)
class PatchSampler:
    """Draws batches of patches at random positions of several images.

    Batch number n is always the same for the same images, sizes and seed, so that
    a training that was interrupted goes on as if it hadn't been.

    Where an image has weights, patches are centred on pixels that count.

    Parameters
    ----------
    samples
        The images, each at least as large as the patch.
    patch
        Patch size ``([z,] y, x)`` in pixels of the input.
    batch_size
        Patches in a batch.
    flip, quarter_turns
        Whether patches are mirrored, and turned by quarters in the y-x plane;
        quarter turns need patches as high as wide.
    seed
        Of the positions and of the turns.
    focus
        Which patches are preferred.
    share
        Which patches of a batch are returned, where several processes share it.
    """

    samples: Sequence[Sample]
    patch: tuple[int, ...]
    batch_size: int
    flip: bool = True
    quarter_turns: bool = True
    seed: int = 0
    focus: Focus = field(default_factory=Focus)
    share: slice = field(default_factory=lambda: slice(None))

    @property
    def steps_per_epoch(self) -> int:
        """Batches that hold as many pixels as the images do."""
        pixels = sum(int(np.prod(s.spatial_shape)) for s in self.samples)
        return max(1, round(pixels / (int(np.prod(self.patch)) * self.batch_size)))

    def batch(self, index: int) -> Batch:
        """Return batch ``index``."""
        random = np.random.default_rng((self.seed, index))
        patches = [self._draw(random) for _ in range(self.batch_size)]
        turns = [(int(random.integers(4)), bool(random.integers(2))) for _ in patches]
        weighted = any(sample.weight is not None for sample in self.samples)
        # Views until here: what others learn isn't read.
        patches, turns = patches[self.share], turns[self.share]
        return Batch(
            self._stack([patch.input for patch in patches], turns),
            self._stack([patch.target for patch in patches], turns),
            self._stack([_weight(p) for p in patches], turns) if weighted else None,
            tuple(patch.scaling for patch in patches),
        )

    def _draw(self, random: np.random.Generator) -> Sample:
        """Return a patch as it lies in its image."""
        wants_foreground = random.random() < self.focus.foreground
        patch = None
        for _ in range(_TRIES):
            number = np.searchsorted(self._shares, random.random(), side="right")
            sample = self.samples[int(number)]
            corner = self._corner(sample, wants_foreground, random)
            if corner is not None:
                patch = self._cut(sample, corner)
                if self._has_enough(patch):
                    return patch
        # Nothing that is wanted was found: learn from what there is.
        return patch or self._cut(sample, np.zeros(len(self.patch), int))

    @cached_property
    def _shares(self) -> np.ndarray:
        """Cumulative part of all positions: each of them is equally likely."""
        positions = [float(self._positions(s).prod()) for s in self.samples]
        shares: np.ndarray = np.cumsum(positions) / np.sum(positions)
        shares[-1] = 1
        return shares

    def _cut(self, sample: Sample, corner: np.ndarray) -> Sample:
        starts = zip(corner.tolist(), self.patch, strict=True)
        return sample.crop(tuple(slice(start, start + n) for start, n in starts))

    def _corner(
        self, sample: Sample, wants_foreground: bool, random: np.random.Generator
    ) -> np.ndarray | None:
        """Return where a patch starts, None if no centre is found that is wanted."""
        positions = self._positions(sample)
        if sample.weight is None and not wants_foreground:
            corner: np.ndarray = random.integers(positions)
            return corner
        corners = random.integers(positions, size=(_CANDIDATES, len(positions)))
        centres = (corners + np.array(self.patch) // 2) * sample.enlargement
        key = (slice(None), *centres.T)
        score = np.ones(_CANDIDATES)
        if sample.weight is not None:
            weight = sample.weight[key][0].astype(float)
            score *= weight if self.focus.by_weight else weight > 0
        if wants_foreground:
            score *= self.focus.is_foreground(sample.target[key])
        if not score.any():
            return None
        corner = corners[random.choice(_CANDIDATES, p=score / score.sum())]
        return corner

    def _has_enough(self, patch: Sample) -> bool:
        if not self.focus.least_foreground:
            return True
        probe = patch.target[..., ::_PROBED, ::_PROBED]
        part = self.focus.is_foreground(probe).mean()
        return bool(part >= self.focus.least_foreground)

    def _positions(self, sample: Sample) -> np.ndarray:
        return np.subtract(sample.spatial_shape, self.patch) + 1

    def _stack(
        self, arrays: Sequence[np.ndarray], turns: Sequence[tuple[int, bool]]
    ) -> np.ndarray:
        stacked = np.empty((len(arrays), *arrays[0].shape), np.float32)
        for i, (array, (quarters, mirrored)) in enumerate(
            zip(arrays, turns, strict=True)
        ):
            stacked[i] = self._turn(array, quarters, mirrored)
        return stacked

    def _turn(self, array: np.ndarray, quarters: int, mirrored: bool) -> np.ndarray:
        if self.flip and mirrored:
            array = array[..., ::-1]
        if not self.quarter_turns:
            return array
        if self.patch[-1] != self.patch[-2]:
            quarters = quarters // 2 * 2
        return np.rot90(array, quarters, axes=(-2, -1))


def _weight(patch: Sample) -> np.ndarray:
    if patch.weight is not None:
        return patch.weight
    return np.ones((1, *patch.target.shape[1:]), np.uint8)
