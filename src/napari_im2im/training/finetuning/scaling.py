"""The normalisation that a network learned with, for the images it goes on with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.training.data.normalization import (
    ChannelScaling,
    ImageScaling,
    learn_scaling,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.models.tensors import Step, TensorSpec
    from napari_im2im.training.config import Normalization

_FITTING_MEAN, _FITTING_STD = 2.0, 4.0
"""How far from mean 0 and standard deviation 1 (as a factor) images may be."""


def scaling_of_start(
    steps: Sequence[Step],
    arrays: Sequence[np.ndarray],
    *,
    is_target: bool,
) -> tuple[ChannelScaling, str]:
    """Return how images are normalised for a network that learned before.

    Parameters
    ----------
    steps
        Of the package: before the network, or behind it for targets.
    arrays
        Training images ``(c, [z,] y, x)``.
    is_target
        Whether these are targets.

    Returns
    -------
    ChannelScaling
        That of the package where these images are on the same scale, else the same
        kind of it, measured on them.
    str
        A sentence if it is another than the package's, else empty.
    """
    channels = len(arrays[0])
    known = _fixed_scaling(steps, channels, is_target)
    if known is not None and _fits(known, arrays):
        return known, ""
    method, percentiles = _method(steps, is_target)
    role = "target" if is_target else "input"
    if known is None and not is_target:
        note = f"The {role} is normalised by what was measured on these images."
    else:
        note = (
            f"The {role} is on another scale than that of the model, so that its "
            "normalisation is measured anew."
        )
    return learn_scaling(arrays, method, percentiles), note


def image_scaling_of_start(source: TensorSpec) -> ImageScaling | None:
    """Return how a model normalises each image by itself, None if it doesn't."""
    space = [axis for axis in source.axis_names if axis not in ("batch", "channel")]
    active = [step for step in source.steps if step.id != "ensure_dtype"]
    if not active:
        return None
    step = active[0]
    axes = step.kwargs.get("axes") or source.axis_names
    reduced = tuple(axis for axis in axes if axis != "batch")
    if not set(space) <= set(reduced) or step.kwargs.get("reference_tensor"):
        return None
    if step.id == "zero_mean_unit_variance":
        return ImageScaling(reduced)
    if step.id == "scale_range":
        low = float(step.kwargs.get("min_percentile", 0.0))
        high = float(step.kwargs.get("max_percentile", 100.0))
        return ImageScaling(reduced, "percentile", (low, high))
    return None


def _fixed_scaling(
    steps: Sequence[Step], channels: int, is_target: bool
) -> ChannelScaling | None:
    """Return the scaling that one step of fixed numbers does, None for others."""
    active = [step for step in steps if step.id != "ensure_dtype"]
    if not active:
        return ChannelScaling((0.0,) * channels, (1.0,) * channels)
    step = active[0]
    first, second = {
        "fixed_zero_mean_unit_variance": ("mean", "std"),
        "scale_linear": ("offset", "gain"),
    }.get(step.id, ("", ""))
    if len(active) > 1 or not first or (is_target and step.id != "scale_linear"):
        return None
    offset, scale = (
        np.broadcast_to(np.ravel(step.kwargs[key]).astype(float), channels)
        if np.size(step.kwargs[key]) in (1, channels)
        else None
        for key in (first, second)
    )
    if offset is None or scale is None or not scale.all():
        return None
    if step.id == "scale_linear" and not is_target:
        # The step multiplies and adds; a scaling subtracts and divides.
        offset, scale = -offset / scale, 1 / scale
    return ChannelScaling(tuple(offset.tolist()), tuple(scale.tolist()))


def _fits(scaling: ChannelScaling, arrays: Sequence[np.ndarray]) -> bool:
    for c, (offset, scale) in enumerate(
        zip(scaling.offset, scaling.scale, strict=True)
    ):
        mean = float(np.mean([array[c].mean(dtype=np.float64) for array in arrays]))
        std = float(np.mean([array[c].std(dtype=np.float64) for array in arrays]))
        if abs((mean - offset) / scale) > _FITTING_MEAN:
            return False
        if not 1 / _FITTING_STD <= std / abs(scale) <= _FITTING_STD:
            return False
    return True


def _method(
    steps: Sequence[Step], is_target: bool
) -> tuple[Normalization, tuple[float, float]]:
    """Return the kind of normalisation that comes closest to a package's steps."""
    for step in steps:
        if step.id == "scale_range":
            low = float(step.kwargs.get("min_percentile", 0.0))
            return "percentile", (low, float(step.kwargs.get("max_percentile", 100.0)))
    affine = any(step.id != "ensure_dtype" for step in steps)
    # A network that returns its result as it is often ends between 0 and 1.
    return ("percentile" if is_target and not affine else "mean_std"), (0.1, 99.9)
