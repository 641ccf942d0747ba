"""From pairs of images to the arrays that a network learns from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import DataError
from napari_im2im.training.tasks.catalogue import TASKS
from napari_im2im.training.tasks.label_images import check_label_image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.images.image import Image
    from napari_im2im.training.config import DataConfig, TrainConfig

Pair = tuple["Image", "Image"]

_SMALLEST_STACK = 16
"""Fewest planes for which a 3D network is chosen by itself."""


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
    """

    input: np.ndarray
    target: np.ndarray
    name: str
    weight: np.ndarray | None = None

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


def open_pairs(config: DataConfig, *, targets: bool = True) -> list[Pair]:
    """Open the files of a configuration, without reading their pixels.

    Without ``targets`` each input is its own target.

    Raises
    ------
    DataError
        If files don't pair, or none are named.
    ImageError
        If a file can't be opened.
    """
    from napari_im2im.images.pairing import pair_files
    from napari_im2im.images.reading import open_image

    if not targets and config.inputs:
        images = [
            open_image(path, axes=config.input_axes)
            for path, _ in pair_files(config.inputs, config.inputs)
        ]
        return [(image, image) for image in images]
    if not config.inputs or not config.targets:
        raise DataError(
            "There are no images to learn from: name the input files in data.inputs "
            "and the target files in data.targets, or hand over open images."
        )
    return [
        (
            open_image(input_path, axes=config.input_axes),
            open_image(target_path, axes=config.target_axes),
        )
        for input_path, target_path in pair_files(config.inputs, config.targets)
    ]


def plan_layout(pairs: Sequence[Pair], config: TrainConfig) -> Layout:
    """Decide what each axis means, and check all that needs no pixels.

    A z axis that input and target share is space for a 3D network, and one
    sample a plane for a 2D one; one that only the input or only the target has
    becomes its channels. Time points are samples. A task without targets takes each
    input as its own.

    Raises
    ------
    DataError
        If the pairs don't make a training set, in one sentence with the cure.
    """
    if not pairs:
        raise DataError(
            "There are no images to learn from: choose an input and a target."
        )
    spatial_axes = _spatial_axes(pairs, config)
    folded = frozenset(
        role
        for role, image, other in _roles(pairs[0])
        if "z" not in spatial_axes and "z" in _long(image) and "z" not in _long(other)
    )
    for pair in pairs:
        _check_pair(pair, spatial_axes, folded, config)
    enlargement = _enlargement(pairs, spatial_axes, config)
    names = {
        role: _channel_names(image, role, role in folded, config.data)
        for role, image, _ in _roles(pairs[0])
    }
    for pair in pairs[1:]:
        for role, image, _ in _roles(pair):
            count = len(_channel_names(image, role, role in folded, config.data))
            if count != len(names[role]):
                raise DataError(
                    f"The {role} {image.name} has {count} channels, but "
                    f"{pairs[0][role == 'target'].name} has {len(names[role])}: "
                    "train on images with the same channels."
                )
    if _without_targets(config):
        names["target"] = names["input"]
    first = pairs[0][0]
    return Layout(
        spatial_axes=spatial_axes,
        input_channels=names["input"],
        target_channels=names["target"],
        folded=folded,
        scale={a: first.scale[a] for a in spatial_axes if a in first.scale},
        units={a: first.units[a] for a in spatial_axes if a in first.units},
        enlargement=enlargement,
    )


def load_samples(
    pairs: Sequence[Pair], layout: Layout, config: TrainConfig
) -> list[list[Sample]]:
    """Read the pixels: one list of samples for each pair.

    Returns
    -------
    list of list of Sample
        Pixels keep their dtype; 64-bit ones become float32.

    Raises
    ------
    DataError
        If pixels are not finite, or there is nothing to learn in them.
    """
    _check_memory(pairs)
    loaded = [_load_pair(pair, layout, config, name=pair[0].name) for pair in pairs]
    arrays = [sample.input for samples in loaded for sample in samples]
    if all(_constant(arrays, channel) for channel in range(len(arrays[0]))):
        raise DataError(
            f"The input has the same value, {arrays[0].flat[0]:g}, in every pixel, so "
            "there is nothing to learn: choose another input."
        )
    return loaded


def _without_targets(config: TrainConfig) -> bool:
    return TASKS[config.task].target == "none"


def _roles(pair: Pair) -> tuple[tuple[str, Image, Image], ...]:
    return (("input", *pair), ("target", pair[1], pair[0]))


def _long(image: Image) -> dict[str, int]:
    """Return the sizes of the axes along which there is more than one pixel."""
    keep = ("y", "x", "channel")
    return {a: n for a, n in image.sizes.items() if n != 1 or a in keep}


def _spatial_axes(pairs: Sequence[Pair], config: TrainConfig) -> tuple[str, ...]:
    stacks = [_long(image).get("z", 1) for pair in pairs for image in pair]
    if config.spatial_axes is None:
        three = min(stacks) >= _SMALLEST_STACK
        return ("z", "y", "x") if three else ("y", "x")
    if config.spatial_axes == "zyx" and min(stacks) == 1:
        flat = next(i for pair in pairs for i in pair if _long(i).get("z", 1) == 1)
        raise DataError(
            f"A 3D network needs stacks, but {flat.name} has no z axis: use a 2D "
            "network (spatial_axes: yx), or name the axes of the image."
        )
    return tuple(config.spatial_axes)


def _check_pair(
    pair: Pair,
    spatial_axes: tuple[str, ...],
    folded: frozenset[str],
    config: TrainConfig,
) -> None:
    source, target = pair
    for role, image, _ in _roles(pair):
        missing = [axis for axis in ("y", "x") if axis not in image.axes]
        if missing:
            raise DataError(
                f"The {role} {image.name} has no {missing[0]} axis "
                f"({'/'.join(image.axes)}): name its axes."
            )
        if 0 in image.shape:
            raise DataError(f"The {role} {image.name} has no pixels: choose another.")
        if role == "target" and TASKS[config.task].target == "labels":
            check_label_image(image, config.data.target_channels)
        elif image.dtype.kind not in "uif":
            kind = "a mask (true or false)" if image.dtype.kind == "b" else "not real"
            raise DataError(
                f"The {role} {image.name} is {kind}, but a network learns "
                f"intensities: convert {image.dtype} to numbers, or choose another."
            )
    if _without_targets(config):
        return
    if source is target:
        raise DataError(
            f"{source.name} is both input and target, so there is nothing to learn: "
            "choose another target."
        )
    for axis in ("time", "z", "y", "x"):
        sizes = [_long(image).get(axis, 1) for image in pair]
        grows = axis in spatial_axes and TASKS[config.task].target == "image"
        fits = sizes[1] % sizes[0] == 0 if grows else sizes[0] == sizes[1]
        if not fits and not (axis == "z" and folded):
            space = [
                a for a in ("time", "z", "y", "x") if any(a in _long(i) for i in pair)
            ]
            shapes = [
                " × ".join(str(_long(image).get(a, 1)) for a in space) for image in pair
            ]
            raise DataError(
                f"The input {source.name} is {shapes[0]} and its target {target.name} "
                f"is {shapes[1]} ({' × '.join(space)}): crop or resample them to the "
                "same size."
            )


def _enlargement(
    pairs: Sequence[Pair], spatial_axes: tuple[str, ...], config: TrainConfig
) -> dict[str, int]:
    """Return how many times as many pixels all targets have, where they have more."""
    if TASKS[config.task].target != "image":
        return {}
    factors = [
        {a: target.sizes[a] // source.sizes[a] for a in spatial_axes}
        for source, target in pairs
    ]
    for pair, found in zip(pairs, factors, strict=True):
        if found != factors[0]:
            times = [" × ".join(map(str, f.values())) for f in (found, factors[0])]
            raise DataError(
                f"The target {pair[1].name} has {times[0]} times the pixels of its "
                f"input, but {pairs[0][1].name} has {times[1]} times: train on images "
                "with one factor."
            )
    return {axis: factor for axis, factor in factors[0].items() if factor > 1}


def _channel_names(
    image: Image, role: str, folded: bool, config: DataConfig
) -> tuple[str, ...]:
    count = image.sizes.get("channel", 1)
    chosen = getattr(config, f"{role}_channels")
    indices = range(count) if chosen is None else chosen
    wrong = [i for i in indices if not 0 <= i < count]
    if wrong:
        raise DataError(
            f"The {role} {image.name} has no channel {wrong[0]}: "
            f"it has {count}, counted from 0."
        )
    if not list(indices):
        raise DataError(f"No channel of the {role} {image.name} is chosen.")
    names = image.channel_names or tuple(f"channel {i}" for i in range(count))
    if not image.channel_names and count == 1:
        names = (role,)
    picked = [names[i] for i in indices]
    if not folded:
        return tuple(picked)
    planes = range(image.sizes["z"])
    if len(picked) == 1:
        return tuple(f"z {z}" for z in planes)
    return tuple(f"{name}, z {z}" for name in picked for z in planes)


def _check_memory(pairs: Sequence[Pair]) -> None:
    import psutil

    needed = sum(
        int(np.prod(image.shape, dtype=np.int64)) * min(image.dtype.itemsize, 4)
        for pair in pairs
        for image in pair
    )
    free = psutil.virtual_memory().available
    if needed > 0.8 * free:
        raise DataError(
            f"The images need {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB "
            "are free: train on fewer or smaller images."
        )


def _load_pair(
    pair: Pair, layout: Layout, config: TrainConfig, name: str
) -> list[Sample]:
    if _without_targets(config):
        pixels = _read(pair[0], "input", layout, config.data)
        return [Sample(x, x, name) for x in pixels]
    source, target = (
        _read(image, role, layout, config.data) for role, image, _ in _roles(pair)
    )
    if source.shape == target.shape and np.array_equal(source, target):
        raise DataError(
            f"The input {pair[0].name} and its target {pair[1].name} are the same "
            "image, so there is nothing to learn: choose another target."
        )
    return [Sample(x, y, name) for x, y in zip(source, target, strict=True)]


def _read(image: Image, role: str, layout: Layout, config: DataConfig) -> np.ndarray:
    """Read an image as ``(sample, c, [z,] y, x)``."""
    pixels = image.read(axes=("time", "channel", "z", "y", "x"))
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        count = int(np.count_nonzero(~np.isfinite(pixels)))
        raise DataError(
            f"The {role} {image.name} has {count} pixels that are NaN or infinite: "
            "replace them (e.g. with numpy.nan_to_num) or choose another image."
        )
    if pixels.dtype.itemsize > 4:
        # Whole numbers may be labels, which must stay exact.
        whole = pixels.dtype.kind in "ui" and abs(pixels).max() < 2**31
        pixels = pixels.astype(np.int32 if whole else np.float32)
    chosen = getattr(config, f"{role}_channels")
    if chosen is not None:
        pixels = pixels[:, list(chosen)]
    time, channels, planes, height, width = pixels.shape
    if layout.spatial_axes[0] == "z":
        return pixels
    if role in layout.folded:
        return pixels.reshape(time, channels * planes, height, width)
    by_plane = pixels.transpose(0, 2, 1, 3, 4)
    return by_plane.reshape(time * planes, channels, height, width)


def _constant(arrays: Sequence[np.ndarray], channel: int) -> bool:
    first = arrays[0][channel].flat[0]
    return all(bool((array[channel] == first).all()) for array in arrays)
