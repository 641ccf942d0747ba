"""Weights of neighbouring tiles add up to one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from napari_im2im.inference.tiling.blending import ramp, weighted, widened
from napari_im2im.inference.tiling.tiles import AxisGeometry
from napari_im2im.models.tensors import SteppedSize


@pytest.mark.parametrize("scale", [Fraction(1), Fraction(2)])
@pytest.mark.parametrize("region", [slice(0, 200), slice(13, 170)])
def test_weights_add_up_to_one(scale: Fraction, region: slice) -> None:
    geometry = AxisGeometry(200, SteppedSize(8, 8), 8, 16, 16)
    total = np.zeros(int(200 * scale))
    for tile in geometry.tiles(48, region):
        wide = widened(tile, 16, region)
        pixels = slice(int(wide.core_start * scale), int(wide.core_stop * scale))
        total[pixels] += ramp(tile, 16, region, pixels, scale)
    inside = slice(int(region.start * scale), int(region.stop * scale))
    np.testing.assert_allclose(total[inside], 1, atol=1e-6)


def test_weights_of_several_axes_multiply() -> None:
    rows, columns = np.array([0.5, 1.0]), np.array([1.0, 0.5, 0.25])
    result = weighted(np.ones((1, 2, 3)), [(1, rows), (2, columns)])
    np.testing.assert_array_equal(result[0], np.outer(rows, columns))
