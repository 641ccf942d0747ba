"""How well objects are found: average precision, F1, splits and merges.

Pure functions of label images, used by training and evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from skimage.metrics import contingency_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Intersections over union from which an object counts as found."""


@dataclass(frozen=True)
class ObjectScores:
    """How the objects of one image were found.

    Parameters
    ----------
    truth, predicted
        How many objects there are, and how many were predicted.
    matched
        For each threshold how many predictions match an object, one to one.
    split
        Objects in which most of two or more predictions lie (over-segmentation).
    merged
        Predictions that hold most of two or more objects (under-segmentation).
    """

    truth: int
    predicted: int
    matched: Mapping[float, int]
    split: int
    merged: int

    def average_precision(self, threshold: float) -> float:
        """Return ``TP / (TP + FP + FN)``; 1 where there is nothing to find.

        References
        ----------
        Caicedo et al. 2019, https://doi.org/10.1038/s41592-019-0612-7
        """
        hits = self.matched[threshold]
        return _ratio(hits, self.truth + self.predicted - hits)

    def f1(self, threshold: float) -> float:
        """Return ``2 TP / (2 TP + FP + FN)``; 1 where there is nothing to find."""
        return _ratio(2 * self.matched[threshold], self.truth + self.predicted)

    @property
    def mean_average_precision(self) -> float:
        """Mean of the average precision over the thresholds."""
        values = [self.average_precision(threshold) for threshold in self.matched]
        return float(np.mean(values))

    def values(self) -> dict[str, float]:
        """Return all of it by name: ``"ap 0.5"``, ``"f1 0.5"``, …, ``"merged"``."""
        precision = {f"ap {t:g}": self.average_precision(t) for t in self.matched}
        f1 = {f"f1 {t:g}": self.f1(t) for t in self.matched}
        counts = {
            "objects": self.truth,
            "predicted": self.predicted,
            "split": self.split,
            "merged": self.merged,
        }
        return {"ap": self.mean_average_precision, **precision, **f1, **counts}


def score_objects(
    truth: np.ndarray,
    predicted: np.ndarray,
    thresholds: Sequence[float] = THRESHOLDS,
    counted: np.ndarray | None = None,
) -> ObjectScores:
    """Compare two label images of the same shape.

    Parameters
    ----------
    truth, predicted
        Labels ``([z,] y, x)``, whole numbers, 0 for the background.
    thresholds
        Intersections over union from which a prediction matches an object, at
        least 0.5.
    counted
        Mask of the pixels that count; predictions that lie mostly outside of it
        are left out.

    Returns
    -------
    ObjectScores
        Matches are as many as there can be one to one.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"shapes differ: {truth.shape} and {predicted.shape}")
    if counted is not None:
        predicted = np.where(_mostly_in(predicted, counted), predicted, 0)[counted > 0]
        truth = truth[counted > 0]
    table = _overlaps(truth, predicted)
    # Row 0 and column 0 are the background.
    objects, guesses = table.sum(axis=1)[1:], table.sum(axis=0)[1:]
    pairs = table[1:, 1:].tocoo()
    row, column = pairs.row, pairs.col
    common = pairs.data
    union = objects[row] + guesses[column] - common
    matched = {
        threshold: _matches(row, column, common >= threshold * union, pairs.shape)
        for threshold in thresholds
    }
    holds = np.bincount(row[2 * common > guesses[column]], minlength=1)
    covers = np.bincount(column[2 * common > objects[row]], minlength=1)
    return ObjectScores(
        truth=len(objects),
        predicted=len(guesses),
        matched=matched,
        split=int((holds > 1).sum()),
        merged=int((covers > 1).sum()),
    )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _mostly_in(labels: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return the pixels of objects that lie at least half in a mask."""
    names, inverse = np.unique(labels, return_inverse=True)
    inside = np.bincount(inverse.ravel(), counted.ravel() > 0, minlength=len(names))
    kept = 2 * inside >= np.bincount(inverse.ravel(), minlength=len(names))
    return kept[inverse].reshape(labels.shape)


def _overlaps(truth: np.ndarray, predicted: np.ndarray) -> sparse.csr_array:
    """Return the common pixels of each object and each prediction, background first."""
    # The table has a row for each number up to the largest, so they are made dense.
    dense = [
        np.unique(np.append(labels.ravel(), 0), return_inverse=True)
        for labels in (truth, predicted)
    ]
    table = contingency_table(dense[0][1], dense[1][1], sparse_type="array")
    # The zero that was added is none of the pixels; the table counts in floats.
    table = table.astype(np.int64)
    table[0, 0] -= 1
    return sparse.csr_array(table)


def _matches(
    row: np.ndarray, column: np.ndarray, good: np.ndarray, shape: tuple[int, int]
) -> int:
    """Return how many pairs there can be, each object in one of them."""
    allowed = sparse.csr_array((good[good], (row[good], column[good])), shape)
    if not allowed.nnz:
        return 0
    partner = sparse.csgraph.maximum_bipartite_matching(allowed, perm_type="column")
    return int((partner >= 0).sum())
