"""An array that knows its axes, its pixel size and where it came from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_im2im.errors import ImageError
from napari_im2im.images.view import Positions, part_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

AXES = ("time", "channel", "z", "y", "x")
"""The axes an image can have, by their BioImage Model Zoo names."""

SPATIAL_AXES = ("z", "y", "x")

_LETTERS = {"t": "time", "c": "channel", "z": "z", "y": "y", "x": "x"}


class ArrayLike(Protocol):
    """What image data must offer: numpy, dask, zarr and memory maps do."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102
    def __getitem__(self, key: Any) -> Any: ...


def parse_axes(axes: str | Sequence[str]) -> tuple[str, ...]:
    """Return axis names from letters (``"tczyx"``) or names.

    Parameters
    ----------
    axes
        Letters ``t c z y x``, or a sequence of letters and names of `AXES`.

    Raises
    ------
    ImageError
        If an axis is unknown or named twice.
    """
    names = tuple(_LETTERS.get(axis.lower(), axis.lower()) for axis in axes)
    unknown = [name for name in names if name not in AXES]
    if unknown:
        raise ImageError(
            f"Unknown axis {unknown[0]!r}: use the letters t, c, z, y, x "
            f"(e.g. 'czyx') or the names {', '.join(AXES)}."
        )
    if len(set(names)) != len(names):
        raise ImageError(
            f"An axis is named twice in {'/'.join(names)}: name each axis once."
        )
    return names


@dataclass(frozen=True)
class Image:
    """An n-dimensional image, in memory or not.

    Parameters
    ----------
    data
        Numpy, dask or zarr array, or anything that has ``shape``, ``dtype`` and
        returns an array when indexed with slices. It is never read as a whole
        unless asked for.
    axes
        One name of `AXES` for each dimension of ``data``.
    scale
        Size of a pixel along an axis, in the unit of that axis. An axis that is
        missing here has no known pixel size.
    units
        Unit of ``scale`` by axis, spelled out (``"micrometer"``, ``"second"``).
    channel_names
        One name a channel, or empty.
    name
        What to call the image in sentences and results.
    source
        File that the image came from.
    metadata
        Whatever else belongs to the image, e.g. the provenance of a prediction.
    """

    data: ArrayLike
    axes: tuple[str, ...]
    scale: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    channel_names: tuple[str, ...] = ()
    name: str = "image"
    source: Path | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", parse_axes(self.axes))
        if len(self.axes) != len(self.data.shape):
            raise ImageError(
                f"{self.name} has {len(self.data.shape)} dimensions "
                f"{tuple(self.data.shape)}, but {len(self.axes)} axes are named: "
                f"{'/'.join(self.axes)}. Name one for each dimension."
            )
        channels = self.sizes.get("channel", 1)
        if self.channel_names and len(self.channel_names) != channels:
            raise ImageError(
                f"{self.name} has {channels} channels, but "
                f"{len(self.channel_names)} channel names: give one for each, or none."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis."""
        return tuple(self.data.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the pixels."""
        return np.dtype(self.data.dtype)

    @property
    def sizes(self) -> dict[str, int]:
        """Size by axis name."""
        return dict(zip(self.axes, self.data.shape, strict=True))

    def read(
        self,
        region: Mapping[str, slice] | None = None,
        axes: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Read a region into memory, with its axes in a given order.

        Parameters
        ----------
        region
            Slice by axis; an axis that isn't named is read whole.
        axes
            Order of the axes of the result. An axis that the image doesn't have
            gets size 1. Default: the image's own order.

        Returns
        -------
        np.ndarray
            The pixels, C-contiguous, in the image's dtype and native byte order.

        Raises
        ------
        ImageError
            If ``axes`` leaves out an axis of the image.
        """
        region = region or {}
        axes = self.axes if axes is None else tuple(axes)
        missing = [axis for axis in self.axes if axis not in axes]
        if missing:
            raise ImageError(
                f"{self.name} has an axis {missing[0]!r} that was not asked for "
                f"({'/'.join(axes)}): select one position along it first."
            )
        key = tuple(region.get(axis, slice(None)) for axis in self.axes)
        pixels = np.asarray(self.data[key])
        pixels = pixels.transpose([self.axes.index(a) for a in axes if a in self.axes])
        pixels = np.expand_dims(
            pixels, tuple(i for i, a in enumerate(axes) if a not in self.axes)
        )
        return np.ascontiguousarray(pixels, dtype=self.dtype.newbyteorder("="))

    def crop(self, region: Mapping[str, slice]) -> Image:
        """Return a part of the image, without reading it.

        Parameters
        ----------
        region
            Slice (of positive step) by axis; an axis that isn't named is kept
            whole, and an axis that the image doesn't have is left out. A slice
            beyond the border ends at the border.

        Returns
        -------
        Image
            The part, with the same axes. A step of n makes its pixels n times
            larger.

        Raises
        ------
        ImageError
            If nothing is left along an axis.
        """
        keys = [region.get(axis, slice(None)) for axis in self.axes]
        ranges = [range(n)[key] for n, key in zip(self.shape, keys, strict=True)]
        for axis, chosen in zip(self.axes, ranges, strict=True):
            if not chosen:
                key = region[axis]
                raise ImageError(
                    f"Nothing is left of {self.name} along {axis}, which has "
                    f"{self.sizes[axis]} positions: choose a part inside it "
                    f"instead of {key.start} to {key.stop}."
                )
        steps = {a: chosen.step for a, chosen in zip(self.axes, ranges, strict=True)}
        names = self.channel_names
        return replace(
            self,
            data=part_of(self.data, ranges),
            scale={
                axis: size * steps.get(axis, 1) for axis, size in self.scale.items()
            },
            channel_names=names[region.get("channel", slice(None))] if names else (),
        )

    def select(self, axis: str, indices: int | Sequence[int]) -> Image:
        """Return some positions along an axis, without reading them.

        Parameters
        ----------
        axis
            The axis to choose along.
        indices
            One position, which drops the axis, or several in the order wanted,
            which keep it. Negative ones count from the end.

        Raises
        ------
        ImageError
            If the image doesn't have the axis or one of the positions.
        """
        if axis not in self.axes:
            raise ImageError(
                f"{self.name} has no axis {axis!r}: choose one of "
                f"{'/'.join(self.axes)}."
            )
        size = self.sizes[axis]
        dropped = isinstance(indices, int | np.integer)
        wanted = (indices,) if isinstance(indices, int | np.integer) else indices
        for index in wanted:
            if not -size <= index < size:
                raise ImageError(
                    f"{self.name} has no {axis} {index}: choose from 0 to {size - 1}."
                )
        chosen = tuple(int(index) % size for index in wanted)
        kept: Positions = chosen[0] if dropped else chosen
        positions = [kept if a == axis else range(n) for a, n in self.sizes.items()]
        names = self.channel_names
        if axis == "channel" and names:
            names = tuple(names[index] for index in chosen)
        gone = {axis} if dropped else set()
        return replace(
            self,
            data=part_of(self.data, positions),
            axes=tuple(a for a in self.axes if a not in gone),
            scale={a: size for a, size in self.scale.items() if a not in gone},
            units={a: unit for a, unit in self.units.items() if a not in gone},
            channel_names=names,
        )

    def renamed(self, name: str) -> Image:
        """Return the same image under another name."""
        return replace(self, name=name)
