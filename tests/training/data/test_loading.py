from __future__ import annotations

import numpy as np
import pytest
import tifffile
import zarr

from napari_im2im.errors import DataError, ImageError
from napari_im2im.events import Progress
from napari_im2im.images.image import Image
from napari_im2im.images.reading import open_image
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data import decoding
from napari_im2im.training.data.examples import collect
from napari_im2im.training.data.loading import load_samples
from napari_im2im.training.data.planning import plan_layout


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_IM2IM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def on_disk(monkeypatch):
    """Let every set count as too large for memory."""
    monkeypatch.setattr(decoding, "IN_MEMORY_BYTES", 0)


def load(pairs, **config):
    """Return the samples of all images, and what was told meanwhile."""
    config = TrainConfig(**config)
    examples = collect(pairs, config).examples
    reading = load_samples(examples, plan_layout(examples, config), config)
    told = []
    while True:
        try:
            told.append(next(reading))
        except StopIteration as end:
            return end.value, told


def written(folder, name, pixels, **kwargs):
    tifffile.imwrite(folder / name, pixels, **kwargs)
    return open_image(folder / name)


@pytest.fixture
def pair(tmp_path):
    random = np.random.default_rng(0)
    return tuple(
        written(tmp_path, f"{name}.tif", random.integers(0, 999, (64, 48), np.uint16))
        for name in ("phase", "dna")
    )


def decoded(home):
    return sorted((home / "cache" / "decoded").glob("*"))


def test_small_sets_are_read_into_memory(pair, home):
    ((sample,),), told = load([pair])
    assert not isinstance(sample.input, np.memmap)
    assert not decoded(home)
    assert told == [Progress(i, 2, "Reading images") for i in (1, 2)]


def test_large_sets_are_mapped_from_disk(pair, home, on_disk):
    ((sample,),), _ = load([pair])
    assert isinstance(sample.input, np.memmap)
    assert len(decoded(home)) == 2
    np.testing.assert_array_equal(sample.input[0], pair[0].read())
    np.testing.assert_array_equal(sample.target[0], pair[1].read())


def test_what_was_decoded_is_found_again(pair, home, on_disk, monkeypatch):
    load([pair])
    before = decoded(home)
    monkeypatch.setattr(Image, "read", lambda *_: pytest.fail("decoded again"))
    load([pair])
    assert decoded(home) == before


def test_a_changed_file_is_decoded_again(pair, tmp_path, on_disk):
    load([pair])
    changed = written(tmp_path, "dna.tif", np.eye(64, 48, dtype=np.uint16))
    ((sample,),), _ = load([(pair[0], changed)])
    np.testing.assert_array_equal(sample.target[0], np.eye(64, 48))


def test_the_cache_may_be_deleted_at_any_time(pair, home, on_disk):
    load([pair])
    for path in decoded(home):
        path.unlink()
    ((sample,),), _ = load([pair])
    np.testing.assert_array_equal(sample.input[0], pair[0].read())


@pytest.mark.parametrize("shape", [(3, 5, 20, 24), (3, 20, 24)])
@pytest.mark.parametrize("spatial_axes", ["yx", "zyx"])
def test_memory_and_disk_hold_the_same(tmp_path, monkeypatch, shape, spatial_axes):
    axes = "tzyx"[-len(shape) :]
    random = np.random.default_rng(1)
    pair = []
    for name in ("a", "b"):
        store = zarr.create_array(
            tmp_path / f"{name}.zarr",
            data=random.integers(0, 9, shape),
            chunks=(1, 2, 8, 8)[-len(shape) :],
        )
        pair.append(Image(store, tuple(axes), name=name))
    in_memory, _ = load([tuple(pair)], spatial_axes=spatial_axes)
    monkeypatch.setattr(decoding, "IN_MEMORY_BYTES", 0)
    on_disk, _ = load([tuple(pair)], spatial_axes=spatial_axes)
    for one, other in zip(in_memory[0], on_disk[0], strict=True):
        assert one.input.dtype == other.input.dtype == np.int32
        np.testing.assert_array_equal(one.input, other.input)
        np.testing.assert_array_equal(one.target, other.target)


def test_reading_can_be_stopped_and_leaves_nothing_half(pair, home, on_disk):
    config = TrainConfig()
    examples = collect([pair], config).examples
    reading = load_samples(examples, plan_layout(examples, config), config)
    assert next(reading).done == 1
    reading.close()
    assert {path.suffix for path in decoded(home)} == {".npy"}


def test_a_cache_that_is_too_small_is_refused(pair, on_disk):
    with pytest.raises(DataError, match=r"data\.cache_gigabytes"):
        load([pair], data={"cache_gigabytes": 1e-6})


def test_numbers_that_are_none_are_refused_and_not_kept(tmp_path, pair, home, on_disk):
    pixels = np.ones((64, 48), np.float32)
    pixels[3, 4] = np.nan
    with pytest.raises(DataError, match="The target bad has 1 pixels that are NaN"):
        load([(pair[0], written(tmp_path, "bad.tif", pixels))])
    assert not [p for p in decoded(home) if ".part" in p.name]


def test_a_file_that_cannot_be_decoded_is_named(tmp_path, pair):
    zeros = np.zeros((64, 48), np.uint16)
    tifffile.imwrite(tmp_path / "dna.tif", zeros, compression="zlib")
    content = (tmp_path / "dna.tif").read_bytes()
    (tmp_path / "dna.tif").write_bytes(content[:-20] + bytes(20))
    with pytest.raises(ImageError, match=r"dna\.tif"):
        load([(pair[0], open_image(tmp_path / "dna.tif"))])


def test_a_file_that_goes_away_is_named(tmp_path, pair):
    (tmp_path / "dna.tif").unlink()
    with pytest.raises(ImageError, match=r"dna\.tif"):
        load([pair])


def test_large_whole_numbers_stay_exact_or_become_float(tmp_path, on_disk):
    labels = np.arange(64 * 48).reshape(64, 48).astype(np.int64)
    for top, dtype in ((2**30, np.int32), (2**40, np.float32)):
        labels[0, 0] = top
        store = zarr.create_array(tmp_path / f"{top}.zarr", data=labels)
        source = Image(np.random.default_rng(0).random((64, 48)), ("y", "x"))
        ((sample,),), _ = load([(source, Image(store, ("y", "x")))])
        assert sample.target.dtype == dtype


# -- cost maps ---------------------------------------------------------------------


def image(pixels, name="image", axes="yx"):
    return Image(np.asarray(pixels), tuple(axes), name=name)


def triple(weight, shape=(300, 300)):
    random = np.random.default_rng(0)
    source, target = (
        image(random.integers(0, 99, shape).astype(np.uint8), name)
        for name in ("a", "b")
    )
    return source, target, image(weight, "a_CM", "yx")


def test_a_mask_of_any_value_is_a_weight_of_one():
    mask = np.zeros((300, 300), np.uint8)
    mask[::2] = 255
    ((sample,),), _ = load([triple(mask)])
    assert sample.weight.dtype == np.uint8
    assert np.unique(sample.weight).tolist() == [0, 1]


def test_other_numbers_are_weights():
    weight = np.ones((300, 300), np.uint8)
    weight[:100] = 7
    ((sample,),), _ = load([triple(weight)])
    assert sample.weight.shape == (1, 300, 300)
    assert np.unique(sample.weight).tolist() == [1, 7]


def test_an_image_is_cut_to_where_it_counts():
    weight = np.zeros((300, 300), bool)
    weight[20:200, 50:260] = True
    source, *_ = images = triple(weight)
    ((sample,),), _ = load([images])
    assert sample.spatial_shape == (180, 210)
    np.testing.assert_array_equal(sample.input[0], source.data[20:200, 50:260])


def test_a_small_region_leaves_room_for_patches():
    weight = np.zeros((300, 300), bool)
    weight[290:, 0:5] = True
    ((sample,),), _ = load([triple(weight)])
    assert sample.spatial_shape == (128, 128)
    assert sample.weight.sum() == 50


def test_a_map_of_one_plane_holds_for_all():
    random = np.random.default_rng(0)
    stacks = [image(random.random((4, 200, 200)), n, "zyx") for n in "ab"]
    weight = np.ones((200, 200), bool)
    weight[:, 0] = False
    (samples,), _ = load([(*stacks, image(weight))], spatial_axes="yx")
    assert [s.weight.sum() for s in samples] == [200 * 199] * 4


def test_an_image_that_does_not_count_is_left_out():
    nothing = triple(np.zeros((300, 300)))
    loaded, _ = load([nothing, triple(np.ones((300, 300)))])
    assert [len(samples) for samples in loaded] == [0, 1]


@pytest.mark.parametrize(
    ("weight", "sentence"),
    [
        (np.ones((300, 200)), r"cost map a_CM is 300 × 200 and its target b is 300 × "),
        (np.full((300, 300), -1.0), "cost map a_CM has weights down to -1"),
        (np.full((300, 300), np.nan), "cost map a_CM has 90000 pixels that are NaN"),
        (np.zeros((300, 300)), "cost map a_CM is 0 everywhere"),
        (np.ones((300, 300), complex), "cost map a_CM holds complex128 values"),
    ],
)
def test_a_wrong_cost_map_is_refused(weight, sentence):
    with pytest.raises(DataError, match=sentence):
        load([triple(weight)])
