"""OME-Zarr files that others can read, with a pyramid, in bounded memory."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from ome_zarr_models import open_ome_zarr

from napari_im2im.errors import ImageError
from napari_im2im.images import open_image
from napari_im2im.images.formats import ome_zarr as ome_zarr_module
from napari_im2im.images.formats.ome_zarr import add_pyramid, create_ome_zarr

if TYPE_CHECKING:
    from pathlib import Path


def create(
    path: Path, shape: tuple[int, ...], axes: str, **options: object
) -> zarr.Array:
    defaults = {
        "dtype": np.uint16,
        "scale": {"z": 1.0, "y": 0.5, "x": 0.5},
        "units": dict.fromkeys("zyx", "micrometer"),
        "chunks": (64,) * len(shape),
    }
    return create_ome_zarr(path, shape=shape, axes=axes, **(defaults | options))


def test_the_result_is_valid_ome_zarr(tmp_path: Path) -> None:
    path = tmp_path / "image.ome.zarr"
    array = create(path, (2, 3, 40, 300), "czyx", channel_names=("dapi", "gfp"))
    array[:] = np.broadcast_to(np.arange(300), array.shape)
    add_pyramid(path)
    image = open_ome_zarr(zarr.open_group(path, mode="r"))
    assert image.ome_attributes.version == "0.5"
    assert [c["label"] for c in image.ome_attributes.omero["channels"]] == [
        "dapi",
        "gfp",
    ]
    assert len(image.ome_attributes.multiscales[0].datasets) == 2


def test_metadata_and_pixel_size_come_back(tmp_path: Path) -> None:
    path = tmp_path / "image.ome.zarr"
    create(path, (30, 40), "yx", metadata={"model": "affable-shark"})
    image = open_image(path)
    assert image.metadata["napari_im2im"] == {"model": "affable-shark"}
    assert image.scale == {"y": 0.5, "x": 0.5}
    assert image.units == {"y": "micrometer", "x": "micrometer"}
    assert image.name == "image"


def test_shards_hold_whole_chunks_and_fit_the_image(tmp_path: Path) -> None:
    array = create(
        tmp_path / "image.ome.zarr", (100, 130), "yx", chunks=(32, 64), shards=(500, 70)
    )
    assert array.chunks == (32, 64)
    assert array.shards == (128, 128)
    array[:] = 7
    assert (array[:] == 7).all()


def test_axes_out_of_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="order them as time, channel, z, y, x"):
        create(tmp_path / "image.zarr", (3, 4, 5), "yxc")


def test_a_store_is_only_replaced_on_request(tmp_path: Path) -> None:
    path = tmp_path / "image.zarr"
    create(path, (4, 5), "yx")[:] = 1
    with pytest.raises(ImageError, match="exists already"):
        create(path, (4, 5), "yx")
    assert create(path, (6, 7), "yx", overwrite=True).shape == (6, 7)


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.integers(1, 40)] * 3), st.sampled_from(["mean", "nearest"]))
def test_levels_are_means_of_the_image(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, ...], method: str
) -> None:
    path = tmp_path_factory.mktemp("pyramid") / "image.zarr"
    pixels = np.random.default_rng(0).integers(0, 9999, shape, np.uint16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ome_zarr_module, "_SMALLEST_LEVEL", 10)
        create(path, shape, "zyx", chunks=(4, 8, 16))[:] = pixels
        add_pyramid(path, method=method)
    expected, level = pixels, 0
    sizes = np.array([1.0, 0.5, 0.5])
    while max(expected.shape) > 10:
        level += 1
        for axis in range(3):
            if pixels.shape[axis] > 0 and expected.shape[axis] > 10:
                sizes[axis] *= 2
        expected = _halved(expected, method)
        image = open_image(path / str(level))
        np.testing.assert_allclose(image.read(), expected, atol=1)
        assert list(image.scale.values()) == list(sizes)
    assert not (path / str(level + 1)).exists()


def _halved(pixels: np.ndarray, method: str) -> np.ndarray:
    halved = pixels.astype(float)
    for axis, size in enumerate(pixels.shape):
        if size > 10:
            odd = np.take(halved, range(1, size, 2), axis)
            even = np.take(halved, range(0, size, 2), axis)
            pad = [(0, even.shape[i] - odd.shape[i]) for i in range(3)]
            odd = np.pad(odd, pad, mode="constant", constant_values=np.nan)
            odd = np.where(np.isnan(odd), even, odd)
            halved = even if method == "nearest" else (even + odd) / 2
    return halved if method == "nearest" else halved.round()


def test_a_pyramid_is_made_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image.zarr"
    array = create(path, (16, 1024, 1024), "zyx", chunks=(1, 256, 256))
    array[:, :8] = 1
    monkeypatch.setattr(ome_zarr_module, "BLOCK_BYTES", 2**21)
    tracemalloc.start()
    add_pyramid(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 1024 * 1024
