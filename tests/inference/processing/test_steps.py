"""Steps do what the specification says."""

from __future__ import annotations

import numpy as np
import pytest

from napari_im2im.errors import ModelError
from napari_im2im.inference.processing.steps import apply, bind, check_steps
from napari_im2im.models.tensors import Step

AXES = ("batch", "channel", "y", "x")


def run(array: np.ndarray, *steps: Step) -> np.ndarray:
    return apply([bind(step, AXES) for step in steps], array)


def test_binarize_by_channel() -> None:
    array = np.full((1, 2, 3, 3), 0.5, np.float32)
    step = Step("binarize", {"threshold": (0.4, 0.6), "axis": "channel"})
    assert run(array, step).mean(axis=(0, 2, 3)).tolist() == [1.0, 0.0]


def test_binarize_is_above_not_equal() -> None:
    array = np.array([0.5, 0.51], np.float32).reshape(1, 1, 1, 2)
    assert run(array, Step("binarize", {"threshold": 0.5})).ravel().tolist() == [0, 1]


def test_clip_one_side() -> None:
    array = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    result = run(array, Step("clip", {"min": 1.0, "max": None}))
    assert result.ravel().tolist() == [1, 1, 2, 3]


def test_fixed_normalisation_by_channel() -> None:
    array = np.array([[10, 10], [20, 20]], np.uint16).reshape(1, 2, 1, 2)
    kwargs = {"mean": (10.0, 10.0), "std": (1.0, 5.0), "axis": "channel"}
    result = run(array, Step("fixed_zero_mean_unit_variance", kwargs))
    np.testing.assert_allclose(result[0, :, 0, 0], [0, 2])
    assert result.dtype == np.float32


def test_linear_scaling_of_float64_keeps_its_precision() -> None:
    array = np.full((1, 1, 1, 1), 1e9 + 1, np.float64)
    step = Step("scale_linear", {"gain": 1.0, "offset": -1e9})
    assert run(array, step).item() == 1.0


def test_an_integer_type_saturates() -> None:
    array = np.array([-5, 70000, 3.7], np.float32).reshape(1, 1, 1, 3)
    result = run(array, Step("ensure_dtype", {"dtype": "uint16"}))
    assert result.ravel().tolist() == [0, 65535, 3]
    big = np.array([1e20, -1e20], np.float32).reshape(1, 1, 1, 2)
    limits = np.iinfo(np.int32)
    result = run(big, Step("ensure_dtype", {"dtype": "int32"}))
    assert limits.max - 200 < result.ravel()[0] <= limits.max
    narrow = np.array([300], np.int32).reshape(1, 1, 1, 1)
    assert run(narrow, Step("ensure_dtype", {"dtype": "uint8"})).item() == 255


def test_softmax_sums_to_one_over_its_axis() -> None:
    array = np.random.default_rng(0).normal(size=(1, 3, 4, 4)).astype(np.float32)
    result = run(array, Step("softmax", {"axis": "channel"}))
    np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-6)


def test_sigmoid_of_large_numbers() -> None:
    array = np.array([-1e4, 0, 1e4], np.float32).reshape(1, 1, 1, 3)
    assert run(array, Step("sigmoid")).ravel().tolist() == [0, 0.5, 1]


def test_an_unknown_step_is_named() -> None:
    with pytest.raises(ModelError, match="warp"):
        check_steps([Step("warp")], "the output mask")
