"""Orientations are undone exactly."""

from __future__ import annotations

import numpy as np
import pytest

from napari_im2im.inference.augmentation import mean_and_std, orientations

AXES = ("batch", "channel", "y", "x")


@pytest.mark.parametrize("exchange", [False, True])
def test_every_orientation_is_different_and_undone(exchange: bool) -> None:
    array = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    turned = [o.apply(array, AXES) for o in orientations(exchange)]
    assert len({(a.shape, a.tobytes()) for a in turned}) == (8 if exchange else 4)
    for orientation, result in zip(orientations(exchange), turned, strict=True):
        np.testing.assert_array_equal(orientation.undo(result, AXES), array)


def test_mean_and_spread() -> None:
    mean, std = mean_and_std([np.full(3, 1.0), np.full(3, 3.0)])
    assert mean.tolist() == [2, 2, 2]
    assert std.tolist() == [1, 1, 1]
