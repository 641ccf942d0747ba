"""What training sees and what validation sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_im2im.training.data import Sample


@dataclass(frozen=True)
class Split:
    """Samples to learn from and samples to judge by; ``text`` says which."""

    training: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    training_images: int
    validation_images: int
    text: str


def split_samples(
    images: Sequence[Sequence[Sample]],
    *,
    fraction: float,
    step: Mapping[str, int],
    seed: int = 0,
) -> Split:
    """Hold out whole images, or a strip of the image where there is only one.

    Images are ordered by the contrast of their targets, and one is drawn from the
    middle of each of as many equal groups as are held out: an image that is all but
    empty judges badly.

    Parameters
    ----------
    images
        The samples of each image, as `load_samples` returns them.
    fraction
        Part of the images, or of the longer side of the only image, to hold out.
    step
        Smallest size by spatial axis that the network takes, in the order of the
        axes; also the width of the gap between the strip and the rest.
    seed
        Draws among images of like contrast.
    """
    if fraction == 0:
        samples = tuple(sample for image in images for sample in image)
        return Split(
            training=samples,
            validation=samples,
            training_images=len(images),
            validation_images=0,
            text="Nothing is held out: validation measures images that were learned.",
        )
    if len(images) == 1:
        return _split_strip(images[0], fraction, step)
    count = min(max(1, round(fraction * len(images))), len(images) - 1)
    held_out = _typical(images, count, seed)
    names = ", ".join(images[i][0].name for i in held_out[:3])
    more = ", …" if count > 3 else ""
    return Split(
        training=_flat(images[i] for i in range(len(images)) if i not in held_out),
        validation=_flat(images[i] for i in held_out),
        training_images=len(images) - count,
        validation_images=count,
        text=f"{count} of {len(images)} images held out for validation: {names}{more}.",
    )


def _typical(images: Sequence[Sequence[Sample]], count: int, seed: int) -> list[int]:
    """Return the indices of images that stand for all."""
    spreads = np.array(
        [
            np.mean(
                [s.target.std(axis=tuple(range(1, s.target.ndim))) for s in image], 0
            )
            for image in images
        ],
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


def _flat(groups: Iterable[Sequence[Sample]]) -> tuple[Sample, ...]:
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
    )
