"""Reading several images together, as channels of one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.images.image import Image


def stack_channels(images: Sequence[Image]) -> Image:
    """Return one image with the channels of several, in their order.

    Parameters
    ----------
    images
        One or more images with the same sizes along the other axes.

    Returns
    -------
    Image
        The only image, or an image with the axis ``channel`` first: in memory
        where all are, else lazy.

    Raises
    ------
    ImageError
        If axes or sizes differ.
    """
    first = images[0]
    if len(images) == 1:
        return first
    rest = tuple(axis for axis in first.axes if axis != "channel")
    for image in images[1:]:
        others = {axis: n for axis, n in image.sizes.items() if axis != "channel"}
        if others != {axis: first.sizes[axis] for axis in rest}:
            raise ImageError(
                f"{image.name} and {first.name} can't be read together: their sizes "
                f"are {_describe(image)} and {_describe(first)}. Choose images "
                "of the same size."
            )
    arrays = [_channels_first(image, rest) for image in images]
    if all(isinstance(array, np.ndarray) for array in arrays):
        data: Any = np.concatenate(arrays)
    else:
        import dask.array

        data = dask.array.concatenate(arrays)
    names = [
        name
        for image in images
        for name in image.channel_names or [""] * image.sizes.get("channel", 1)
    ]
    return replace(
        first,
        data=data,
        axes=("channel", *rest),
        channel_names=tuple(names) if all(names) else (),
        name=" + ".join(image.name for image in images),
        source=None,
    )


def _channels_first(image: Image, rest: tuple[str, ...]) -> Any:
    data: Any = image.data
    if not isinstance(data, np.ndarray):
        import dask.array

        data = dask.array.asarray(data)
    order = [image.axes.index(axis) for axis in rest]
    if "channel" not in image.axes:
        return data.transpose(order)[np.newaxis]
    return data.transpose([image.axes.index("channel"), *order])


def _describe(image: Image) -> str:
    return " × ".join(f"{axis} {size}" for axis, size in image.sizes.items())
