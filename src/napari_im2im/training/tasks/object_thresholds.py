"""From which sureness pixels are objects: what suits validation best."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_im2im.inference.objects.decoding import decode
from napari_im2im.inference.objects.scores import score_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_OVERLAPS = (0.5, 0.75)
"""Intersections over union that count as found."""


class Tried(NamedTuple):
    """Thresholds to choose from: the usual one, and all from the highest on."""

    usual: float
    values: tuple[float, ...]


FOREGROUNDS = Tried(0.5, (0.7, 0.6, 0.5, 0.4, 0.3))
"""How sure a pixel must be to belong to an object."""

SEEDS = Tried(0.8, (0.9, 0.8, 0.65, 0.5, 0.35, 0.2))
SEEDS_WITH_DISTANCE = Tried(0.6, (0.7, 0.6, 0.5, 0.4, 0.3, 0.2))
SEEDS_OF_EMBEDDING = Tried(0.7, (0.85, 0.7, 0.55, 0.4))
"""How sure it must be for an object to start there. Usually high, for networks that
have learned little see the boundary between touching objects but faintly; the lowest
let those that have learned next to nothing find something. The mean of the interior
with the distance, half of which is less than 0.5 inside an object, is smaller."""


class Crop(NamedTuple):
    """What was predicted, the true labels, and which pixels count."""

    maps: np.ndarray
    truth: np.ndarray
    counted: np.ndarray


class Chosen(NamedTuple):
    """Thresholds, and the average precision with them."""

    seed: float
    foreground: float
    metrics: dict[str, float]


def choose_thresholds(
    crops: Sequence[Crop], meaning: Mapping[str, Any], seeds: Tried
) -> Chosen:
    """Return the thresholds with which crops are separated best.

    Parameters
    ----------
    crops
        Maps ``(c, [z,] y, x)``, the others ``([z,] y, x)``.
    meaning
        What the maps stand for, as `decode` takes it.
    seeds
        Thresholds for seeds.

    Returns
    -------
    Chosen
        Its metrics are means over the crops, ``"ap 0.5"`` and ``"ap 0.75"``.
    """

    @cache
    def judged(seed: float, foreground: float) -> tuple[dict[str, float], int]:
        thresholds = {"seed": seed, "foreground": foreground}
        scores = [
            score_objects(
                crop.truth,
                decode(crop.maps, {**meaning, **thresholds}),
                _OVERLAPS,
                crop.counted,
            )
            for crop in crops
        ]
        precision = {
            f"ap {overlap:g}": float(
                np.mean([score.average_precision(overlap) for score in scores])
            )
            for overlap in _OVERLAPS
        }
        return precision, sum(abs(s.predicted - s.truth) for s in scores)

    def quality(seed: float, foreground: float) -> tuple[float, int]:
        # Where nothing is found yet, as many objects as there are is a beginning.
        precision, too_many = judged(seed, foreground)
        return sum(precision.values()), -too_many

    seed = _climb(seeds, lambda value: quality(value, FOREGROUNDS.usual))
    foreground = _climb(FOREGROUNDS, lambda value: quality(seed, value))
    return Chosen(seed, foreground, judged(seed, foreground)[0])


def _climb(tried: Tried, quality: Callable[[float], tuple[float, int]]) -> float:
    """Return the best value that steps from the usual one, each way, come to.

    They end before a value that is worse than the one before it.
    """
    start = tried.values.index(tried.usual)
    best, highest = tried.usual, quality(tried.usual)
    for side in (tried.values[start + 1 :], tried.values[:start][::-1]):
        last = quality(tried.usual)
        for value in side:
            found = quality(value)
            if found < last:
                break
            if found > highest:
                best, highest = value, found
            last = found
    return best
