"""Outputs get names that don't collide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.specs import output_spec
from napari_im2im.inference.outputs import OutputLayout, output_paths

LAYOUT = OutputLayout(
    index=0,
    name="",
    spec=output_spec(channels=2),
    axes=("time", "channel", "y", "x"),
    shape=(3, 4, 10, 12),
    dtype=np.dtype(np.float32),
    chunks=(1, 1, 10, 12),
    origin={"time": 1, "y": 5, "x": 0},
    scale={},
    units={},
    channel_names=(),
    channels=2,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.ome.zarr", "a_mask.ome.zarr"),
        ("v1.2.tif", "v1.2_mask.tif"),
        ("b.zarr", "b_mask.zarr"),
    ],
)
def test_names_of_several_outputs(path: str, expected: str) -> None:
    paths = output_paths(Path(path), [LAYOUT, replace(LAYOUT, name="mask")])
    assert [p.name for p in paths] == [path, expected]


def test_a_tile_lands_at_its_place_in_the_region() -> None:
    key = LAYOUT.key({"time": 2}, 1, {"y": slice(7, 9), "x": slice(0, 12)})
    assert key == (slice(1, 2), slice(2, 4), slice(2, 4), slice(0, 12))


def test_pixels_come_into_the_axes_of_the_image() -> None:
    pixels = np.zeros((1, 2, 10, 12))
    assert LAYOUT.to_image(pixels).shape == (1, 2, 10, 12)
