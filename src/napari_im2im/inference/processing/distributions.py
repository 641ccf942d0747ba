"""The distribution of pixel values: mean, standard deviation, percentiles.

`ValueCounts` knows every value and is exact. `Sketch` sees blocks of any image once
and needs the same memory for all of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Method = Literal["linear", "inverted_cdf"]
"""How a percentile between two values is chosen, as `numpy.percentile` names it."""

_BINS = 1 << 16


class Distribution(Protocol):
    """What steps ask of the values of an image."""

    @property
    def mean(self) -> float:
        """Arithmetic mean."""
        ...

    @property
    def std(self) -> float:
        """Standard deviation of the population."""
        ...

    def percentile(self, percent: float, method: Method = "linear") -> float:
        """Return the value below which ``percent`` (0 to 100) of the pixels lie."""
        ...


class ValueCounts:
    """An exact distribution: how often each value occurs.

    Parameters
    ----------
    values
        Values in any order, repetitions allowed.
    counts
        How often each occurs.
    """

    def __init__(self, values: ArrayLike, counts: ArrayLike) -> None:
        values = np.asarray(values, np.float64).ravel()
        counts = np.asarray(counts, np.int64).ravel()
        seen = counts > 0
        order = np.argsort(values[seen], kind="stable")
        self._values = values[seen][order]
        self._cumulative = np.cumsum(counts[seen][order])
        self._counts = counts[seen][order]
        self.count = int(self._cumulative[-1])

    @property
    def mean(self) -> float:
        """Arithmetic mean."""
        return float(np.dot(self._values, self._counts / self.count))

    @property
    def std(self) -> float:
        """Standard deviation of the population."""
        deviations = (self._values - self.mean) ** 2
        return math.sqrt(np.dot(deviations, self._counts / self.count))

    def percentile(self, percent: float, method: Method = "linear") -> float:
        """Return a percentile, the same as `numpy.percentile`."""
        if method == "inverted_cdf":
            return self._at(math.ceil(percent / 100 * self.count) - 1)
        position = percent / 100 * (self.count - 1)
        low = math.floor(position)
        lower = self._at(low)
        return lower + (self._at(low + 1) - lower) * (position - low)

    def _at(self, rank: int) -> float:
        rank = min(max(rank, 0), self.count - 1)
        index = np.searchsorted(self._cumulative, rank, side="right")
        return float(self._values[index])


class Sketch:
    """A distribution measured block by block, in one pass and constant memory.

    The mean and the standard deviation are those of Chan et al. (exact but for
    rounding); percentiles come from a histogram whose bins double in width whenever
    a value falls outside, so that their error is below 1/32768 of the range.

    References
    ----------
    Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing
    sample variances. Technical report STAN-CS-79-773, Stanford (1979).
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self.minimum = math.inf
        self.maximum = -math.inf
        self._squares = 0.0
        self._exponent: int | None = None
        self._first = 0
        self._histogram = np.zeros(1, np.int64)

    @property
    def std(self) -> float:
        """Standard deviation of the population."""
        return math.sqrt(self._squares / self.count)

    def add(self, block: np.ndarray) -> None:
        """Take the values of a block into account; it must be finite."""
        values = np.asarray(block, np.float64).ravel()
        if not values.size:
            return
        mean = float(values.mean())
        squares = float(np.square(values - mean).sum())
        total = self.count + values.size
        shift = mean - self.mean
        self._squares += squares + shift**2 * self.count * values.size / total
        self.mean += shift * values.size / total
        self.count = total
        self.minimum = min(self.minimum, float(values.min()))
        self.maximum = max(self.maximum, float(values.max()))
        self._count_bins(values)

    def _count_bins(self, values: np.ndarray) -> None:
        if self._exponent is None:
            # Bins as fine as numbers of this size, or as the range allows.
            largest = max(abs(self.minimum), abs(self.maximum))
            finest = math.frexp(largest)[1] - 50
            spread = self.maximum - self.minimum
            coarse = math.frexp(spread)[1] - 16 if spread else finest
            self._exponent = max(coarse, finest, -1000)
            self._first = math.floor(math.ldexp(self.minimum, -self._exponent))
        exponent = self._exponent
        while self._last_bin(exponent) - self._first_bin(exponent) >= _BINS:
            exponent += 1
        self._coarsen(exponent)
        bins = np.floor(np.ldexp(values, -exponent)).astype(np.int64) - self._first
        self._histogram += np.bincount(bins, minlength=len(self._histogram))

    def _first_bin(self, exponent: int) -> int:
        return math.floor(math.ldexp(self.minimum, -exponent))

    def _last_bin(self, exponent: int) -> int:
        return math.floor(math.ldexp(self.maximum, -exponent))

    def _coarsen(self, exponent: int) -> None:
        """Bring the histogram to bins of another width, over the whole range."""
        assert self._exponent is not None
        first = self._first_bin(exponent)
        length = self._last_bin(exponent) - first + 1
        histogram = np.zeros(length, np.int64)
        (used,) = self._histogram.nonzero()
        bins = (used + self._first) >> (exponent - self._exponent)
        np.add.at(histogram, bins - first, self._histogram[used])
        self._histogram, self._first, self._exponent = histogram, first, exponent

    def percentile(self, percent: float, method: Method = "linear") -> float:
        """Return a percentile within 1/32768 of the range of the values."""
        if percent <= 0:
            return self.minimum
        if percent >= 100:
            return self.maximum
        if method == "inverted_cdf":
            return self._at(math.ceil(percent / 100 * self.count) - 1)
        # Between two values, as numpy does: in a tail they lie far apart.
        position = percent / 100 * (self.count - 1)
        low = math.floor(position)
        lower, upper = self._at(low), self._at(low + 1)
        return lower + (upper - lower) * (position - low)

    def _at(self, rank: int) -> float:
        """Return about the value of that rank, counted from 0."""
        assert self._exponent is not None
        rank = min(max(rank, 0), self.count - 1)
        cumulative = np.cumsum(self._histogram)
        index = int(np.searchsorted(cumulative, rank, side="right"))
        below = cumulative[index] - self._histogram[index]
        inside = (rank - below + 0.5) / self._histogram[index]
        value = math.ldexp(self._first + index + inside, self._exponent)
        return min(max(value, self.minimum), self.maximum)
