from __future__ import annotations

import os

import numpy as np
import pytest

from napari_im2im.errors import DataError
from napari_im2im.training.data.array_cache import ArrayCache, release


def fill(cache, key, value, *, age=0):
    with cache.create(key, (100,), np.dtype(np.uint8)) as array:
        array[:] = value
    path = cache.folder / f"{key}.npy"
    os.utime(path, (path.stat().st_mtime - age,) * 2)
    return path


@pytest.fixture
def cache(tmp_path):
    return ArrayCache(1000, tmp_path / "decoded")


def test_what_was_kept_is_found(cache):
    fill(cache, "a", 7)
    found = cache.find("a")
    assert isinstance(found, np.memmap)
    assert (found == 7).all()
    assert cache.find("b") is None


def test_a_damaged_file_is_not_found(cache):
    fill(cache, "a", 7).write_bytes(b"half")
    assert cache.find("a") is None


def test_what_fails_half_way_is_not_kept(cache):
    with (
        pytest.raises(ZeroDivisionError),
        cache.create("a", (100,), np.dtype(np.uint8)),
    ):
        raise ZeroDivisionError
    assert not list(cache.folder.iterdir())


def test_a_full_disk_is_said_before_anything_is_read(cache, no_larger_file):
    with (
        no_larger_file(500),
        pytest.raises(DataError, match=r"decoded .* \(File too large\): free some"),
        cache.create("a", (1000,), np.dtype(np.uint8)),
    ):
        pytest.fail("there is no room to read to")
    assert not list(cache.folder.iterdir())


def test_what_was_used_longest_ago_makes_room(cache):
    paths = [fill(cache, key, 1, age=age) for key, age in (("old", 99), ("new", 9))]
    cache.make_room(700)
    assert [path.exists() for path in paths] == [False, True]


def test_what_is_in_use_stays(cache):
    path = fill(cache, "old", 1, age=99)
    cache.find("old")
    with pytest.raises(DataError, match=r"cache may take 1e-06 GB: raise data\.cache"):
        cache.make_room(900)
    assert path.exists()


def test_pixels_can_be_read_after_their_memory_is_given_back(cache):
    fill(cache, "a", 7)
    found = cache.find("a")
    release(found)
    assert (found == 7).all()
    release(np.zeros(3))
