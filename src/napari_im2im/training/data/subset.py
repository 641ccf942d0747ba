"""A part of large data sets that stands for all of it in statistics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.training.data.array_cache import release
from napari_im2im.training.data.samples import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_PIXELS = 150_000_000
"""Sets with up to so many pixels a channel stand for themselves."""

_BLOCK = {2: (256, 256), 3: (16, 128, 128)}


def representative(
    samples: Sequence[Sample], seed: int, most_pixels: int = MOST_PIXELS
) -> list[Sample]:
    """Return samples, or regions of them where they are too many to be read.

    Parameters
    ----------
    samples
        All samples.
    seed
        Draws the regions: every pixel is equally likely, up to the borders.
    most_pixels
        Sets up to this size are returned as they are.

    Returns
    -------
    list of Sample
        Views of all, or copies of regions with about a tenth of ``most_pixels``.
    """
    sizes = np.array([math.prod(s.spatial_shape) for s in samples], float)
    if sizes.sum() <= most_pixels:
        return list(samples)
    block = _BLOCK[len(samples[0].spatial_shape)]
    count = max(1, most_pixels // 10 // math.prod(block))
    random = np.random.default_rng((seed, 2))
    numbers = random.choice(len(samples), size=count, p=sizes / sizes.sum())
    regions = [_region(samples[i], block, random) for i in sorted(numbers)]
    for sample in samples:
        release(sample.input)
        release(sample.target)
    return regions


def every_few_rows(
    arrays: Sequence[np.ndarray], most_pixels: int = MOST_PIXELS
) -> list[np.ndarray]:
    """Return arrays ``(c, [z,] y, x)`` with at most so many pixels a channel."""
    stride = -(-sum(array[0].size for array in arrays) // most_pixels)
    return [array[..., ::stride, :] for array in arrays]


def _region(
    sample: Sample, block: tuple[int, ...], random: np.random.Generator
) -> Sample:
    shape = np.minimum(sample.spatial_shape, block)
    corner = random.integers(np.subtract(sample.spatial_shape, shape) + 1)
    part = sample.crop(
        tuple(
            slice(a, a + n)
            for a, n in zip(corner.tolist(), shape.tolist(), strict=True)
        )
    )
    return Sample(
        np.array(part.input),
        np.array(part.target),
        part.name,
        None if part.weight is None else np.array(part.weight),
        part.scaling,
    )
