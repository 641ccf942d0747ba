"""Which patches a training prefers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.training.data.config import DataConfig
    from napari_im2im.training.data.samples import Sample


@dataclass(frozen=True)
class Focus:
    """Which patches are preferred.

    Parameters
    ----------
    foreground
        Part of the patches that are centred on foreground.
    least_foreground
        A patch with a smaller part of foreground is drawn anew.
    thresholds
        What foreground is: where a channel of the target is larger than its
        threshold.
    by_weight
        Whether patches are centred on a pixel the more often the more it counts;
        else on all that count alike.
    """

    foreground: float = 0.0
    least_foreground: float = 0.0
    thresholds: tuple[float, ...] = ()
    by_weight: bool = False

    def is_foreground(self, target: np.ndarray) -> np.ndarray:
        """Return where pixels ``(c, ...)`` are foreground, ``(...)``."""
        over = [c > t for c, t in zip(target, self.thresholds, strict=True)]
        found: np.ndarray = np.logical_or.reduce(over)
        return found


def learn_focus(
    config: DataConfig, samples: Sequence[Sample], *, labels: bool
) -> Focus:
    """Return what a configuration prefers.

    Parameters
    ----------
    config
        What is preferred.
    samples
        Images to learn from; the foreground of intensities is what is brighter than
        the threshold of Otsu (1979, https://doi.org/10.1109/TSMC.1979.4310076) of
        all of them.
    labels
        Whether targets are labels, whose foreground is what is not 0.
    """
    thresholds: tuple[float, ...] = ()
    if config.foreground_patches or config.least_foreground:
        channels = range(len(samples[0].target))
        thresholds = tuple(
            0.0 if labels else otsu_threshold(samples, c) for c in channels
        )
    return Focus(
        config.foreground_patches,
        config.least_foreground,
        thresholds,
        config.draw_by_cost_map,
    )


def otsu_threshold(samples: Sequence[Sample], channel: int) -> float:
    """Return what separates the foreground of a target channel, by Otsu's method."""
    from skimage.filters import threshold_otsu

    values = np.concatenate([s.target[channel].ravel() for s in samples])
    return float(threshold_otsu(values))
