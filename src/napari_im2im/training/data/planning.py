"""What the axes of images mean for a training, and what is wrong with images.

All of it is known before a pixel is read.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from napari_im2im.errors import ConfigError, DataError
from napari_im2im.training.data.samples import Layout
from napari_im2im.training.tasks.catalogue import TASKS
from napari_im2im.training.tasks.label_images import check_label_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.images.image import Image
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.config import DataConfig
    from napari_im2im.training.data.examples import Example

_SMALLEST_STACK = 16
"""Fewest planes for which a 3D network is chosen by itself."""


def plan_layout(examples: Sequence[Example], config: TrainConfig) -> Layout:
    """Decide what each axis means, and check all that needs no pixels.

    A z axis that input and target share is space for a 3D network, and one
    sample a plane for a 2D one; one that only the input or only the target has
    becomes its channels. Time points are samples. A task without targets takes each
    input as its own.

    Raises
    ------
    DataError
        If the pairs don't make a training set, in one sentence with the cure.
    ConfigError
        If the patch has other axes.
    """
    if not examples:
        raise DataError(
            "There are no images to learn from: choose an input and a target."
        )
    first = examples[0]
    spatial_axes = _spatial_axes(examples, config)
    if config.patch is not None and set(config.patch) != set(spatial_axes):
        raise ConfigError(
            f"The patch names the axes {', '.join(config.patch)}, but the network has "
            f"{', '.join(spatial_axes)}: give a size for each of them."
        )
    # Without pairs each plane is an image, as it is where both have planes.
    folded = frozenset(
        role
        for role, image, other in _roles(first)
        if TASKS[config.task].paired
        and "z" not in spatial_axes
        and "z" in _long(image)
        and "z" not in _long(other)
    )
    for example in examples:
        _check(example, spatial_axes, folded, config)
    enlargement = _enlargement(examples, spatial_axes, config)
    names = {
        role: _channel_names(image, role, role in folded, config.data)
        for role, image, _ in _roles(first)
    }
    for role in names:
        _check_counts(examples, role, role in folded, config.data)
    if TASKS[config.task].target == "none":
        names["target"] = names["input"]
    source = first.input
    return Layout(
        spatial_axes=spatial_axes,
        input_channels=names["input"],
        target_channels=names["target"],
        folded=folded,
        scale={a: source.scale[a] for a in spatial_axes if a in source.scale},
        units={a: source.units[a] for a in spatial_axes if a in source.units},
        enlargement=enlargement,
    )


def _roles(example: Example) -> tuple[tuple[str, Image, Image], ...]:
    """Return name, image and the other image of both roles."""
    source, target = example.input, example.target
    return (("input", source, target), ("target", target, source))


def _long(image: Image) -> dict[str, int]:
    """Return the sizes of the axes along which there is more than one pixel."""
    keep = ("y", "x", "channel")
    return {a: n for a, n in image.sizes.items() if n != 1 or a in keep}


def _spatial_axes(examples: Sequence[Example], config: TrainConfig) -> tuple[str, ...]:
    images = [image for e in examples for image in (e.input, e.target)]
    stacks = [_long(image).get("z", 1) for image in images]
    if config.spatial_axes is None:
        three = min(stacks) >= _SMALLEST_STACK
        return ("z", "y", "x") if three else ("y", "x")
    if config.spatial_axes == "zyx" and min(stacks) == 1:
        flat = next(image for image in images if _long(image).get("z", 1) == 1)
        raise DataError(
            f"A 3D network needs stacks, but {flat.name} has no z axis: use a 2D "
            "network (spatial_axes: yx), or name the axes of the image."
        )
    return tuple(config.spatial_axes)


def _check(
    example: Example,
    spatial_axes: tuple[str, ...],
    folded: frozenset[str],
    config: TrainConfig,
) -> None:
    for role, image, _ in _roles(example):
        _check_image(image, role, config)
    if TASKS[config.task].target != "none":
        _check_same(example, config)
    if TASKS[config.task].paired:
        _check_sizes(example, spatial_axes, folded, config)
    if example.cost_map is not None:
        check_cost_map(example.cost_map, example.target, folded)


def _check_image(image: Image, role: str, config: TrainConfig) -> None:
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


def _check_same(example: Example, config: TrainConfig) -> None:
    """Refuse an image that is its own target in the same channels."""
    source, target = example.input, example.target
    if source.data is not target.data:
        return
    channels = range(source.sizes.get("channel", 1))
    chosen = [
        set(channels if wanted is None else wanted)
        for wanted in (config.data.input_channels, config.data.target_channels)
    ]
    if chosen[0] & chosen[1]:
        raise DataError(
            f"{source.name} is both input and target, so there is nothing to learn: "
            "choose another target, or other channels for the target."
        )


def _check_sizes(
    example: Example,
    spatial_axes: tuple[str, ...],
    folded: frozenset[str],
    config: TrainConfig,
) -> None:
    source, target = example.input, example.target
    axes = ("time", "z", "y", "x")
    for axis in axes:
        sizes = [_long(image).get(axis, 1) for image in (source, target)]
        grows = axis in spatial_axes and TASKS[config.task].target == "image"
        fits = sizes[1] % sizes[0] == 0 if grows else sizes[0] == sizes[1]
        if not fits and not (axis == "z" and folded):
            space = [a for a in axes if any(a in _long(i) for i in (source, target))]
            shapes = [_size_text(image, space) for image in (source, target)]
            raise DataError(
                f"The input {source.name} is {shapes[0]} and its target {target.name} "
                f"is {shapes[1]} ({' × '.join(space)}): crop or resample them to the "
                "same size."
            )


def _enlargement(
    examples: Sequence[Example], spatial_axes: tuple[str, ...], config: TrainConfig
) -> dict[str, int]:
    """Return how many times as many pixels all targets have, where they have more."""
    if TASKS[config.task].target != "image" or not TASKS[config.task].paired:
        return {}
    factors = [
        {a: e.target.sizes[a] // e.input.sizes[a] for a in spatial_axes}
        for e in examples
    ]
    for example, found in zip(examples, factors, strict=True):
        if found != factors[0]:
            times = [" × ".join(map(str, f.values())) for f in (found, factors[0])]
            raise DataError(
                f"The target {example.target.name} has {times[0]} times the pixels of "
                f"its input, but {examples[0].target.name} has {times[1]} times: train "
                "on images with one factor."
            )
    return {axis: factor for axis, factor in factors[0].items() if factor > 1}


def check_cost_map(
    cost_map: Image, target: Image, folded: frozenset[str] = frozenset()
) -> None:
    """Refuse a cost map that doesn't fit a target.

    Raises
    ------
    DataError
        If sizes or values don't fit.
    """
    if cost_map.dtype.kind not in "buif":
        raise DataError(
            f"The cost map {cost_map.name} holds {cost_map.dtype} values: save it as "
            "numbers, 0 where pixels don't count."
        )
    channels = cost_map.sizes.get("channel", 1)
    if channels != 1:
        raise DataError(
            f"The cost map {cost_map.name} has {channels} channels, but one weight for "
            "each pixel is needed: save one channel of it."
        )
    axes = [a for a in ("time", "z", "y", "x") if a != "z" or not folded]
    has, wanted = ([_long(i).get(a, 1) for a in axes] for i in (cost_map, target))
    # A map of one plane or one time holds for all of them.
    repeated = zip(axes, has, wanted, strict=True)
    if any(n != m and (n > 1 or a in ("y", "x")) for a, n, m in repeated):
        shown = [
            a for a, n, m in zip(axes, has, wanted, strict=True) if (n, m) != (1, 1)
        ]
        sizes = [_size_text(image, shown) for image in (cost_map, target)]
        raise DataError(
            f"The cost map {cost_map.name} is {sizes[0]} and its target {target.name} "
            f"is {sizes[1]} ({' × '.join(shown)}): give both the same size."
        )


def _size_text(image: Image, axes: Sequence[str]) -> str:
    return " × ".join(str(_long(image).get(axis, 1)) for axis in axes)


def _check_counts(
    examples: Sequence[Example], role: str, folded: bool, config: DataConfig
) -> None:
    """Refuse an image whose number of channels is another than most have."""
    images = [getattr(example, role) for example in examples]
    counts = [len(_channel_names(i, role, folded, config)) for i in images]
    usual = Counter(counts).most_common(1)[0][0]
    for image, count in zip(images, counts, strict=True):
        if count != usual:
            other = images[counts.index(usual)]
            raise DataError(
                f"The {role} {image.name} has {count} channels, but {other.name} has "
                f"{usual}: train on images with the same channels."
            )


def _channel_names(
    image: Image, role: str, folded: bool, config: DataConfig
) -> tuple[str, ...]:
    count = image.sizes.get("channel", 1)
    chosen = getattr(config, f"{role}_channels")
    indices = range(count) if chosen is None else chosen
    wrong = [i for i in indices if not 0 <= i < count]
    if wrong:
        raise DataError(
            f"The {role} {image.name} has no channel {wrong[0]}: choose from 0 to "
            f"{count - 1}."
        )
    if not list(indices):
        raise DataError(
            f"No channel of the {role} {image.name} is chosen: choose one at least."
        )
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
