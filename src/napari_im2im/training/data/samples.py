"""The arrays that a network learns from, and what their axes mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_im2im.training.data.normalization import ChannelScaling

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np


@dataclass(frozen=True)
class Sample:
    """An input and its target, in their own units.

    Parameters
    ----------
    input, target
        Arrays ``(c, [z,] y, x)`` in any real dtype; along each axis the target has
        as many pixels as the input, or a whole number of times as many.
    name
        Name of the image that it was taken from.
    weight
        How much each pixel of the target counts, ``(1, [z,] y, x)``, uint8 or
        float32: 0 where nothing is learned. None: all alike.
    scaling
        What normalises the input; that of the whole image in each region of it.
    """

    input: np.ndarray
    target: np.ndarray
    name: str
    weight: np.ndarray | None = None
    scaling: ChannelScaling = field(default_factory=ChannelScaling)

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """Size along z (where there is one), y and x."""
        return self.input.shape[1:]

    @property
    def enlargement(self) -> tuple[int, ...]:
        """How many pixels the target has for one of the input, along each axis."""
        sizes = zip(self.target.shape[1:], self.input.shape[1:], strict=True)
        return tuple(target // source for target, source in sizes)

    def crop(self, region: tuple[slice, ...]) -> Sample:
        """Return a view of a region ``([z,] y, x)`` in pixels of the input."""
        every = slice(None)
        enlarged = tuple(
            part if part == every else slice(part.start * n, part.stop * n)
            for part, n in zip(region, self.enlargement, strict=True)
        )
        return Sample(
            self.input[(every, *region)],
            self.target[(every, *enlarged)],
            self.name,
            None if self.weight is None else self.weight[(every, *enlarged)],
            self.scaling,
        )


@dataclass(frozen=True)
class Layout:
    """How the axes of the images become channels, space and samples.

    ``input_channels`` and ``target_channels`` name the channels; ``folded`` says
    which of both has a z axis that becomes channels of a 2D network. ``enlargement``
    is how many pixels the target has for one of the input, along axes with several.
    """

    spatial_axes: tuple[str, ...]
    input_channels: tuple[str, ...]
    target_channels: tuple[str, ...]
    folded: frozenset[str] = frozenset()
    scale: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    enlargement: Mapping[str, int] = field(default_factory=dict)
