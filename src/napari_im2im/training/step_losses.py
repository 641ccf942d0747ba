"""The losses of steps, fetched from the device a few together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lightning_fabric import Fabric

_AT_ONCE = 10
"""Losses are fetched from the device together: fetching one waits for its step."""


class StepLosses:
    """Collects what steps return, until a validation writes the means.

    Parameters
    ----------
    names
        Of the losses of a step.
    fabric
        Of several processes the means are taken.
    """

    def __init__(self, names: Sequence[str], fabric: Fabric) -> None:
        self.names, self._fabric = tuple(names), fabric
        self._waiting: list[torch.Tensor] = []
        self.interval: list[list[float]] = []
        """Fetched losses since the last validation, a row for each step."""

    def __bool__(self) -> bool:
        return bool(self._waiting or self.interval)

    @property
    def waiting(self) -> int:
        """Steps whose losses are still on the device."""
        return len(self._waiting)

    @property
    def enough(self) -> bool:
        """Whether so many wait that they should be fetched."""
        return self.waiting >= _AT_ONCE

    def add(self, losses: torch.Tensor) -> None:
        """Take the losses of a step, by name, as they lie on the device."""
        self._waiting.append(losses)

    def begin(self, loss: float) -> None:
        """Take a first loss that no step has led to; of the others there is none."""
        self.interval = [[loss, *(math.nan for _ in self.names[1:])]]

    def fetch(self, *, alone: bool = False) -> list[list[float]]:
        """Return the losses that waited; ``alone``: without asking other processes."""
        if not self._waiting:
            return []
        losses = torch.stack(self._waiting)
        if self._fabric.world_size > 1 and not alone:
            losses = self._fabric.all_reduce(losses, reduce_op="mean")  # type: ignore[assignment]
        rows: list[list[float]] = losses.tolist()
        self.interval += rows
        self._waiting = []
        return rows

    def recent(self) -> Mapping[str, float]:
        """Return the means over the last steps that were fetched."""
        return self._means(self.interval[-_AT_ONCE:])

    def close_interval(self) -> Mapping[str, float]:
        """Return the means since the last validation, and begin anew."""
        means = self._means(self.interval)
        self.interval = []
        return means

    def _means(self, rows: Sequence[Sequence[float]]) -> dict[str, float]:
        columns = zip(self.names, zip(*rows, strict=True), strict=True)
        return {name: sum(column) / len(column) for name, column in columns}


def first_that_diverged(rows: Sequence[Sequence[float]]) -> int | None:
    """Return the position of the first step with a loss that is no number."""
    wrong = (i for i, row in enumerate(rows) if not all(map(math.isfinite, row)))
    return next(wrong, None)
