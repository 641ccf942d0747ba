"""Formats that bioio's readers open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pylibCZIrw import czi

from napari_im2im.images import open_image

if TYPE_CHECKING:
    from pathlib import Path


def test_czi(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 999, (2, 3, 20, 30), np.uint16)
    path = tmp_path / "cells.czi"
    with czi.create_czi(str(path)) as file:
        for c, z in np.ndindex(2, 3):
            file.write(pixels[c, z, ..., None], plane={"C": c, "Z": z, "T": 0})
        file.write_metadata(
            channel_names={0: "dapi", 1: "gfp"},
            scale_x=1e-7,
            scale_y=1e-7,
            scale_z=5e-7,
        )
    image = open_image(path)
    assert image.axes == ("channel", "z", "y", "x")
    assert {axis: round(size, 6) for axis, size in image.scale.items()} == {
        "z": 0.5,
        "y": 0.1,
        "x": 0.1,
    }
    assert set(image.units.values()) == {"micrometer"}
    assert image.channel_names == ("dapi", "gfp")
    assert image.data.chunks[1] == (1, 1, 1)
    np.testing.assert_array_equal(image.read(), pixels)
