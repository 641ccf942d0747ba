"""What training sees, what validation sees, and what is left alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import DataError
from napari_im2im.training.data.normalization import ImageScaling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.images.folders.tables import Part
    from napari_im2im.training.data.config import SplitBy
    from napari_im2im.training.data.normalization import InputScaling
    from napari_im2im.training.data.samples import Sample

_NAMED_AT_MOST = 3
_CONTRAST_PIXELS = 1_000_000
"""About so many pixels of an image say how much contrast it has."""


@dataclass(frozen=True)
class Split:
    """Samples to learn from and samples to judge by; ``text`` says which.

    ``parts`` says of each image what it is for.
    """

    training: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    training_images: int
    validation_images: int
    text: str
    parts: tuple[Part, ...] = ()

    def scaled(self, scaling: InputScaling) -> Split:
        """Return the same with inputs that are normalised alike, if not by image."""
        if isinstance(scaling, ImageScaling):
            return self
        return replace(
            self,
            training=tuple(replace(s, scaling=scaling) for s in self.training),
            validation=tuple(replace(s, scaling=scaling) for s in self.validation),
        )

    def fingerprint(self) -> list[list[float]]:
        """Return what normalises the training images on average, to know them again."""
        numbers = [(s.scaling.offset, s.scaling.scale) for s in self.training]
        means: list[list[float]] = np.mean(numbers, axis=0).tolist()
        return means


@dataclass(frozen=True)
class Unit:
    """Images that are learned or held out together, by their positions."""

    name: str
    members: tuple[int, ...]


def units_of(names: Sequence[str], groups: Sequence[str | None]) -> list[Unit]:
    """Return the groups of images, and the images that are in none."""
    members: dict[str, list[int]] = {}
    labels: dict[str, str] = {}
    for i, (name, group) in enumerate(zip(names, groups, strict=True)):
        key = f"image {i}" if group is None else f"group {group}"
        members.setdefault(key, []).append(i)
        labels[key] = name if group is None else group
    units = [Unit(labels[key], tuple(found)) for key, found in members.items()]
    if len(units) == 1 < len(names):
        # A single group can't be split; its images can.
        return [Unit(name, (i,)) for i, name in enumerate(names)]
    return units


def choose_test(
    units: Sequence[Unit], fraction: float, seed: int
) -> tuple[list[Unit], str]:
    """Choose what training leaves alone, and say so.

    Raises
    ------
    DataError
        If nothing would be left to learn from and to judge by.
    """
    if not fraction:
        return [], ""
    if len(units) < 3:
        raise DataError(
            f"A test set needs 3 images or groups at least, there are {len(units)}: "
            "add some, or set data.test_fraction to 0."
        )
    count = min(max(1, round(fraction * len(units))), len(units) - 2)
    chosen = np.random.default_rng((seed, 1)).permutation(len(units))[:count]
    test = [units[i] for i in sorted(chosen)]
    return test, f"{_told(test, len(units))} left alone for a test: {_named(test)}."


def split_samples(
    images: Sequence[Sequence[Sample]],
    *,
    fraction: float,
    step: Mapping[str, int],
    seed: int = 0,
    by: SplitBy = "image",
    groups: Sequence[str | None] | None = None,
    parts: Sequence[Part | None] | None = None,
) -> Split:
    """Hold out whole images or groups, or a strip where there is only one image.

    By image or group, these are ordered by the contrast of their targets, and one is
    drawn from the middle of each of as many equal parts as are held out: an image
    that is all but empty judges badly.

    Parameters
    ----------
    images
        The samples of each image.
    fraction
        Part of the images, or of the longer side of the only image, to hold out.
    step
        Smallest size by spatial axis that the network takes, in the order of the
        axes; also the width of the gap between the strip and the rest.
    seed
        Draws among images of like contrast.
    by
        ``"every_nth"``: at equal distances in the order of the images.
    groups
        Images of one group stay together.
    parts
        What images are for, where that is given: if any is for validation, those are
        held out, whatever the fraction.
    """
    given = [i for i, part in enumerate(parts or ()) if part == "val"]
    if not given and fraction == 0:
        return _nothing_held_out(images)
    if not given and len(images) == 1:
        return _split_strip(images[0], fraction, step)
    names = [image[0].name for image in images]
    if given:
        chosen = [Unit(names[i], (i,)) for i in given]
        text = f"{_images(len(given))} given for validation: {_named(chosen)}."
    else:
        units = units_of(names, groups or [None] * len(images))
        chosen = _choose(units, images, fraction, by, seed)
        text = f"{_told(chosen, len(units))} held out for validation: {_named(chosen)}."
    held_out = {i for unit in chosen for i in unit.members}
    learned = [i for i in range(len(images)) if i not in held_out]
    if not learned:
        raise DataError(
            "All images are given for validation, so there is nothing to learn from: "
            "mark some as train."
        )
    return Split(
        training=_flat([images[i] for i in learned]),
        validation=_flat([images[i] for i in sorted(held_out)]),
        training_images=len(learned),
        validation_images=len(held_out),
        text=text,
        parts=tuple("val" if i in held_out else "train" for i in range(len(images))),
    )


def _nothing_held_out(images: Sequence[Sequence[Sample]]) -> Split:
    samples = _flat(images)
    return Split(
        training=samples,
        validation=samples,
        training_images=len(images),
        validation_images=0,
        text="Nothing is held out: validation measures images that were learned.",
        parts=tuple("train" for _ in images),
    )


def _choose(
    units: Sequence[Unit],
    images: Sequence[Sequence[Sample]],
    fraction: float,
    by: SplitBy,
    seed: int,
) -> list[Unit]:
    """Return the units to hold out, of which at least one is left."""
    count = min(max(1, round(fraction * len(units))), len(units) - 1)
    if by == "every_nth":
        return [units[i] for i in _spread(len(units), count)]
    flat = [_flat([images[i] for i in unit.members]) for unit in units]
    return [units[i] for i in _typical(flat, count, seed)]


def _images(count: int) -> str:
    return f"{count} image{'s are' if count != 1 else ' is'}"


def _told(chosen: Sequence[Unit], units: int) -> str:
    """Return how many images or groups are meant."""
    images = sum(len(unit.members) for unit in chosen)
    if images == len(chosen):
        return f"{len(chosen)} of {units} images"
    return f"{len(chosen)} of {units} groups ({images} images)"


def _named(units: Sequence[Unit]) -> str:
    names = ", ".join(unit.name for unit in units[:_NAMED_AT_MOST])
    return f"{names}, …" if len(units) > _NAMED_AT_MOST else names


def _spread(count: int, chosen: int) -> list[int]:
    """Return positions at equal distances, the first and last not among them."""
    return [int((i + 0.5) * count / chosen) for i in range(chosen)]


def _typical(images: Sequence[Sequence[Sample]], count: int, seed: int) -> list[int]:
    """Return the indices of images that stand for all."""
    spreads = np.array(
        [np.mean([_spread_of(s.target) for s in image], 0) for image in images],
        dtype=np.float64,
    )
    contrast = (spreads / np.maximum(spreads.max(axis=0), 1e-12)).mean(axis=1)
    order = np.argsort(contrast, kind="stable")
    random = np.random.default_rng(seed)
    chosen = []
    for group in np.array_split(order, count):
        margin = (len(group) - 1) // 3
        chosen.append(int(random.choice(group[margin : len(group) - margin])))
    return sorted(chosen)


def _spread_of(target: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each channel, of every few rows if large."""
    stride = -(-target[0].size // _CONTRAST_PIXELS)
    rows = target[..., ::stride, :]
    spread: np.ndarray = rows.std(axis=tuple(range(1, rows.ndim)))
    return spread


def _flat(groups: Sequence[Sequence[Sample]]) -> tuple[Sample, ...]:
    return tuple(sample for group in groups for sample in group)


def _split_strip(
    samples: Sequence[Sample], fraction: float, step: Mapping[str, int]
) -> Split:
    axes = tuple(step)
    shape = samples[0].spatial_shape
    axis = max(("y", "x"), key=lambda a: shape[axes.index(a)])
    size, unit = shape[axes.index(axis)], step[axis]
    strip = unit * max(1, round(fraction * size / unit))
    rest = size - strip - unit
    if rest < unit:
        raise DataError(
            f"{samples[0].name} is {size} pixels along {axis}, too few to hold out a "
            f"strip for validation ({3 * unit} are needed): add images, crop less, or "
            "set data.validation_fraction to 0."
        )
    whole = [slice(None)] * len(axes)

    def along(part: slice) -> tuple[slice, ...]:
        region = list(whole)
        region[axes.index(axis)] = part
        return tuple(region)

    return Split(
        training=tuple(s.crop(along(slice(0, rest))) for s in samples),
        validation=tuple(s.crop(along(slice(size - strip, size))) for s in samples),
        training_images=1,
        validation_images=1,
        text="One image only: validation uses a separate strip of the same image, "
        f"the last {strip} pixels along {axis}.",
        parts=("train",),
    )
