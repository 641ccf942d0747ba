"""What a look at an image's pixels says before a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.docks.advice import Advice, Fix
from napari_im2im.training.tasks.label_images import (
    count_labels,
    is_blended,
    likely_classes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_im2im.images.image import Image

PROBED_PIXELS = 2_000_000
"""About so many pixels of an image are looked at before a job."""


@dataclass(frozen=True)
class LabelFacts:
    """What a sample of whole numbers shows, which may be labels.

    ``empty`` is the part of the pixels that are 0, ``common`` are the numbers that
    areas have (`likely_classes`), and ``blended`` says that they look like a picture
    (`is_blended`).
    """

    count: int
    empty: float
    common: tuple[int, ...]
    blended: bool


@dataclass(frozen=True)
class PixelFacts:
    """What a sample of an image's pixels shows."""

    minimum: float
    maximum: float
    not_finite: float
    """Fraction of the pixels that are NaN or infinite."""
    labels: LabelFacts | None = None
    """What whole numbers are like, None for others."""

    @property
    def constant(self) -> bool:
        """Whether all finite pixels have the same value."""
        return self.minimum == self.maximum


def probe_pixels(image: Image) -> PixelFacts:
    """Look at a sample of an image's pixels.

    Parameters
    ----------
    image
        Any image; of a large one the centre, of at most `PROBED_PIXELS` pixels.

    Returns
    -------
    PixelFacts
        Extrema over the finite pixels (0 where there are none).
    """
    pixels = image.read(_probed_region(image.sizes))
    if pixels.dtype.kind not in "fc":
        low, high = float(pixels.min()), float(pixels.max())
        return PixelFacts(low, high, 0.0, _label_facts(pixels))
    finite = np.isfinite(pixels)
    values = pixels[finite] if finite.any() else np.zeros(1)
    return PixelFacts(
        float(values.min()), float(values.max()), 1 - float(finite.mean())
    )


def _label_facts(pixels: np.ndarray) -> LabelFacts:
    counts = count_labels(pixels)
    return LabelFacts(
        count=len(counts),
        empty=counts.get(0, 0) / pixels.size,
        common=likely_classes(pixels),
        blended=is_blended(pixels),
    )


def _probed_region(sizes: Mapping[str, int]) -> dict[str, slice]:
    """Return the centre of an image, no larger than `PROBED_PIXELS`."""
    region: dict[str, slice] = {}
    left = PROBED_PIXELS
    for axis in sorted(sizes, key=lambda a: sizes[a]):
        axes_left = len(sizes) - len(region)
        take = min(sizes[axis], max(1, int(left ** (1 / axes_left))))
        start = (sizes[axis] - take) // 2
        region[axis] = slice(start, start + take)
        left = max(1, left // take)
    return region


def advise_pixels(image: Image, facts: PixelFacts, role: str) -> list[Advice]:
    """Return what an image's pixels ask for; ``role`` is input or target."""
    advice = []
    if facts.not_finite:
        share = f"{facts.not_finite:.1%}" if facts.not_finite > 5e-4 else "some"
        advice.append(
            Advice(
                f"{image.name} has NaN or infinite pixels ({share} of those looked "
                "at), which nothing can be learned from or predicted with.",
                "stop",
                (Fix("Replace them", "replace_not_finite", role),),
            )
        )
    elif facts.constant and role == "target":
        advice.append(
            Advice(
                f"The target {image.name} has the value {facts.minimum:g} "
                "everywhere: there is nothing to learn. Choose another layer.",
                "stop",
            )
        )
    elif facts.constant:
        advice.append(
            Advice(
                f"{image.name} has the value {facts.minimum:g} everywhere: the "
                "result will mean nothing. Choose another layer.",
                "warning",
            )
        )
    return advice
