"""Which pixels of which image each input of a model reads."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from napari_im2im.errors import ConfigError
from napari_im2im.images.image import AXES
from napari_im2im.inference.sources import Source
from napari_im2im.inference.tiling.geometry import TILED_AXES
from napari_im2im.models.tensors import FixedSize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.images.image import Image
    from napari_im2im.models.tensors import TensorSpec


@dataclass(frozen=True)
class Plane:
    """One position along the axes that the model doesn't have.

    ``group`` counts the groups of channels that the model is run on, ``at`` holds
    the position along time or z.
    """

    group: int
    at: Mapping[str, int]


@dataclass(frozen=True)
class Matching:
    """What each input reads.

    Parameters
    ----------
    sources
        For each group of channels one source an input; None for an optional input
        that is left out.
    sizes
        Size of the axes that the model has, in pixels of the first input with it.
    over
        Sizes of the image's axes that the model doesn't have, channel left out.
    note
        Which channels are read, where their names chose them; else empty.
    """

    sources: tuple[tuple[Source | None, ...], ...]
    sizes: Mapping[str, int]
    over: Mapping[str, int]
    note: str = ""

    @property
    def groups(self) -> int:
        """How many groups of channels the model is run on."""
        return len(self.sources)

    def planes(self, region: Mapping[str, slice]) -> list[Plane]:
        """Return every position that the model is run at, within a region."""
        ranges = [
            range(size)[region.get(axis, slice(None))]
            for axis, size in self.over.items()
        ]
        return [
            Plane(group, dict(zip(self.over, position, strict=True)))
            for position in product(*ranges)
            for group in range(self.groups)
        ]


def match_images(
    inputs: Sequence[TensorSpec],
    images: Sequence[Image],
    channels: Sequence[int] | None = None,
    *,
    skip_unreadable: bool = False,
) -> Matching:
    """Assign images to the inputs of a model.

    Parameters
    ----------
    inputs
        The model's inputs.
    images
        One image an input, in their order.
    channels
        Channels of the first image to read, in the model's order; default: those
        that are called as the model's, else all.
    skip_unreadable
        Whether what can't be read is left out instead of ending everything.

    Raises
    ------
    ConfigError
        If the images don't fit the model; the sentence says how.
    """
    needed = [spec for spec in inputs if not spec.optional]
    if not len(needed) <= len(images) <= len(inputs):
        names = ", ".join(spec.id for spec in needed)
        raise ConfigError(
            f"This model reads {len(needed)} image(s) ({names}), but {len(images)} "
            "were given: choose one for each."
        )
    grouped: list[list[Source]] = []
    for index, (spec, image) in enumerate(zip(inputs, images, strict=False)):
        _check_axes(spec, image)
        chosen = channels if index == 0 else None
        grouped.append(
            [
                Source(image, group, spec.axis_names, skip_unreadable)
                for group in _groups(spec, image, chosen)
            ]
        )
    counts = {len(sources) for sources in grouped}
    if len(counts - {1}) > 1:
        raise ConfigError(
            "The images have different numbers of channels to run this model on: "
            "choose one channel of each."
        )
    left_out = (None,) * (len(inputs) - len(images))
    sources = tuple(
        (*(s[min(group, len(s) - 1)] for s in grouped), *left_out)
        for group in range(max(counts))
    )
    return Matching(
        sources,
        _sizes(inputs, images),
        _over(inputs, images),
        "" if channels is not None else _note(inputs[0], images[0]),
    )


def _check_axes(spec: TensorSpec, image: Image) -> None:
    for axis in spec.axis_names:
        if axis in TILED_AXES and axis not in image.axes:
            wanted = "/".join(a for a in spec.axis_names if a != "batch")
            raise ConfigError(
                f"This model reads images with the axes {wanted}, but {image.name} has "
                f"{'/'.join(image.axes)}: choose an image that has {axis}, or name its "
                "axes."
            )
        if axis not in (*TILED_AXES, "batch", "channel"):
            raise ConfigError(
                f"This model reads an axis {axis!r}, which images don't have: it can't "
                "be applied here."
            )


def _groups(
    spec: TensorSpec, image: Image, channels: Sequence[int] | None
) -> list[tuple[int, ...] | None]:
    """Return the channels of each run of the model."""
    count = image.sizes.get("channel", 1)
    if channels is None:
        channels = _named(spec, image) or range(count)
    chosen = tuple(channels)
    wrong = [channel for channel in chosen if not 0 <= channel < count]
    if wrong or not chosen:
        raise ConfigError(
            f"{image.name} has no channel {wrong[0] if wrong else ''}: choose from 0 "
            f"to {count - 1}."
        )
    wanted, names = 1, ""
    if "channel" in spec.axis_names:
        axis = spec.axis("channel")
        wanted = axis.size.size if isinstance(axis.size, FixedSize) else len(chosen)
        names = f" ({', '.join(axis.channel_names)})" if axis.channel_names else ""
    if "channel" not in image.axes and wanted == 1:
        return [None]
    if len(chosen) == wanted:
        return [chosen]
    if wanted == 1:
        return [(channel,) for channel in chosen]
    advice = "choose that many" if len(chosen) > wanted else "choose an image with them"
    raise ConfigError(
        f"This model reads {wanted} channels{names}, but {len(chosen)} of {image.name} "
        f"were given: {advice}."
    )


def _named(spec: TensorSpec, image: Image) -> tuple[int, ...]:
    """Return the channels that are called as the model's, in its order, if all are."""
    wanted = spec.axis("channel").channel_names if "channel" in spec.axis_names else ()
    names = list(image.channel_names)
    if len(set(wanted)) < len(wanted) or any(names.count(name) != 1 for name in wanted):
        return ()
    return tuple(map(names.index, wanted))


def _note(spec: TensorSpec, image: Image) -> str:
    named, count = _named(spec, image), len(image.channel_names)
    if not 0 < len(named) < count:
        return ""
    read = ", ".join(image.channel_names[channel] for channel in named)
    return (
        f"Reads {read}, by name, of the {count} channels of {image.name}: choose "
        "channels to read others."
    )


def _sizes(inputs: Sequence[TensorSpec], images: Sequence[Image]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for spec, image in zip(inputs, images, strict=False):
        for axis in spec.axis_names:
            if axis in TILED_AXES:
                sizes.setdefault(axis, image.sizes[axis])
    return sizes


def _over(inputs: Sequence[TensorSpec], images: Sequence[Image]) -> dict[str, int]:
    found: dict[str, int] = {}
    for spec, image in zip(inputs, images, strict=False):
        for axis, size in image.sizes.items():
            if axis in spec.axis_names or axis == "channel":
                continue
            if found.setdefault(axis, size) != size:
                raise ConfigError(
                    f"The images have different sizes along {axis} ({found[axis]} and "
                    f"{size}): crop them to the same."
                )
    return {axis: found[axis] for axis in AXES if axis in found}
