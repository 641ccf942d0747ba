from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

from napari_im2im.training.data.prefetching import Prefetcher
from napari_im2im.training.data.samples import Sample
from napari_im2im.training.data.sampling import PatchSampler


@pytest.fixture
def sampler():
    pixels = np.random.default_rng(0).random((1, 40, 40)).astype(np.float32)
    return PatchSampler([Sample(pixels, pixels, "a")], (8, 8), 2)


@pytest.mark.parametrize("order", [range(8), [5, 0, 1, 7, 6]])
def test_batches_are_those_of_the_sampler(sampler, order):
    prefetcher = Prefetcher(sampler)
    for index in order:
        np.testing.assert_array_equal(
            prefetcher.batch(index).input, sampler.batch(index).input
        )


def test_an_error_while_drawing_reaches_who_asks(sampler, monkeypatch):
    def fail(self, index):
        raise OSError(f"batch {index} is gone")

    monkeypatch.setattr(PatchSampler, "batch", fail)
    with pytest.raises(OSError, match="batch 3 is gone"):
        Prefetcher(sampler).batch(3)


def test_the_thread_ends_with_the_prefetcher(sampler):
    prefetcher = Prefetcher(sampler)
    prefetcher.batch(0)
    threads = [t for t in threading.enumerate() if "im2im-patches" in t.name]
    assert threads
    del prefetcher
    gc.collect()
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads)


def test_patches_of_mapped_files_are_those_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_im2im.training.data.prefetching._TOUCHED_BYTES", 1)
    pixels = np.random.default_rng(0).random((1, 40, 40)).astype(np.float32)
    np.save(tmp_path / "a.npy", pixels)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    sampler = PatchSampler([Sample(mapped, mapped, "a")], (8, 8), 2)
    plain = PatchSampler([Sample(pixels, pixels, "a")], (8, 8), 2)
    prefetcher = Prefetcher(sampler)
    for index in range(6):
        np.testing.assert_array_equal(
            prefetcher.batch(index).input, plain.batch(index).input
        )
