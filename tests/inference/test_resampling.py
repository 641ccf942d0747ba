"""Pixels of another size are those of the image libraries, wherever they are read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_im2im.inference.resampling import Grid, Resampled, resampled

FLOAT = np.dtype(np.float32)


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape).astype(np.float32)


@pytest.mark.parametrize("size", [(40, 61), (17, 20), (80, 33), (31, 50)])
def test_the_same_as_an_antialiased_interpolation(size: tuple[int, int]) -> None:
    image = pixels(31, 50)
    grids = [Grid(n, old / n) for n, old in zip(size, image.shape, strict=True)]
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(image)[None, None], size, mode="bilinear", antialias=True
    )[0, 0].numpy()
    result = np.asarray(resampled(image, grids, FLOAT))
    assert result.shape == size
    np.testing.assert_allclose(result, expected, atol=1e-5)


@given(st.integers(0, 39), st.integers(1, 40), st.floats(0.2, 4), st.booleans())
def test_a_part_is_that_of_the_whole(
    start: int, length: int, step: float, nearest: bool
) -> None:
    image = pixels(30, 4)
    array = Resampled(image, (Grid(40, step, -1.3), Grid(4)), FLOAT, nearest)
    part = slice(start, start + length)
    np.testing.assert_array_equal(array[part], array[...][part])


def test_pixels_that_stay_are_not_touched() -> None:
    image = pixels(8, 9)
    assert resampled(image, [Grid(8), Grid(9)], FLOAT) is image
    array = resampled(image, [Grid(8), Grid(18, 0.5)], FLOAT)
    assert array[3].shape == (18,)
    assert array[..., 4].shape == (8,)


def test_labels_take_the_nearest_and_integers_are_rounded() -> None:
    labels = np.array([[0, 7, 7, 3]], np.uint16)
    grids = (Grid(1), Grid(8, 0.5))
    near = Resampled(labels, grids, labels.dtype, nearest=True)
    assert near[...].tolist() == [[0, 0, 7, 7, 7, 7, 3, 3]]
    mean = Resampled(labels, grids, labels.dtype)
    assert mean[...].tolist() == [[0, 2, 5, 7, 7, 6, 4, 3]]
