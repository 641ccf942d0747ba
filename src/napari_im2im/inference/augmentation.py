"""Test-time augmentation: an average over flips and quarter turns.

References
----------
Wang et al.: Aleatoric uncertainty estimation with test-time augmentation for medical
image segmentation with convolutional neural networks. Neurocomputing 338 (2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Orientation:
    """A flip of y, a flip of x, and an exchange of both, in this order."""

    flip_y: bool = False
    flip_x: bool = False
    exchange: bool = False

    def apply(self, array: np.ndarray, axes: Sequence[str]) -> np.ndarray:
        """Return the array in this orientation; one without y and x stays."""
        if "y" not in axes or "x" not in axes:
            return array
        y, x = axes.index("y"), axes.index("x")
        array = self._flipped(array, y, x)
        array = np.swapaxes(array, y, x) if self.exchange else array
        return np.ascontiguousarray(array)

    def undo(self, array: np.ndarray, axes: Sequence[str]) -> np.ndarray:
        """Return what `apply` has oriented as it was."""
        if "y" not in axes or "x" not in axes:
            return array
        y, x = axes.index("y"), axes.index("x")
        array = np.swapaxes(array, y, x) if self.exchange else array
        return self._flipped(array, y, x)

    def _flipped(self, array: np.ndarray, y: int, x: int) -> np.ndarray:
        array = np.flip(array, y) if self.flip_y else array
        return np.flip(array, x) if self.flip_x else array


def orientations(exchange: bool) -> list[Orientation]:
    """Return the 8 orientations of a square, or the 4 that keep y and x apart."""
    options = (False, True)
    return [Orientation(*o) for o in product(options, options, options[: 1 + exchange])]


def mean_and_std(results: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of arrays, as float32."""
    stack = np.stack(results).astype(np.float64)
    return stack.mean(0).astype(np.float32), stack.std(0).astype(np.float32)
