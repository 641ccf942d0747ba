"""What a file says about its image, before it becomes an `Image`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_im2im.images.image import ArrayLike

UNKNOWN = "?"
"""An axis that the file has, but doesn't name."""

SAMPLES = "samples"
"""The axis of red, green, blue (and alpha)."""

PROVENANCE = "napari_im2im"
"""Key of what this package writes into files about how they were made."""


@dataclass(frozen=True)
class Contents:
    """An image as its file describes it.

    Parameters
    ----------
    data
        The pixels, unread.
    axes
        For each dimension a name of `AXES`, `SAMPLES` or `UNKNOWN`.
    scale, units
        Pixel size and its unit by axis, where the file knows them.
    channel_names
        One name a channel, or empty.
    padded
        Whether the format names axes that the image doesn't have, with size 1.
    scene
        Name of this image within the file.
    scenes
        Names of all images of the file, if it can hold several.
    metadata
        Whatever else belongs to the image.
    """

    data: ArrayLike
    axes: tuple[str, ...]
    scale: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    channel_names: tuple[str, ...] = ()
    padded: bool = False
    scene: str | None = None
    scenes: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


def named_axes(letters: str) -> tuple[str, ...]:
    """Return axis names from the letters that file formats use.

    Parameters
    ----------
    letters
        ``T C Z Y X``, ``S`` for samples; any other letter is unknown.
    """
    known = {
        "t": "time",
        "c": "channel",
        "z": "z",
        "y": "y",
        "x": "x",
        "s": SAMPLES,
    }
    return tuple(known.get(letter.lower(), UNKNOWN) for letter in letters)


def scene_index(scene: int | str | None, scenes: tuple[str, ...]) -> int | None:
    """Return the position of a scene, the first by default, None if it isn't there."""
    if scene is None:
        return 0
    if isinstance(scene, str):
        if scene in scenes:
            return scenes.index(scene)
        if not scene.isdecimal():
            return None
        scene = int(scene)
    return scene if 0 <= scene < len(scenes) else None
