"""Distributions agree with numpy on the whole array."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_im2im.inference.processing.distributions import Sketch, ValueCounts

PERCENTS = (0.0, 0.5, 2.0, 25.0, 50.0, 99.8, 100.0)


@given(hnp.arrays(np.int16, st.integers(1, 60)))
def test_counts_are_exact(values: np.ndarray) -> None:
    unique, counts = np.unique(values, return_counts=True)
    found = ValueCounts(unique, counts)
    wide = values.astype(np.float64)
    assert found.mean == pytest.approx(wide.mean(), abs=1e-6)
    assert found.std == pytest.approx(wide.std(), abs=1e-6)
    for percent in PERCENTS:
        expected = np.percentile(wide, percent)
        assert found.percentile(percent) == pytest.approx(expected, abs=1e-6)
        lower = np.percentile(wide, percent, method="inverted_cdf")
        assert found.percentile(percent, "inverted_cdf") == lower


@settings(max_examples=60)
@given(
    st.lists(
        hnp.arrays(
            np.float32,
            st.integers(1, 40),
            elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_sketch_of_any_blocks(blocks: list[np.ndarray]) -> None:
    sketch = Sketch()
    for block in blocks:
        sketch.add(block)
    values = np.concatenate(blocks).astype(np.float64)
    scale = np.abs(values).max() + 1e-30
    assert sketch.mean == pytest.approx(values.mean(), abs=1e-9 * scale)
    assert sketch.std == pytest.approx(values.std(), abs=1e-6 * scale)
    assert sketch.percentile(0) == values.min()
    assert sketch.percentile(100) == values.max()
    for percent in PERCENTS:
        # Between two ranks numpy interpolates, and so may any value be meant.
        low = np.percentile(values, percent, method="lower")
        high = np.percentile(values, percent, method="higher")
        below = np.percentile(values, max(0, percent - 100 / len(values)))
        slack = np.ptp(values) / 32768 + 1e-12 * scale
        assert min(low, below) - slack <= sketch.percentile(percent) <= high + slack


@pytest.mark.parametrize("offset", [0.0, 1e4, -3e5])
def test_sketch_is_close_for_an_image(offset: float) -> None:
    rng = np.random.default_rng(0)
    values = (rng.gamma(2.0, 100.0, 200_000) + offset).astype(np.float32)
    values[-1] += 3000
    sketch = Sketch()
    for block in np.array_split(values, 7):
        sketch.add(block)
    for percent in PERCENTS:
        expected = np.percentile(values.astype(np.float64), percent)
        tolerance = 1e-3 * float(np.ptp(values))
        assert sketch.percentile(percent) == pytest.approx(expected, abs=tolerance)


def test_a_constant_image_has_no_spread() -> None:
    sketch = Sketch()
    sketch.add(np.full(100, 1234.5, np.float32))
    assert sketch.std == 0
    assert sketch.percentile(50) == 1234.5
