"""Labels don't depend on how the image is cut, nor on where it is stored."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_im2im.errors import ModelError
from napari_im2im.inference.objects.config import ObjectsConfig
from napari_im2im.inference.objects.decoding import decode, decode_blocks

from .layouts import Chunked, blobs, embeddings_of, smooth_maps

WATERSHED = {"name": "instances"}
SHAPES = st.sampled_from([(61, 70), (130, 24), (15, 22, 19)])


def in_blocks(maps, meaning, chunk, options=None):
    labels = np.zeros(maps.shape[1:], np.int32)
    cut = Chunked(labels, chunk)
    steps = list(decode_blocks(maps, meaning, cut, options, most_pixels=1))
    assert steps == [(i, len(steps)) for i in range(1, len(steps) + 1)]
    return labels


@settings(max_examples=40, deadline=None)
@given(
    shape=SHAPES,
    sigma=st.floats(0.3, 6),
    seed=st.integers(0, 999),
    levels=st.sampled_from([None, 1, 4, 255]),
    chunk=st.integers(5, 40),
)
def test_a_watershed_in_blocks_is_that_of_the_whole(shape, sigma, seed, levels, chunk):
    maps = smooth_maps(shape, sigma, seed, levels)
    whole = decode(maps, WATERSHED)
    np.testing.assert_array_equal(in_blocks(maps, WATERSHED, chunk), whole)


@settings(max_examples=12, deadline=None)
@given(
    shape=SHAPES,
    count=st.integers(1, 30),
    seed=st.integers(0, 999),
    chunk=st.integers(7, 40),
)
def test_clusters_in_blocks_are_those_of_the_whole(shape, count, seed, chunk):
    labels = blobs(shape, count, seed)
    maps = embeddings_of(labels, seed)
    meaning = {"name": "embedding", "extent": [14] * len(shape)}
    whole = decode(maps, meaning)
    np.testing.assert_array_equal(in_blocks(maps, meaning, chunk), whole)


def test_an_object_larger_than_all_blocks_stays_one():
    foreground = np.zeros((90, 200), np.float32)
    foreground[10:80, 5:195] = 1
    maps = np.stack([foreground, np.zeros_like(foreground)])
    labels = in_blocks(maps, WATERSHED, 8)
    np.testing.assert_array_equal(labels, foreground > 0)


def test_touching_objects_are_told_apart_and_numbered_in_reading_order():
    labels = blobs((80, 80), 25, seed=3)
    found = decode(embeddings_of(labels), {"name": "embedding", "extent": [14, 14]})
    numbers = found[found > 0]
    _, first = np.unique(numbers, return_index=True)
    assert np.array_equal(np.unique(numbers), np.arange(1, numbers.max() + 1))
    assert np.array_equal(first, np.sort(first))
    agree = sum(
        (found[labels == i] == np.bincount(found[labels == i]).argmax()).mean() > 0.9
        for i in range(1, labels.max() + 1)
    )
    assert agree >= 0.9 * labels.max()


def test_small_objects_and_unsure_pixels_are_left_out_on_demand():
    foreground = np.zeros((20, 40), np.float32)
    foreground[5:8, 5:8] = 0.9
    foreground[5:15, 20:30] = 0.7
    maps = np.stack([foreground, np.zeros_like(foreground)])
    assert decode(maps, WATERSHED).max() == 2
    assert decode(maps, WATERSHED, ObjectsConfig(smallest=10)).max() == 1
    assert decode(maps, WATERSHED, ObjectsConfig(foreground=0.8)).max() == 1
    assert decode(maps, WATERSHED, ObjectsConfig(seed=0.95)).max() == 0
    assert decode(maps, {**WATERSHED, "smallest": 1000}).max() == 0


def test_arrays_on_disk_and_lazy_ones_give_the_same(tmp_path):
    maps = smooth_maps((50, 60), 2, seed=1)
    whole = decode(maps, WATERSHED)
    assert whole.dtype == np.int32
    assert whole.max() > 10
    lazy = da.from_array(maps, chunks=(1, 20, 20))
    np.testing.assert_array_equal(decode(lazy, WATERSHED), whole)
    stored = zarr.create_array(
        tmp_path / "maps.zarr", data=maps, chunks=(2, 16, 16), overwrite=True
    )
    labels = zarr.create_array(
        tmp_path / "labels.zarr", shape=(50, 60), chunks=(16, 16), dtype="int32"
    )
    for _ in decode_blocks(stored, WATERSHED, labels, most_pixels=400):
        pass
    np.testing.assert_array_equal(labels[:], whole)


def test_channels_of_another_meaning_are_refused():
    maps = np.zeros((2, 9, 9), np.float32)
    for meaning in ({"name": "flow"}, {}, {"name": "embedding", "extent": [3, 3]}):
        with pytest.raises(ModelError, match="update napari-im2im"):
            decode(maps, meaning)
