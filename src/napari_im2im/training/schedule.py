"""How many steps a training takes, and how fast it learns in each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_im2im.training.config import EffortConfig, Schedule

_UNTIMED_STEPS = 3
"""The first steps, which are slower than the rest, don't tell the pace."""

_RISE, _START, _END = 0.3, 25.0, 1e-4
"""Of one cycle: part that rises, divisor of the first rate, last over first rate."""


def learning_rate_factor(
    progress: float, warmup: float, schedule: Schedule = "cosine"
) -> float:
    """Return the part of the learning rate at a point of the training.

    Parameters
    ----------
    progress
        Part of the training that is done, 0 to 1.
    warmup
        Part of the training in which the rate rises, for ``cosine`` and
        ``constant``.
    schedule
        ``cosine``: it rises linearly during the warm-up and falls to 0 by a half
        cosine (Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983).
        ``one_cycle``: it rises from a 25th and falls to a 250,000th, by half cosines,
        30 % of the way up (Smith & Topin 2018, https://arxiv.org/abs/1708.07120).
        ``constant``: it stays after the warm-up. ``plateau``: it follows the
        validation instead.
    """
    if schedule == "plateau":
        return 1.0
    if schedule == "one_cycle":
        if progress < _RISE:
            return _half_cosine(1 / _START, 1.0, progress / _RISE)
        return _half_cosine(1.0, _END / _START, (progress - _RISE) / (1 - _RISE))
    if progress < warmup:
        return progress / warmup
    if warmup >= 1 or schedule == "constant":
        return 1.0
    return _half_cosine(1.0, 0.0, (progress - warmup) / (1 - warmup))


def _half_cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, part)))


@dataclass
class StepPlan:
    """Turns an effort into a number of steps, and follows the computer's pace.

    Parameters
    ----------
    effort
        The first of its limits that is reached ends the training.
    steps_per_epoch
        Steps in which as many pixels are seen as there are.
    elapsed
        Seconds that the steps until now took, those of an interrupted run
        included.
    """

    effort: EffortConfig
    steps_per_epoch: int
    elapsed: float = 0.0
    total: int | None = None
    """Steps of the whole training; None until the pace is known."""

    def __post_init__(self) -> None:
        limits = [self.effort.steps] if self.effort.steps else []
        if self.effort.epochs:
            limits.append(self.effort.epochs * self.steps_per_epoch)
        self.most = min(limits) if limits else None
        if self.effort.time_limit is None:
            self.total = self.most

    def update(self, step: int, elapsed: float) -> None:
        """Take note that ``step`` steps took ``elapsed`` seconds."""
        self.elapsed = elapsed
        limit = self.effort.time_limit
        if limit is None or step <= _UNTIMED_STEPS:
            return
        left = max(0.0, limit - elapsed)
        total = step + int(left / (elapsed / step))
        self.total = total if self.most is None else min(total, self.most)

    def progress(self, step: int) -> float:
        """Return the part of the training that ``step`` steps are."""
        if self.total is None:
            limit = self.effort.time_limit or math.inf
            return min(1.0, self.elapsed / limit)
        return min(1.0, step / max(1, self.total))

    def finished(self, step: int) -> bool:
        """Return whether no step is left."""
        limit = self.effort.time_limit
        late = limit is not None and step > _UNTIMED_STEPS and self.elapsed >= limit
        return late or (self.total is not None and step >= self.total)

    def seconds_left(self, step: int) -> float | None:
        """Return the time that the remaining steps need at the present pace."""
        if self.total is None or step == 0:
            return None
        return (self.total - step) * self.elapsed / step
