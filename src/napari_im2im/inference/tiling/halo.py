"""The smallest halo that keeps a tolerance, measured on real pixels.

A trained network depends on far pixels less than its layers would let it. Windows
that end where others go on are compared: their difference is what a border spoils,
by distance.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.inference.tiling.geometry import continue_by_reflection, window_shape
from napari_im2im.inference.tiling.receptive_field import alike_axes
from napari_im2im.models.tensors import FixedSize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.inference.tiling.geometry import ModelGeometry
    from napari_im2im.inference.tiling.receptive_field import ReceptiveField
    from napari_im2im.inference.tiling.windows import Windows

_FARTHEST = {1: 4096, 2: 256, 3: 128}
"""Largest halo that is told from the whole radius, by the number of axes."""
_WIDTH = {1: 1, 2: 192, 3: 48}
"""Of windows along the other axes."""
_CORNERS = {2: ((), ("y",), ("x",), ("y", "x"))}
"""Axes flipped before the start of the sample is looked at, by the number of axes."""


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
        Pixels of the input at each end, by axis; the whole radius where windows
        don't tell more. Axes of one radius and stride, along which
        the network works alike, have one halo, measured along the last of them.
    """
    # Axes add up, and elsewhere in the image there may be more than in the sample.
    share = tolerance / (4 * max(1, len(windows.geometry.axes)))
    halo: dict[str, int] = {}
    for axes in alike_axes(windows.geometry, field):
        radius = max(field.radius[axes[-1]])
        measured = None
        if radius > 0:
            measured = _measure_axis(windows, field, axes[-1], share)
        halo |= dict.fromkeys(
            axes, radius if measured is None else min(measured, radius)
        )
    return {axis: halo.get(axis, 0) for axis in windows.geometry.axes}


def measuring_pixels(geometry: ModelGeometry, field: ReceptiveField) -> int:
    """Return how many pixels `measure_halo` computes."""
    return len(_corners(geometry)) * sum(
        math.prod(_sizes(geometry, axes[-1], stop - start).values())
        for axes in alike_axes(geometry, field)
        for start, stop in _spans(geometry, field, axes[-1])
    )


def _sizes(geometry: ModelGeometry, axis: str, size: int) -> dict[str, int]:
    width = _WIDTH.get(len(geometry.axes), 16)
    sizes = {other: geometry.smallest(other, width) for other in geometry.axes}
    return {**sizes, axis: size}


def _spans(
    geometry: ModelGeometry, field: ReceptiveField, axis: str
) -> list[tuple[int, int]]:
    """Return windows along an axis: a long one, then those that end within it.

    Of a fixed size, all are as long, and the second goes on beyond the first.
    """
    grid = math.lcm(field.stride[axis], geometry.denominators[axis])
    rule = geometry.rules[axis]
    if isinstance(rule, FixedSize):
        shift = rule.size // 2 // grid * grid
        return [(0, rule.size), (shift, shift + rule.size)] if shift else []
    grid = math.lcm(grid, rule.step)
    farthest = _FARTHEST.get(len(geometry.axes), 64)
    reach = min(max(field.radius[axis]), farthest) + 1
    start, size = math.ceil(reach / grid) * grid, geometry.smallest(axis, reach)
    return [(0, start + size), (start, start + size), (0, size)]


def _measure_axis(
    windows: Windows, field: ReceptiveField, axis: str, tolerance: float
) -> int | None:
    """Return the halo of one axis, None if it is farther than windows tell."""
    spans = _spans(windows.geometry, field, axis)
    if not spans:
        return None
    longest = max(stop for _, stop in spans)
    sizes = _sizes(windows.geometry, axis, longest)
    worst = 0
    # One place tells little of others: cells lie here and there.
    for flipped in _corners(windows.geometry):
        pixels = _real_pixels(windows, sizes, flipped)
        measured = _measure_spans(windows, axis, spans, pixels, tolerance)
        if measured is None:
            return None
        worst = max(worst, measured)
    return worst


def _corners(geometry: ModelGeometry) -> tuple[tuple[str, ...], ...]:
    return _CORNERS.get(len(geometry.axes), ((), geometry.axes))


def _measure_spans(
    windows: Windows,
    axis: str,
    spans: Sequence[tuple[int, int]],
    pixels: Sequence[np.ndarray],
    tolerance: float,
) -> int | None:
    """Return how far the ends of windows spoil results, None if everywhere."""
    first, *others = (
        windows.run(windows.part(pixels, axis, start, stop)) for start, stop in spans
    )
    worst = 0
    for (start, stop), other in zip(spans[1:], others, strict=True):
        for index in windows.tiled_outputs(axis):
            scale = windows.geometry.outputs[index][axis].scale
            at = windows.outputs[index].axis_names.index(axis)
            step = int(start * scale)
            length = min(first[index].shape[at] - step, other[index].shape[at])
            one = np.take(first[index], range(step, step + length), at)
            same = np.take(other[index], range(length), at)
            curve = windows.along(one - same, index, axis)
            limit = tolerance * float(first[index].std())
            ends = start > spans[0][0], stop != spans[0][1]
            spoiled = _spoiled(curve > limit, *ends)
            if spoiled is None:
                return None
            worst = max(worst, math.ceil(spoiled / scale))
    return worst


def _spoiled(beyond: np.ndarray, at_start: bool, at_end: bool) -> int | None:
    """Return how far from an end results are beyond the limit, None if everywhere.

    Parameters
    ----------
    beyond
        Whether they are, by position.
    at_start, at_end
        Where a border is that only one of the windows has.
    """
    (positions,) = beyond.nonzero()
    reach = len(beyond) // (at_start + at_end)
    before = positions[positions < reach] + 1 if at_start else positions[:0]
    after = len(beyond) - (positions[positions >= len(beyond) - reach])
    after = after if at_end else positions[:0]
    farthest = int(max([0, *before, *after]))
    return None if farthest >= reach - 1 else farthest


def _real_pixels(
    windows: Windows, sizes: Mapping[str, int], flipped: Sequence[str]
) -> list[np.ndarray]:
    """Return the samples, flipped, then cropped or continued by reflection."""
    if windows.samples is None:
        return windows.pixels(sizes, 3)
    arrays = []
    for index, spec in enumerate(windows.inputs):
        shape = window_shape(spec, windows.geometry.inputs[index], sizes)
        sample = np.asarray(windows.samples[index], np.float32)
        axes = [spec.axis_names.index(a) for a in flipped if a in spec.axis_names]
        sample = np.flip(sample, tuple(axes))
        arrays.append(continue_by_reflection(sample, spec, shape))
    return arrays
