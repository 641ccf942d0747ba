"""What is wrong with images, in one sentence each, before a job meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.images.blocks import image_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.images.image import Image


def find_bad_values(image: Image) -> str | None:
    """Return a sentence if the image holds NaN or inf, else None.

    Reads the image in parts, and stops at the first such value. Images of whole
    numbers aren't read.
    """
    if image.dtype.kind not in "fc":
        return None
    for block in image_blocks(image):
        pixels = image.read(dict(zip(image.axes, block, strict=True)))
        if not np.isfinite(pixels).all():
            at = np.argwhere(~np.isfinite(pixels))[0]
            kind = "NaN" if np.isnan(pixels[tuple(at)]) else "infinite values"
            where = ", ".join(
                f"{axis} {part.start + int(i)}"
                for axis, part, i in zip(image.axes, block, at, strict=True)
            )
            return (
                f"{image.name} holds {kind} (the first at {where}): replace them, e.g. "
                "by 0."
            )
    return None


def find_constant(image: Image) -> str | None:
    """Return a sentence if a channel of the image has one value only, else None.

    Reads the image in parts, of each channel only until a second value is found.
    """
    channels = range(image.sizes.get("channel", 1))
    for index in channels:
        part = image.select("channel", index) if "channel" in image.axes else image
        first = None
        for block in image_blocks(part):
            pixels = part.read(dict(zip(part.axes, block, strict=True)))
            first = pixels.flat[0] if first is None else first
            if not (pixels == first).all():
                break
        else:
            name = image.name
            if len(channels) > 1:
                name = f"Channel {_channel_name(image, index)} of {name}"
            return (
                f"{name} is {first} everywhere, so there is nothing to "
                "learn: choose another image."
            )
    return None


def find_size_difference(
    first: Image, second: Image, axes: Sequence[str] = ("time", "z", "y", "x")
) -> str | None:
    """Return a sentence if two images differ in size along axes, else None.

    Parameters
    ----------
    first, second
        The images. An axis that only one of them has counts as size 1.
    axes
        The axes to compare.
    """
    differing = [
        axis for axis in axes if first.sizes.get(axis, 1) != second.sizes.get(axis, 1)
    ]
    if not differing:
        return None

    def size(image: Image) -> str:
        named = [f"{axis} {image.sizes.get(axis, 1)}" for axis in differing]
        return " and ".join(named)

    return (
        f"{first.name} and {second.name} differ in size ({size(first)} against "
        f"{size(second)}): crop both to the part that they share."
    )


def _channel_name(image: Image, index: int) -> str:
    return image.channel_names[index] if image.channel_names else str(index)
