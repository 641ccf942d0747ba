"""Which model of a training is the best, and keeping it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from napari_im2im.errors import ConfigError
from napari_im2im.events import NewBest
from napari_im2im.training.runs.packaging import (
    complete_best,
    known_field,
    measure_field,
    write_best,
)
from napari_im2im.training.validation import lower_is_better

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import torch

    from napari_im2im.inference.tiling.receptive_field import ReceptiveField
    from napari_im2im.training.preparation import Preparation
    from napari_im2im.training.runs.folder import RunFolder
    from napari_im2im.training.validation import Evaluation

_NEWEST = "step"
"""Whoever monitors it keeps the newest model."""


class BestModel:
    """The best model until now: its score, and its package in the run folder.

    Parameters
    ----------
    preparation
        What the training is made of; ``config.effort.monitor`` says what counts.
    run
        Where the package lies.

    Attributes
    ----------
    metrics
        What validation measured of it.
    waited
        Validations since then.
    """

    def __init__(self, preparation: Preparation, run: RunFolder) -> None:
        self._preparation, self._run = preparation, run
        self._monitor = preparation.config.effort.monitor
        self._score = math.inf
        self._field: ReceptiveField | None = None
        self.metrics: dict[str, float] = {}
        self.waited = 0

    def get_ready(self, network: torch.nn.Module, crop: np.ndarray) -> str:
        """Measure what packages say of all weights alike, once in a run.

        Parameters
        ----------
        network
            On any device.
        crop
            A validation input ``(c, [z,] y, x)``, in its own units.

        Returns
        -------
        str
            A sentence the first time, if tiles won't give what the whole image does.
        """
        if not self._run.writes or self._field is not None:
            return ""
        known = known_field(self._run.package)
        self._field = known or measure_field(self._preparation, network, crop)
        if self._field.exact:
            return ""
        return (
            f"This network {self._field.reason}: images that don't fit into memory "
            "will be predicted in tiles that are blended, which gives something else "
            "than the whole image would."
        )

    def score(self, evaluation: Evaluation, step: int) -> float:
        """Return what a validation counts, smaller if better.

        Raises
        ------
        ConfigError
            If it hasn't measured what counts.
        """
        values, name = _values(evaluation, step), self._monitor
        if name not in values:
            raise ConfigError(
                f"There is no metric {name!r} to choose the best model by: choose from "
                f"{', '.join(values)}."
            )
        return values[name] if lower_is_better(name) else -values[name]

    def improves(self, score: float) -> bool:
        """Take note of a score; return whether it is the best."""
        improved = score < self._score
        self.waited = 0 if improved else self.waited + 1
        self._score = min(score, self._score)
        return improved

    def keep(
        self,
        evaluation: Evaluation,
        step: int,
        network: torch.nn.Module,
        crop: np.ndarray,
    ) -> NewBest:
        """Write the package of a network.

        Parameters
        ----------
        evaluation
            What was measured of it.
        step
            Steps that it has learned.
        network
            On any device.
        crop
            A validation input ``(c, [z,] y, x)``, in its own units, to test with.
        """
        self.metrics = {"validation_loss": evaluation.loss, **evaluation.metrics}
        package = self._run.package
        if self._run.writes:
            assert self._field is not None, "get_ready comes first"
            known = step, self.metrics, self._field
            write_best(package, self._preparation, network, crop, *known)
        value = _values(evaluation, step)[self._monitor]
        return NewBest(step, self._monitor, value, package)

    def complete(self, crop: np.ndarray) -> None:
        """Measure the halo of the best model, if there is one.

        Parameters
        ----------
        crop
            As for `keep`.
        """
        if self._run.writes and self._run.package.exists():
            complete_best(self._run.package, self._preparation, crop)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs to go on."""
        return {
            "best": self._score,
            "best_metrics": self.metrics,
            "waited": self.waited,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._score, self.waited = state["best"], state["waited"]
        self.metrics = dict(state["best_metrics"])


def _values(evaluation: Evaluation, step: int) -> dict[str, float]:
    """Return what a model may be best by."""
    return {
        "validation_loss": evaluation.loss,
        **evaluation.metrics,
        _NEWEST: float(step),
    }
