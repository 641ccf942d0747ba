"""The raw pixels of one input: read block by block, checked, padded by reflection."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import ImageError
from napari_im2im.images.blocks import iterate_blocks
from napari_im2im.images.formats.lazy import DamagedPixelsError
from napari_im2im.inference.tiling.tiles import reflected_positions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_im2im.images.image import ArrayLike, Image

BLOCK_BYTES = 1 << 24
"""How much is read at once where the whole image is looked at, as float32."""


class UnreadableChunkError(ImageError):
    """A part of an image can't be read."""


@dataclass(frozen=True)
class Source:
    """What a model's input reads of an image.

    Parameters
    ----------
    image
        The image.
    channels
        Positions along its channel axis, in the order of the model; None: all.
    axes
        Axes of the model's input, ``batch`` among them. The image's other axes
        precede them in what is read.
    skip_unreadable
        Whether `blocks` leaves out what can't be read.
    """

    image: Image
    channels: tuple[int, ...] | None
    axes: tuple[str, ...]
    skip_unreadable: bool = False

    @property
    def order(self) -> tuple[str, ...]:
        """Axes of the arrays that are read."""
        extra = tuple(axis for axis in self.image.axes if axis not in self.axes)
        return extra + self.axes

    def read(self, region: Mapping[str, slice]) -> np.ndarray:
        """Read a region; the image's channel axis is read as `channels` says.

        Raises
        ------
        ImageError
            If a chunk can't be read, or pixels are not finite.
        """
        region = dict(region)
        channels = self.channels if "channel" in self.image.axes else None
        if channels is not None:
            first = min(channels)
            region["channel"] = slice(first, max(channels) + 1)
        order = self.order
        pixels = _read(self.image, region, order)
        _check_finite(pixels, self.image, region, order)
        if channels is not None:
            wanted = [channel - first for channel in channels]
            if wanted != list(range(len(wanted))):
                pixels = np.take(pixels, wanted, order.index("channel"))
        return pixels

    def read_padded(self, region: Mapping[str, slice]) -> np.ndarray:
        """Read a region that may reach beyond the image, which reflection continues."""
        sizes = self.image.sizes
        inside, beyond = dict(region), {}
        for axis, part in region.items():
            size = sizes.get(axis, 1)
            if part.start < 0 or part.stop > size:
                positions = reflected_positions(part.start, part.stop, size)
                inside[axis] = slice(int(positions.min()), int(positions.max()) + 1)
                beyond[axis] = positions - positions.min()
        pixels = self.read(inside)
        for axis, positions in beyond.items():
            pixels = np.take(pixels, positions, self.order.index(axis))
        return pixels

    def blocks(self) -> Iterator[np.ndarray]:
        """Read everything once, block by block."""
        image = self.image
        chunks = chunk_shape(image.data) or (1,) * len(image.axes)
        axes = [axis for axis in image.axes if axis != "channel"]
        by_axis = dict(zip(image.axes, chunks, strict=True))
        for key in iterate_blocks(
            [image.sizes[axis] for axis in axes],
            [by_axis[axis] for axis in axes],
            np.dtype(np.float32),
            most_bytes=BLOCK_BYTES // image.sizes.get("channel", 1),
        ):
            try:
                block = self.read(dict(zip(axes, key, strict=True)))
            except UnreadableChunkError:
                if not self.skip_unreadable:
                    raise
                continue
            yield block


def chunk_shape(data: ArrayLike) -> tuple[int, ...] | None:
    """Return the chunks that an array is stored in, None if it has none."""
    chunks = getattr(data, "chunks", None)
    if not chunks:
        return None
    return tuple(c if isinstance(c, int) else max(c) for c in chunks)


def _read(
    image: Image, region: Mapping[str, slice], order: tuple[str, ...]
) -> np.ndarray:
    try:
        return image.read(region, order)
    except DamagedPixelsError as error:
        raise _error(image, region, str(error.__cause__)) from error
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Each store and codec has its own.
        reason = f"{type(error).__name__}: {error}"
        raise _error(image, region, reason) from error


def _error(
    image: Image, region: Mapping[str, slice], reason: str
) -> UnreadableChunkError:
    return UnreadableChunkError(
        f"{image.name} can't be read at {_unreadable(image, region)} ({reason}): "
        "restore that part of the file, or choose to skip what can't be read."
    )


def _unreadable(image: Image, region: Mapping[str, slice]) -> str:
    """Name the first chunk of a region that can't be read."""
    chunks = chunk_shape(image.data)
    axes = "/".join(image.axes)
    if chunks is None:
        corner = [region.get(axis, slice(0, 0)).start for axis in image.axes]
        return f"position {tuple(corner)} ({axes})"
    ranges = []
    for axis, size, chunk in zip(image.axes, image.shape, chunks, strict=True):
        part = region.get(axis, slice(0, size))
        ranges.append(range(part.start // chunk, -(-part.stop // chunk)))
    for index in product(*ranges):
        key = tuple(
            slice(i * chunk, (i + 1) * chunk)
            for i, chunk in zip(index, chunks, strict=True)
        )
        try:
            np.asarray(image.data[key])
        except Exception:  # It is this one that is looked for.
            return f"chunk {index} ({axes})"
    return f"a chunk of {tuple(r.start for r in ranges)} ({axes})"


def _check_finite(
    pixels: np.ndarray,
    image: Image,
    region: Mapping[str, slice],
    order: tuple[str, ...],
) -> None:
    if pixels.dtype.kind not in "fc" or np.isfinite(pixels).all():
        return
    first = np.argwhere(~np.isfinite(pixels))[0]
    where = ", ".join(
        f"{axis} {int(i) + region.get(axis, slice(0, 0)).start}"
        for axis, i in zip(order, first, strict=True)
        if axis in image.axes
    )
    raise ImageError(
        f"{image.name} has pixels that are NaN or infinite (the first at {where}): "
        "replace them by numbers first."
    )
