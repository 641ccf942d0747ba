"""Comparing what a model gives with what it should give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.models.package import ModelPackage


@dataclass(frozen=True)
class Tolerance:
    """By how much a result may differ from the test tensor.

    An element is mismatched if it differs by more than ``absolute + relative *
    |expected|``; ``per_million`` of the elements may be.
    """

    absolute: float = 1e-3
    relative: float = 1e-3
    per_million: float = 100.0


@dataclass(frozen=True)
class Comparison:
    """An output of a test.

    ``difference`` is the largest one, ``allowed`` the largest that would have been
    allowed there. Arrays have the axes of the output, batch included.
    """

    output: str
    expected: np.ndarray
    actual: np.ndarray
    difference: float
    allowed: float
    passed: bool

    @property
    def sentence(self) -> str:
        """What came out, for people."""
        if self.expected.shape != self.actual.shape:
            return (
                f"{self.output} has the shape {self.actual.shape} instead of "
                f"{self.expected.shape}."
            )
        return (
            f"the largest difference is {self.difference:.2g}, "
            f"{self.allowed:.2g} is allowed."
        )


def compare(
    output: str, expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance
) -> Comparison:
    """Compare an output with what it should be.

    Parameters
    ----------
    output
        Name of the output.
    expected, actual
        Arrays; different shapes are a failure, not an error.
    tolerance
        What is allowed.
    """
    if expected.shape != actual.shape:
        return Comparison(output, expected, actual, np.inf, 0.0, False)
    with np.errstate(invalid="ignore"):
        difference = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    # Where both are the same infinity or NaN there is nothing to compare.
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    difference = np.where(same, 0.0, np.nan_to_num(difference, nan=np.inf))
    allowed = tolerance.absolute + tolerance.relative * np.abs(
        np.nan_to_num(expected.astype(np.float64), posinf=0, neginf=0)
    )
    mismatched = int((difference > allowed).sum())
    passed = mismatched <= tolerance.per_million * 1e-6 * difference.size
    # The element that is worst in terms of what is allowed there.
    worst = int((difference / allowed).argmax()) if difference.size else 0
    return Comparison(
        output,
        expected,
        actual,
        float(difference.flat[worst]) if difference.size else 0.0,
        float(allowed.flat[worst]) if difference.size else 0.0,
        passed,
    )


def tolerance_of(package: ModelPackage, output: str, weights_format: str) -> Tolerance:
    """Return what a package says about how well its results can be reproduced."""
    config = package.description.config.bioimageio
    for entry in getattr(config, "reproducibility_tolerance", ()) or ():
        outputs = [str(name) for name in entry.output_ids]
        if (not outputs or output in outputs) and (
            not entry.weights_formats or weights_format in entry.weights_formats
        ):
            return Tolerance(
                float(entry.absolute_tolerance),
                float(entry.relative_tolerance),
                float(entry.mismatched_elements_per_million),
            )
    return Tolerance()


def worst_of(comparisons: Sequence[Comparison]) -> Comparison:
    """Return the comparison that is farthest from what is allowed."""
    return max(
        comparisons,
        key=lambda c: (not c.passed, c.difference / max(c.allowed, 1e-30)),
    )
