"""Stride and receptive field, measured on the network itself.

A network is a black box here: it is run on windows that differ in a known way. That
works for every engine and weights format, needs no gradients, and sees what the
trained weights really do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.models.tensors import FixedSize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_im2im.inference.tiling.geometry import ModelGeometry
    from napari_im2im.inference.tiling.windows import Windows

_STRIDES = (1, 2, 4, 8, 16, 32, 64, 3, 6, 9, 12, 24, 5, 7, 10)
_LONGEST = {1: 4096, 2: 1024, 3: 512}
_NOISE = 1e-5
"""Of the spread: differences between two positions that rounding explains."""
_RESOLUTION = 1e-7
"""Of the largest result: differences between two runs that float32 can hold."""


@dataclass(frozen=True)
class ReceptiveField:
    """What a result depends on.

    Parameters
    ----------
    stride
        A window moved by multiples of it gives the same result, moved; by axis.
    radius
        How many results ``(before, after)`` a cut at a multiple of the stride spoils:
        those less than ``before`` pixels behind it, and ``after`` ahead of it; by
        axis. It is what a tile, which starts and ends there, must overlap.
    exact
        Whether tiles can give the same result as the whole image.
    reason
        If not, why: a sentence's end, as in "the network …".
    """

    stride: Mapping[str, int]
    radius: Mapping[str, tuple[int, int]]
    exact: bool = True
    reason: str = ""


def measure_receptive_field(
    windows: Windows, *, any_weights: bool = False
) -> ReceptiveField:
    """Measure the stride and the receptive field of a network.

    Parameters
    ----------
    windows
        The network.
    any_weights
        Measure how far its layers reach whatever their weights are, not how far
        results are seen to depend on pixels with the weights as they are. The network
        must hand on NaN, as those of PyTorch do.

    Returns
    -------
    ReceptiveField
        Not `exact` where a result depends on pixels at any distance (instance
        normalisation, global pooling, attention) or on the position.

    Notes
    -----
    The stride is the smallest step of the sizes by which a window can be moved so
    that the centre of the result moves with it. For the radius, everything on one
    side of a multiple of the stride is replaced: results differ up to the radius on
    the other side. Cuts elsewhere would reach up to a stride farther, but no tile
    starts there. With ``any_weights`` it is replaced by NaN, which nothing cancels.
    """
    strides: dict[str, int] = {}
    radii: dict[str, tuple[int, int]] = {}
    for axis in windows.geometry.axes:
        if axis in windows.geometry.untiled:
            strides[axis], radii[axis] = 1, (0, 0)
            continue
        stride, radius, reason = _measure_axis(windows, axis, any_weights)
        strides[axis], radii[axis] = stride, radius
        if reason:
            return ReceptiveField(
                {**dict.fromkeys(windows.geometry.axes, stride), **strides},
                {**dict.fromkeys(windows.geometry.axes, radius), **radii},
                exact=False,
                reason=reason,
            )
    return ReceptiveField(strides, radii)


def alike_axes(geometry: ModelGeometry, field: ReceptiveField) -> list[list[str]]:
    """Return the axes that can be cut, those of one radius and stride together."""
    groups: dict[tuple[object, ...], list[str]] = {}
    for axis in geometry.axes:
        if axis not in geometry.untiled:
            key = field.stride[axis], field.radius[axis], geometry.rules[axis]
            groups.setdefault(key, []).append(axis)
    return list(groups.values())


def _measure_axis(
    windows: Windows, axis: str, any_weights: bool
) -> tuple[int, tuple[int, int], str]:
    geometry = windows.geometry
    fixed = isinstance(geometry.rules[axis], FixedSize)
    longest = _LONGEST.get(len(geometry.axes), 512)
    measure_radius = _reach if any_weights else _radius
    size = geometry.smallest(axis, 256)
    while True:
        stride = _stride(windows, axis, size)
        radius = measure_radius(windows, axis, size, stride or 1)
        if stride is not None and radius is not None:
            return stride, radius, ""
        if fixed or size >= longest:
            break
        size = geometry.smallest(axis, 2 * size)
    if stride is not None and not any_weights:
        # Some kernels spread rounding over the whole image; that isn't dependence.
        radius = _radius(windows, axis, size, stride, strict=False)
        if radius is not None:
            return stride, radius, ""
    if stride is None and radius is not None:
        reason = f"treats positions along {axis} differently"
    else:
        reason = f"lets every result depend on the whole image along {axis}"
        if fixed:
            reason = f"sees farther along {axis} than its fixed size of {size} pixels"
    return stride or 16, (size // 8, size // 8), reason


def _stride(windows: Windows, axis: str, size: int) -> int | None:
    """Return the smallest shift that the centre of the result follows, or None."""
    geometry = windows.geometry
    rule = geometry.rules[axis]
    step = 1 if isinstance(rule, FixedSize) else rule.step
    step = math.lcm(step, geometry.denominators[axis])
    # Among coarse sizes finer strides would gain nothing.
    candidates = [s for s in _STRIDES if s % step == 0] or [step, 2 * step, 4 * step]
    candidates = [shift for shift in candidates if shift <= size // 2] or [step]
    longest = max(candidates)
    pixels = windows.pixels({**windows.window(axis, size), axis: size + longest}, 0)
    whole = windows.run(windows.part(pixels, axis, 0, size))
    for shift in candidates:
        moved = windows.run(windows.part(pixels, axis, shift, shift + size))
        if all(
            _follows(windows, axis, index, whole[index], moved[index], shift)
            for index in windows.tiled_outputs(axis)
        ):
            return shift
    return None


def _follows(
    windows: Windows,
    axis: str,
    output: int,
    whole: np.ndarray,
    moved: np.ndarray,
    shift: int,
) -> bool:
    at = windows.outputs[output].axis_names.index(axis)
    step = int(shift * windows.geometry.outputs[output][axis].scale)
    length = whole.shape[at] - step
    first = np.take(whole, range(step, step + length), at)
    second = np.take(moved, range(length), at)
    differences = windows.along(first - second, output, axis)
    # Near the ends the border spoils it; a stride's worth of phases must agree.
    middle, width = length // 2, max(shift, length // 16)
    centre = differences[max(0, middle - width) : middle + width + 1]
    return bool(centre.max() <= _threshold(whole))


def _threshold(output: np.ndarray) -> float:
    """Return the difference up to which two results are the same but for rounding."""
    spread, largest = float(output.std()), float(np.abs(output).max())
    return max(_NOISE * spread, _NOISE / 10 * largest, 1e-30)


def _visible(output: np.ndarray, *, strict: bool) -> float:
    """Return the difference from which on a result depends on what was replaced."""
    if not strict:
        return _threshold(output)
    return max(_RESOLUTION * float(np.abs(output).max()), 1e-30)


def _radius(
    windows: Windows, axis: str, size: int, stride: int, *, strict: bool = True
) -> tuple[int, int] | None:
    """Return how far results depend on what lies before and after, or None."""
    sizes = windows.window(axis, size)
    pixels, others = windows.pixels(sizes, 1), windows.pixels(sizes, 2, flipped=True)
    whole = windows.run(pixels)
    limits = [_visible(output, strict=strict) for output in whole]

    def depends(result: Sequence[np.ndarray], index: int) -> np.ndarray:
        differences = result[index] - whole[index]
        seen: np.ndarray = windows.along(differences, index, axis) > limits[index]
        return seen

    return _spoiled_by_others(windows, axis, size, stride, (pixels, others), depends)


def _reach(
    windows: Windows, axis: str, size: int, stride: int
) -> tuple[int, int] | None:
    """Return how far the layers reach before and after, or None."""
    pixels = windows.pixels(windows.window(axis, size), 1)
    others = [np.full_like(array, np.nan) for array in pixels]

    def depends(result: Sequence[np.ndarray], index: int) -> np.ndarray:
        spread: np.ndarray = np.isnan(windows.along(result[index], index, axis))
        return spread

    return _spoiled_by_others(windows, axis, size, stride, (pixels, others), depends)


def _spoiled_by_others(
    windows: Windows,
    axis: str,
    size: int,
    stride: int,
    both: tuple[Sequence[np.ndarray], Sequence[np.ndarray]],
    depends: Callable[[Sequence[np.ndarray], int], np.ndarray],
) -> tuple[int, int] | None:
    """Return how far results differ beyond a cut behind which pixels are others.

    Parameters
    ----------
    both
        A window, and the pixels that replace a part of it.
    depends
        Tells from a result which positions of which output differ, along the axis.
    """
    pixels, others = both
    before = after = 0
    cut = size // 2 // stride * stride
    for replaced_after in (True, False):
        changed = [
            _replaced(windows, index, axis, pixels, others, cut, replaced_after)
            for index in range(len(pixels))
        ]
        result = windows.run(changed)
        for index in windows.tiled_outputs(axis):
            scale = windows.geometry.outputs[index][axis]
            differs = depends(result, index)
            (seen,) = differs.nonzero()
            if not seen.size:
                continue
            if replaced_after and seen[0] > 0:
                centre = math.floor((seen[0] - scale.offset / 2) / scale.scale)
                after = max(after, cut - centre)
            elif not replaced_after and seen[-1] < len(differs) - 1:
                centre = math.ceil((seen[-1] - scale.offset / 2) / scale.scale)
                before = max(before, centre - cut + math.ceil(1 / scale.scale))
            else:
                return None
    return before, after


def _replaced(
    windows: Windows,
    index: int,
    axis: str,
    pixels: Sequence[np.ndarray],
    others: Sequence[np.ndarray],
    cut: int,
    replaced_after: bool,
) -> np.ndarray:
    """Return an input with other pixels on one side of a position."""
    scales, spec = windows.geometry.inputs[index], windows.inputs[index]
    if axis not in scales:
        return pixels[index]
    first, second = pixels[index], others[index]
    if not replaced_after:
        first, second = second, first
    at = spec.axis_names.index(axis)
    position = int(cut * scales[axis].scale)
    return np.concatenate(
        [
            np.take(first, range(position), at),
            np.take(second, range(position, first.shape[at]), at),
        ],
        at,
    )
