"""Charts of an evaluation: a point for each image, by group and channel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.training.runs.charts import as_png

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.evaluation.report import ImageScores

_SPREAD = 0.08
"""How far points of one column lie apart, of the width of a group."""


def draw_scores(scores: Sequence[ImageScores]) -> dict[str, bytes]:
    """Draw each metric as PNG: points are images, the line is their mean.

    Returns
    -------
    dict
        Pictures by metric; without those that have no value, and empty for a
        single image.
    """
    if len({each.image for each in scores}) < 2:
        return {}
    metrics = dict.fromkeys(name for each in scores for name in each.metrics)
    charts = {}
    for metric in metrics:
        known = [
            each for each in scores if math.isfinite(each.metrics.get(metric, math.nan))
        ]
        if known:
            charts[metric] = _draw(known, metric)
    return charts


def _draw(scores: Sequence[ImageScores], metric: str) -> bytes:
    from matplotlib.figure import Figure

    groups = list(dict.fromkeys(each.group for each in scores))
    channels = list(dict.fromkeys(each.channel for each in scores))
    figure = Figure((2.4 + 0.9 * len(groups) * len(channels), 3.6))
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    random = np.random.default_rng(0)
    for number, channel in enumerate(channels):
        for place, group in enumerate(groups):
            values = [
                each.metrics[metric]
                for each in scores
                if (each.group, each.channel) == (group, channel)
            ]
            if not values:
                continue
            x = place + (number + 0.5) / len(channels) - 0.5
            at = x + random.uniform(-_SPREAD, _SPREAD, len(values)) / len(channels)
            label = channel if group == groups[0] else None
            color = f"C{number % 10}"
            axes.plot(at, values, "o", ms=4, alpha=0.7, color=color, label=label)
            width = 0.3 / len(channels)
            axes.hlines(np.mean(values), x - width, x + width, color=color, lw=2)
    axes.set_xticks(range(len(groups)), [group or "all" for group in groups])
    axes.set_xlim(-0.6, len(groups) - 0.4)
    axes.set_ylabel(metric)
    axes.spines[["top", "right"]].set_visible(False)
    if len(channels) > 1:
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return as_png(figure)
