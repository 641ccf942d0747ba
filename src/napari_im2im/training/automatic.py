"""Patch and batch size where the user names none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_im2im.errors import ConfigError, DataError
from napari_im2im.models.tensors import FixedSize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.models.tensors import SteppedSize
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.samples import Sample

_PATCHES = {
    ("cpu", 2): {"y": 128, "x": 128},
    ("cpu", 3): {"z": 16, "y": 64, "x": 64},
    ("gpu", 2): {"y": 256, "x": 256},
    ("gpu", 3): {"z": 32, "y": 128, "x": 128},
}
_BATCH_PIXELS = {"cpu": 8 * 128 * 128, "gpu": 16 * 256 * 256}
"""Pixels in a batch: what is still a step of well below a second."""


def choose_patch(
    config: TrainConfig,
    samples: Sequence[Sample],
    sizes: Mapping[str, SteppedSize | FixedSize],
    *,
    on_cpu: bool,
) -> dict[str, int]:
    """Return the patch size by axis: the one asked for, or one that fits.

    Parameters
    ----------
    config
        Its ``patch``, of the network's axes, is checked, not changed.
    samples
        What training draws patches from.
    sizes
        The sizes that the network takes, by spatial axis in order.
    on_cpu
        Whether to keep patches small.

    Raises
    ------
    ConfigError
        If the network doesn't take the patch.
    DataError
        If an image is smaller than the patch; the message names the largest patch
        that fits.
    """
    axes = tuple(sizes)
    smallest = {a: min(s.spatial_shape[i] for s in samples) for i, a in enumerate(axes)}
    fits = {a: largest_size(sizes[a], smallest[a]) for a in axes}
    wanted = config.patch
    if wanted is None:
        usual = _PATCHES["cpu" if on_cpu else "gpu", len(axes)]
        wanted = {
            a: min(fits[a], usual[a]) or _smallest_from(sizes[a], 1) for a in axes
        }
        wanted = {a: _smallest_from(sizes[a], size) for a, size in wanted.items()}
    for axis in axes:
        if largest_size(sizes[axis], wanted[axis]) != wanted[axis]:
            raise ConfigError(
                f"The network doesn't take patches of {wanted[axis]} pixels along "
                f"{axis}: use {_smallest_from(sizes[axis], wanted[axis])}."
            )
    for index, axis in enumerate(axes):
        if fits[axis] < wanted[axis]:
            image = min(samples, key=lambda s: s.spatial_shape[index])
            raise DataError(
                f"{image.name} has {smallest[axis]} pixels to train on along {axis}, "
                f"fewer than the patch ({wanted[axis]}): {_cure(fits, wanted)}."
            )
    return {axis: wanted[axis] for axis in axes}


def _cure(fits: Mapping[str, int], wanted: Mapping[str, int]) -> str:
    if not all(fits.values()):
        return "choose a network with fewer levels, or larger images"
    patch = ", ".join(f"{a}: {min(n, wanted[a])}" for a, n in fits.items())
    return f"the largest patch that fits is {{{patch}}}"


def choose_batch_size(
    config: TrainConfig, patch: Mapping[str, int], *, on_cpu: bool
) -> int:
    """Return the patches in a batch: those asked for, or 2 to 32 by their size."""
    if config.batch_size is not None:
        return config.batch_size
    pixels = _BATCH_PIXELS["cpu" if on_cpu else "gpu"]
    return min(32, max(2, pixels // math.prod(patch.values())))


def smaller_patch(
    patch: Mapping[str, int], sizes: Mapping[str, SteppedSize | FixedSize]
) -> dict[str, int] | None:
    """Return a patch of about half the size along each axis, None where none is left.

    It keeps two steps of the network along each axis, so that its coarsest level has
    more than one pixel to normalise over.
    """
    smaller = {}
    for axis, size in patch.items():
        rule = sizes[axis]
        least = size if isinstance(rule, FixedSize) else rule.minimum + rule.step
        smaller[axis] = min(size, max(least, largest_size(rule, size // 2)))
    return None if smaller == dict(patch) else smaller


def fewest_at_once(
    patch: Mapping[str, int], sizes: Mapping[str, SteppedSize | FixedSize]
) -> int:
    """Return how many patches a network needs at once to normalise over.

    One is too few where its coarsest level is a single pixel.
    """
    return 2 if all(patch[a] == least_size(rule) for a, rule in sizes.items()) else 1


def least_size(rule: SteppedSize | FixedSize) -> int:
    """Return the smallest size that the network takes."""
    return rule.size if isinstance(rule, FixedSize) else rule.minimum


def largest_size(rule: SteppedSize | FixedSize, limit: int) -> int:
    """Return the largest size that the network takes up to a limit, or 0."""
    if isinstance(rule, FixedSize):
        return rule.size if rule.size <= limit else 0
    if limit < rule.minimum:
        return 0
    return limit - (limit - rule.minimum) % rule.step


def _smallest_from(rule: SteppedSize | FixedSize, size: int) -> int:
    """Return the smallest size that the network takes from ``size`` on."""
    if isinstance(rule, FixedSize):
        return rule.size
    return max(rule.minimum, size + (rule.minimum - size) % rule.step)
