"""Bringing images to the scale that networks learn well, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.models.tensors import Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.training.config import Normalization

_PERCENTILE_PIXELS = 4_000_000
"""Pixels a channel from which percentiles are taken."""

_EPS = 1e-6
"""What the zoo's steps add to a scale, and bioimageio.core whatever they say."""

_CONTRASTS, _BRIGHTNESSES = 2.0, 1.0
"""How far images may differ before each is normalised by itself: the factor between
contrasts, and the shift in units of the contrast, of all but a tenth at each end."""


@dataclass(frozen=True)
class ChannelScaling:
    """``(pixels - offset) / scale``, one offset and scale for each channel."""

    offset: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)

    @property
    def identity(self) -> bool:
        """Whether nothing changes."""
        return not any(self.offset) and all(scale == 1 for scale in self.scale)

    def preprocessing(self) -> tuple[Step, ...]:
        """Return the steps of a model's input that do what training did."""
        if self.identity:
            return ()
        kwargs: Mapping[str, Any] = {
            "axis": "channel",
            "mean": list(self.offset),
            "std": list(self.scale),
        }
        return (Step("fixed_zero_mean_unit_variance", kwargs),)

    def postprocessing(self) -> tuple[Step, ...]:
        """Return the steps of a model's output that bring back the target's units."""
        if self.identity:
            return ()
        kwargs: Mapping[str, Any] = {
            "axis": "channel",
            "gain": list(self.scale),
            "offset": list(self.offset),
        }
        return (Step("scale_linear", kwargs),)

    def of_image(self, arrays: Sequence[np.ndarray]) -> ChannelScaling:
        """Return what normalises an image: the same for each."""
        return self


@dataclass(frozen=True)
class ImageScaling:
    """Each image by its own statistics, as the zoo's steps do it.

    Parameters
    ----------
    axes
        Along which statistics are taken, ``z``, ``y`` and ``x``; with ``channel``,
        all channels are scaled alike.
    method
        ``"mean_std"`` or ``"percentile"``, as for `learn_scaling`.
    percentiles
        Lower and upper percentile.
    """

    axes: tuple[str, ...]
    method: Normalization = "mean_std"
    percentiles: tuple[float, float] = (0.1, 99.9)

    def preprocessing(self) -> tuple[Step, ...]:
        """Return the steps of a model's input that do what training did."""
        axes: dict[str, Any] = {"axes": list(self.axes), "eps": _EPS}
        if self.method == "mean_std":
            return (Step("zero_mean_unit_variance", axes),)
        low, high = self.percentiles
        kwargs = {**axes, "min_percentile": low, "max_percentile": high}
        return (Step("scale_range", kwargs),)

    def of_image(self, arrays: Sequence[np.ndarray]) -> ChannelScaling:
        """Measure what normalises an image, of which these are all pixels.

        Parameters
        ----------
        arrays
            Parts of the image, ``(c, [z,] y, x)``.
        """
        channels = len(arrays[0])
        if "channel" in self.axes:
            arrays = [array.reshape(1, -1) for array in arrays]
        found = learn_scaling(arrays, self.method, self.percentiles)
        repeats = channels // len(found.offset)
        return ChannelScaling(
            found.offset * repeats,
            tuple(scale + _EPS for scale in found.scale) * repeats,
        )


InputScaling = ChannelScaling | ImageScaling
"""How inputs are normalised."""


def differing(scalings: Sequence[ChannelScaling]) -> tuple[bool, str]:
    """Return whether images differ so much that one scaling doesn't suit them all.

    Parameters
    ----------
    scalings
        What normalises each image.

    Returns
    -------
    bool
        Whether in any channel the contrast of images differs by more than a factor of
        2, or their brightness by more than their contrast; a tenth of the images at
        each end doesn't count.
    str
        How much they differ, for a sentence.
    """
    scales = np.array([scaling.scale for scaling in scalings])
    offsets = np.array([scaling.offset for scaling in scalings])
    low, high = np.quantile(scales, (0.1, 0.9), axis=0)
    factor = float((high / low).max())
    shifts = np.ptp(np.quantile(offsets, (0.1, 0.9), axis=0), axis=0)
    shift = float((shifts / np.median(scales, axis=0)).max())
    text = f"contrast differs {factor:.2g} times, brightness by {shift:.2g} contrasts"
    return factor > _CONTRASTS or shift > _BRIGHTNESSES, text


def learn_scaling(
    arrays: Sequence[np.ndarray],
    method: Normalization,
    percentiles: tuple[float, float] = (0.1, 99.9),
) -> ChannelScaling:
    """Measure offset and scale of each channel over a set of images.

    Parameters
    ----------
    arrays
        Images ``(c, [z,] y, x)`` with the same channels.
    method
        ``"mean_std"``: to mean 0 and standard deviation 1; ``"percentile"``: the
        two percentiles to 0 and 1, measured on a regular subset of large sets;
        ``"none"``: nothing.
    percentiles
        Lower and upper percentile.

    Returns
    -------
    ChannelScaling
        A channel without contrast is only shifted.
    """
    channels = range(len(arrays[0]))
    if method == "none":
        return ChannelScaling((0.0,) * len(channels), (1.0,) * len(channels))
    measure = _percentiles if method == "percentile" else _mean_std
    pairs = [measure([array[c] for array in arrays], percentiles) for c in channels]
    return ChannelScaling(
        offset=tuple(offset for offset, _ in pairs),
        scale=tuple(scale if scale > 0 else 1.0 for _, scale in pairs),
    )


def _mean_std(
    arrays: Sequence[np.ndarray], _percentiles: tuple[float, float]
) -> tuple[float, float]:
    count = sum(array.size for array in arrays)
    mean = sum(float(array.sum(dtype=np.float64)) for array in arrays) / count
    # Around the mean, plane by plane: exact for large offsets, small in memory.
    square = sum(
        float(np.square(plane - mean, dtype=np.float64).sum())
        for array in arrays
        for plane in array
    )
    return mean, (square / count) ** 0.5


def _percentiles(
    arrays: Sequence[np.ndarray], percentiles: tuple[float, float]
) -> tuple[float, float]:
    stride = max(1, sum(array.size for array in arrays) // _PERCENTILE_PIXELS)
    # A stride that shares no factor with usual widths doesn't pick single columns.
    stride += 1 - stride % 2 if stride > 1 else 0
    values = np.concatenate([array.ravel()[::stride] for array in arrays])
    low, high = np.percentile(values, percentiles)
    return float(low), float(high - low)
