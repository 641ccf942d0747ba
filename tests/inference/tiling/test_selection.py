"""Nothing is computed where nothing is wanted, and the rest is what it would be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import zarr

from inference.models import FakeModel, FakeRuntime, events_of, predicted
from inference.networks import UNet, as_function
from inference.specs import input_spec, output_spec
from napari_im2im.errors import ConfigError
from napari_im2im.events import TileDone
from napari_im2im.images.image import Image

if TYPE_CHECKING:
    from pathlib import Path

UNET = as_function(UNet(), gain=1.5)
MODEL = FakeModel((input_spec(),), (output_spec(),))
OPTIONS = {"tile": {"y": 54, "x": 54}, "halo": "exact"}
CORE = 28
"""Of a tile of 54 pixels, for a network of stride 4 that looks 11 pixels far."""


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_tiles_outside_a_mask_stay_zero(tmp_path: Path) -> None:
    array = pixels(112, 84)
    mask = np.zeros(array.shape, np.uint8)
    mask[70, 40] = 1
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    runtime = FakeRuntime(UNET)
    image = Image(array, ("y", "x"))
    mask_file = str(tmp_path / "mask.tif")
    expected = predicted(MODEL, UNET, image, **OPTIONS)
    before = len(runtime.shapes)
    result = predicted(MODEL, runtime, image, mask=mask_file, **OPTIONS)
    assert len(runtime.shapes) - before <= 3
    found = np.argwhere(result[0])
    assert (found.min(0) == [56, 28]).all()
    assert (found.max(0) == [83, 55]).all()
    inside = (slice(None), slice(56, 84), slice(28, 56))
    np.testing.assert_array_equal(result[inside], expected[inside])


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", np.ones((20, 30), np.uint8))
    with pytest.raises(ConfigError, match="20 pixels along y, but the image has 40"):
        events_of(
            MODEL,
            UNET,
            Image(pixels(40, 30), ("y", "x")),
            mask=str(tmp_path / "mask.tif"),
        )


def test_chunks_that_were_never_written_are_skipped(tmp_path: Path) -> None:
    stored = zarr.create_array(
        tmp_path / "sparse.zarr", shape=(3, 112, 84), chunks=(1, 28, 28), dtype="f4"
    )
    stored[1, 28:56, 28:56] = pixels(28, 28)
    image = Image(stored, ("z", "y", "x"))
    runtime = FakeRuntime(UNET)
    events = events_of(MODEL, runtime, image, empty="skip", **OPTIONS)
    done = [event for event in events if isinstance(event, TileDone)]
    assert done[-1].index == done[-1].total == len(done)
    result = np.asarray(events[-1].outputs[0].data)
    expected = predicted(MODEL, UNET, image, **OPTIONS)
    part = (slice(None), 1, slice(28, 56), slice(28, 56))
    np.testing.assert_array_equal(result[part], expected[part])
    assert not result[:, (0, 2)].any()
    assert not result[:, 1, 56:].any()
