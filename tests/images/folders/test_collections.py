"""Folders and plates of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05 import HCS

from napari_im2im.images.folders.collections import (
    copy_structure,
    image_files,
    images_in,
)
from napari_im2im.images.image import Image
from napari_im2im.images.writing import save_image

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_is_searched_to_its_depth(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("b.TIF", "a/c.png", "a/.d.tif", "table.csv", ".hidden/e.tif"):
        (tmp_path / name).touch()
    save_image(Image(np.zeros((4, 4)), ("y", "x")), tmp_path / "a" / "big.ome.zarr")
    found = [path.relative_to(tmp_path).as_posix() for path in image_files(tmp_path)]
    assert found == ["b.TIF", "a/big.ome.zarr", "a/c.png"]


def test_an_image_is_no_collection(tmp_path: Path) -> None:
    path = save_image(Image(np.zeros((4, 4)), ("y", "x")), tmp_path / "a.ome.zarr")
    assert images_in(path) == ()
    assert images_in(tmp_path) == ()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_copy_of_a_plate_is_a_plate(tmp_path: Path, zarr_format: int) -> None:
    plate = {
        "columns": [{"name": "1"}],
        "rows": [{"name": "A"}],
        "wells": [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}],
    }
    said = {"plate": plate, "well": {"images": [{"path": "0"}]}}
    source = zarr.create_group(tmp_path / "p.zarr", zarr_format=zarr_format)
    well = source.create_group("A/1")
    for group, key in ((source, "plate"), (well, "well")):
        old = {key: {**said[key], "version": "0.4"}}
        new = {"ome": {"version": "0.5", key: said[key]}}
        group.attrs.put(old if zarr_format == 2 else new)
    images = images_in(tmp_path / "p.zarr")
    assert images == ("A/1/0",)
    target = tmp_path / "copy.ome.zarr"
    for _ in range(2):  # What is there stays.
        copy_structure(tmp_path / "p.zarr", target, images)
    save_image(Image(np.zeros((4, 4)), ("y", "x")), target / "A" / "1" / "0.zarr")
    (target / "A" / "1" / "0.zarr").rename(target / "A" / "1" / "0")
    model = HCS.from_zarr(zarr.open_group(target, mode="r"))
    assert model.attributes.ome.plate.wells[0].path == "A/1"
