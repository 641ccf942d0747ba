"""The smallest halo that keeps a tolerance, measured on real pixels.

A trained network depends on far pixels less than its layers would let it. Two
windows that overlap by half are compared: what lies near the end of one is in the
middle of the other, so their difference is what a border spoils, by distance.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.inference.geometry import continue_by_reflection, window_shape
from napari_im2im.models.tensors import FixedSize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_im2im.inference.receptive_field import ReceptiveField, Windows

_LONGEST = {1: (8192,), 2: (256, 512), 3: (128, 256, 384)}
"""Windows to try along an axis, by the number of axes; longer ones cost more."""
_WIDEST = {1: 1, 2: 128, 3: 32}
"""Windows along the other axes."""


def measure_halo(
    windows: Windows, field: ReceptiveField, tolerance: float
) -> dict[str, int]:
    """Measure the halo of each axis.

    Parameters
    ----------
    windows
        The network and `samples`: preprocessed pixels of a real image, as large as
        possible; smaller ones are continued by reflection.
    field
        Its receptive field, which the halo never exceeds.
    tolerance
        Largest difference from the result of the whole image, in standard
        deviations of it.

    Returns
    -------
    dict[str, int]
        Pixels of the input at each end, by axis. The whole radius where windows of
        the largest size don't tell more.
    """
    # Axes add up, and elsewhere in the image there may be more than in the sample.
    share = tolerance / (4 * max(1, len(windows.geometry.axes)))
    halo = {}
    for axis in windows.geometry.axes:
        radius = max(field.radius[axis])
        measured = None
        if radius > 0 and axis not in windows.geometry.untiled:
            measured = _measure_axis(windows, field, axis, share)
        halo[axis] = radius if measured is None else min(measured, radius)
    return halo


def _measure_axis(
    windows: Windows, field: ReceptiveField, axis: str, tolerance: float
) -> int | None:
    """Return the halo of one axis, from the first window that is long enough."""
    geometry = windows.geometry
    enough = geometry.smallest(axis, 4 * max(field.radius[axis]))
    sizes: list[int] = []
    for longest in _LONGEST.get(len(geometry.axes), (64,)):
        size = geometry.smallest(axis, min(longest, enough))
        if size not in sizes:
            sizes.append(size)
            halo = _measure_window(windows, field, axis, size, tolerance)
            if halo is not None:
                return halo
    return None


def _measure_window(
    windows: Windows, field: ReceptiveField, axis: str, size: int, tolerance: float
) -> int | None:
    geometry = windows.geometry
    stride = math.lcm(field.stride[axis], geometry.denominators[axis])
    rule = geometry.rules[axis]
    if not isinstance(rule, FixedSize):
        stride = math.lcm(stride, rule.step)
    widest = _WIDEST.get(len(geometry.axes), 16)
    sizes = {other: geometry.smallest(other, widest) for other in geometry.axes}
    shift = size // 2 // stride * stride
    if shift == 0:
        return None
    pixels = _real_pixels(windows, {**sizes, axis: size + shift})
    first = windows.run(windows.part(pixels, axis, 0, size))
    second = windows.run(windows.part(pixels, axis, shift, shift + size))
    worst = 0
    for index in windows.tiled_outputs(axis):
        scale = geometry.outputs[index][axis].scale
        at = windows.outputs[index].axis_names.index(axis)
        step = int(shift * scale)
        length = first[index].shape[at] - step
        one = np.take(first[index], range(step, step + length), at)
        other = np.take(second[index], range(length), at)
        curve = windows.along(one - other, index, axis)
        limit = tolerance * float(first[index].std())
        spoiled = _spoiled(curve, limit)
        if spoiled is None:
            return None
        worst = max(worst, math.ceil(spoiled / scale))
    return worst


def _spoiled(curve: np.ndarray, limit: float) -> int | None:
    """Return how many pixels at either end are beyond the limit, None if all are."""
    (beyond,) = (curve > limit).nonzero()
    middle = len(curve) // 2
    near = beyond[beyond < middle]
    far = beyond[beyond >= middle]
    before = int(near[-1]) + 1 if near.size else 0
    after = len(curve) - int(far[0]) if far.size else 0
    # At the very middle both windows may be spoiled alike.
    if max(before, after) >= middle - 1:
        return None
    return max(before, after)


def _real_pixels(windows: Windows, sizes: Mapping[str, int]) -> list[np.ndarray]:
    """Return the samples, cropped or continued by reflection."""
    if windows.samples is None:
        return windows.pixels(sizes, 3)
    arrays = []
    for index, spec in enumerate(windows.inputs):
        shape = window_shape(spec, windows.geometry.inputs[index], sizes)
        sample = np.asarray(windows.samples[index], np.float32)
        arrays.append(continue_by_reflection(sample, spec, shape))
    return arrays
