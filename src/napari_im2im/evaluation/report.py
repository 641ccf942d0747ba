"""Tables of an evaluation: a row for each image and channel, and their summary."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from napari_im2im.images.atomic import replaced_when_done

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

ALL = "all"
"""What a summary calls the images of all groups, and the mean of all channels."""


@dataclass(frozen=True)
class ImageScores:
    """How one channel of one image compares with the truth.

    ``normalization`` says what was done to both before; ``metrics`` holds NaN
    where a metric has no value.
    """

    image: str
    group: str
    channel: str
    normalization: str
    metrics: Mapping[str, float]

    def row(self) -> dict[str, Any]:
        """Return it as a row of a table."""
        return {
            "image": self.image,
            "group": self.group,
            "channel": self.channel,
            "normalization": self.normalization,
            **_without_nan(self.metrics),
        }


@dataclass(frozen=True)
class Summary:
    """Means over images, and their spread.

    ``group`` and ``channel`` are ``"all"`` where several are taken together;
    ``images`` counts them. ``std`` is the sample standard deviation between
    images, NaN for a single one.
    """

    group: str
    channel: str
    images: int
    normalization: str
    mean: Mapping[str, float]
    std: Mapping[str, float]

    def row(self) -> dict[str, Any]:
        """Return it as a row of a table, with columns ``psnr``, ``psnr std`` …."""
        values = {
            key: value
            for name in self.mean
            for key, value in (
                (name, self.mean[name]),
                (f"{name} std", self.std[name]),
            )
        }
        return {
            "group": self.group,
            "channel": self.channel,
            "images": self.images,
            "normalization": self.normalization,
            **_without_nan(values),
        }


def summarize(scores: Sequence[ImageScores]) -> list[Summary]:
    """Return the summaries of all images, of each channel, and of each group.

    Where there are several channels, the values of an image are averaged over its
    channels first, so that each image counts once.
    """
    groups = list(dict.fromkeys(each.group for each in scores))
    channels = list(dict.fromkeys(each.channel for each in scores))
    summaries = []
    for group in [ALL, *groups] if len(groups) > 1 else [ALL]:
        for channel in [ALL, *channels] if len(channels) > 1 else [ALL]:
            chosen = [
                each
                for each in scores
                if group in (ALL, each.group) and channel in (ALL, each.channel)
            ]
            if chosen:
                summaries.append(_summary(chosen, group, channel))
    return summaries


def _summary(scores: Sequence[ImageScores], group: str, channel: str) -> Summary:
    by_image: defaultdict[str, list[ImageScores]] = defaultdict(list)
    for each in scores:
        by_image[each.image].append(each)
    mean, std = {}, {}
    for name in dict.fromkeys(name for each in scores for name in each.metrics):
        values = [
            _mean(each.metrics.get(name, math.nan) for each in channels)
            for channels in by_image.values()
        ]
        known = [value for value in values if not math.isnan(value)]
        mean[name] = _mean(known)
        finite = len(known) > 1 and all(map(math.isfinite, known))
        std[name] = stdev(known) if finite else math.nan
    return Summary(group, channel, len(by_image), scores[0].normalization, mean, std)


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan


def _without_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(v) else v for name, v in values.items()}


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows as CSV, replacing the file at once.

    Raises
    ------
    ImageError
        If the folder or the disk refuses.
    """
    with (
        replaced_when_done(path, overwrite=True) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        columns = dict.fromkeys(name for row in rows for name in row)
        writer = csv.DictWriter(file, fieldnames=list(columns))
        writer.writeheader()
        writer.writerows(rows)
    return path
