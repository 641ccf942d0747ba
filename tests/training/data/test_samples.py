from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_im2im.errors import DataError
from napari_im2im.images.image import Image
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.examples import collect, open_examples
from napari_im2im.training.data.loading import load_samples
from napari_im2im.training.data.planning import plan_layout


def load(pairs, **config):
    config = TrainConfig(**config)
    examples = collect(pairs, config).examples
    layout = plan_layout(examples, config)
    reading = load_samples(examples, layout, config)
    while True:
        try:
            next(reading)
        except StopIteration as end:
            return layout, end.value


def image(shape, axes, name="image", **kwargs):
    values = np.random.default_rng(0).integers(0, 1000, shape).astype(np.uint16)
    return Image(values, tuple(axes), name=name, **kwargs)


def test_time_points_become_samples(make_pair):
    layout, ((*samples,),) = load([make_pair((5, 32, 40), "tyx")])
    assert layout.spatial_axes == ("y", "x")
    assert len(samples) == 5
    assert samples[0].input.shape == (1, 32, 40)


def test_pixels_keep_their_small_dtype(make_pair):
    _, ((sample,),) = load([make_pair()])
    assert sample.input.dtype == np.uint16


def test_planes_of_a_2d_network_become_samples(make_pair):
    source, target = make_pair((20, 32, 32), "zyx")
    layout, ((*samples,),) = load([(source, target)], spatial_axes="yx")
    assert layout.spatial_axes == ("y", "x")
    assert len(samples) == 20
    np.testing.assert_array_equal(samples[7].target[0], source_plane(target, 7))


def source_plane(picture, z):
    return np.asarray(picture.data)[z]


def test_stacks_get_a_3d_network(make_pair):
    layout, ((sample,),) = load([make_pair((16, 32, 32), "zyx")])
    assert layout.spatial_axes == ("z", "y", "x")
    assert sample.input.shape == (1, 16, 32, 32)


def test_planes_become_channels_where_the_target_has_none():
    source = image((4, 32, 32), "zyx")
    target = image((3, 32, 32), "cyx", channel_names=("DAPI", "MAP2", "NFH"))
    layout, ((sample,),) = load([(source, target)])
    assert layout.input_channels == ("z 0", "z 1", "z 2", "z 3")
    assert layout.target_channels == ("DAPI", "MAP2", "NFH")
    np.testing.assert_array_equal(sample.input, source.data)


def test_channels_are_picked_and_keep_their_names():
    source = image((3, 32, 32), "cyx", channel_names=("a", "b", "c"))
    target = image((32, 32), "yx")
    layout, ((sample,),) = load([(source, target)], data={"input_channels": [2, 0]})
    assert layout.input_channels == ("c", "a")
    np.testing.assert_array_equal(sample.input, np.asarray(source.data)[[2, 0]])


def test_pixel_sizes_are_kept(make_pair):
    layout, _ = load([make_pair(scale={"y": 0.3, "x": 0.3})])
    assert layout.scale == {"y": 0.3, "x": 0.3}
    assert layout.units["x"] == "micrometer"


def altered(picture, value, name="odd"):
    pixels = np.asarray(picture.data).astype(np.float32)
    pixels[3, 4] = value
    return replace(picture, data=pixels, name=name)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_refused(make_pair, value):
    source, target = make_pair()
    with pytest.raises(DataError, match=r"odd has 1 pixels that are NaN or infinite"):
        load([(altered(source, value), target)])


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(DataError, match="no images to learn from"):
        plan_layout([], TrainConfig())


def test_no_files_are_refused():
    with pytest.raises(DataError, match=r"data\.inputs"):
        open_examples(TrainConfig())


def test_different_sizes_are_refused(make_pair):
    source, _ = make_pair((64, 64))
    _, target = make_pair((64, 60))
    with pytest.raises(DataError, match=r"64 × 64 .* 64 × 60 \(y × x\): crop"):
        load([(source, target)])


def test_an_image_as_its_own_target_is_refused(make_pair):
    source, _ = make_pair()
    with pytest.raises(DataError, match="both input and target"):
        load([(source, source)])


def test_a_copy_as_its_own_target_is_refused(make_pair):
    source, _ = make_pair()
    copied = replace(source, data=np.asarray(source.data).copy(), name="copy")
    with pytest.raises(DataError, match="a and its target copy are the same image"):
        load([(source, copied)])


def test_an_empty_image_among_others_is_fine(make_pair):
    source, target = make_pair(seed=1)
    dark = replace(target, data=np.zeros(target.shape, np.uint16))
    _, loaded = load([make_pair(), (source, dark)])
    assert len(loaded) == 2


def test_a_mask_is_refused(make_pair):
    source, target = make_pair()
    mask = replace(target, data=np.asarray(target.data) > 4000, name="mask")
    with pytest.raises(DataError, match="mask is a mask"):
        load([(source, mask)])


def test_other_channels_in_another_image_are_refused(make_pair):
    source = image((2, 64, 64), "cyx", name="two")
    _, target = make_pair()
    with pytest.raises(DataError, match="two has 2 channels, but a has 1"):
        load([make_pair(), (source, target)])


def test_a_channel_that_is_not_there_is_refused(make_pair):
    with pytest.raises(DataError, match="no channel 3"):
        load([make_pair()], data={"input_channels": [3]})


def test_a_3d_network_needs_stacks(make_pair):
    with pytest.raises(DataError, match="a has no z axis"):
        load([make_pair()], spatial_axes="zyx")
