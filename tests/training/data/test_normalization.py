from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_im2im.images.image import Image
from napari_im2im.inference.processing.statistics import WholeTensor, bind_steps
from napari_im2im.inference.processing.steps import apply as apply_steps
from napari_im2im.inference.processing.steps import bind
from napari_im2im.inference.sources import Source
from napari_im2im.training.data.normalization import (
    ChannelScaling,
    ImageScaling,
    differing,
    learn_scaling,
)


def arrays(dtype=np.uint16):
    random = np.random.default_rng(0)
    return [
        (random.random((2, 20, n)) * [[[100]], [[30000]]] + 50).astype(dtype)
        for n in (30, 50)
    ]


def apply(scaling, array):
    offset, scale = (np.reshape(v, (-1, 1, 1)) for v in (scaling.offset, scaling.scale))
    return (array - offset) / scale


def test_mean_std_is_that_of_all_images_together():
    scaling = learn_scaling(arrays(), "mean_std")
    normal = np.concatenate([apply(scaling, a) for a in arrays()], axis=2)
    np.testing.assert_allclose(normal.mean(axis=(1, 2)), 0, atol=1e-9)
    np.testing.assert_allclose(normal.std(axis=(1, 2)), 1, atol=1e-9)


def test_percentiles_go_to_0_and_1():
    scaling = learn_scaling(arrays(), "percentile", (1, 99))
    normal = np.concatenate([apply(scaling, a) for a in arrays()], axis=2)
    np.testing.assert_allclose(np.percentile(normal[0], [1, 99]), [0, 1], atol=1e-2)


@given(st.floats(1, 1e6), st.floats(0.01, 100))
def test_a_large_offset_keeps_its_contrast(offset, spread):
    array = np.array([[[offset - spread, offset + spread]]])
    scaling = learn_scaling([array], "mean_std")
    np.testing.assert_allclose(scaling.scale, [spread], rtol=1e-6)


def test_a_channel_without_contrast_is_only_shifted():
    scaling = learn_scaling([np.full((1, 4, 4), 9)], "mean_std")
    assert scaling.offset == (9.0,)
    assert scaling.scale == (1.0,)


@pytest.mark.parametrize("method", ["mean_std", "percentile", "none"])
def test_the_steps_of_a_model_undo_each_other(method):
    scaling = learn_scaling(arrays(), method)
    axes = ("channel", "y", "x")
    image = arrays(np.float32)[0]
    forth, back = (
        [bind(step, axes) for step in steps]
        for steps in (scaling.preprocessing(), scaling.postprocessing())
    )
    normal = apply_steps(forth, image)
    np.testing.assert_allclose(normal, apply(scaling, image), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(apply_steps(back, normal), image, rtol=1e-5, atol=0.01)


@pytest.mark.parametrize("axes", [("y", "x"), ("channel", "y", "x")])
@pytest.mark.parametrize("method", ["mean_std", "percentile"])
def test_an_image_is_measured_as_the_step_of_the_model_does(method, axes):
    scaling = ImageScaling(axes, method, (1, 99))
    image = arrays(np.float32)[0]
    (step,) = scaling.preprocessing()
    source = Source(Image(image, ("channel", "y", "x")), None, ("channel", "y", "x"))
    steps = bind_steps([step], WholeTensor(source), "the input")
    measured = scaling.of_image([image])
    assert len(measured.offset) == 2
    np.testing.assert_allclose(
        apply_steps(steps, image), apply(measured, image), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize(
    ("offset", "scale", "expected"), [(0, 1, False), (0, 3, True), (2, 1, True)]
)
def test_images_differ_by_contrast_or_brightness(offset, scale, expected):
    scalings = [ChannelScaling((10.0,), (1.0,))] * 5
    scalings += [ChannelScaling((10.0 + offset,), (1.0 * scale,))] * 5
    assert differing(scalings)[0] is expected
