"""Tiles are as large as the halo makes worth while, within the free memory."""

from __future__ import annotations

import math

import pytest

from inference.specs import input_spec, output_spec
from napari_im2im.errors import ConfigError
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.tiling import planning
from napari_im2im.inference.tiling.geometry import model_geometry
from napari_im2im.inference.tiling.planning import Plan, axis_geometries, make_plan
from napari_im2im.inference.tiling.receptive_field import ReceptiveField
from napari_im2im.inference.tiling.tiles import with_halo
from napari_im2im.models.tensors import FixedSize, Size, SteppedSize

STRIDE = {"z": 16, "y": 16, "x": 16}


@pytest.fixture(autouse=True)
def _memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "free_memory", lambda device: 16 * 2**30)


def plan(
    shape: dict[str, int],
    halo: int,
    size: Size | None = None,
    *,
    exact: bool = True,
    **config: object,
) -> Plan:
    axes = "".join(shape)
    size = size or SteppedSize(16, 16)
    geometry = model_geometry([input_spec(axes, size)], [output_spec(axes)])
    sides = dict.fromkeys(shape, (halo, halo))
    field = ReceptiveField(STRIDE, sides, exact, "" if exact else "sees everything")
    cut = with_halo(axis_geometries(geometry, shape, STRIDE), sides)
    region = {axis: slice(0, n) for axis, n in shape.items()}
    asked = PredictConfig(**config)  # type: ignore[arg-type]
    return make_plan(asked, geometry, cut, region, field, "cpu")


def pixels(found: Plan) -> int:
    return math.prod(found.tile_shape.values())


def test_a_large_image_leaves_most_memory_alone() -> None:
    found = plan({"y": 20_000, "x": 20_000}, 64)
    assert pixels(found) * planning._BYTES_PER_PIXEL < 1.7e9
    assert not found.message


def test_a_large_halo_in_3d_is_worth_more_memory() -> None:
    found = plan({"z": 64, "y": 512, "x": 512}, 64)
    total = sum(math.prod(p.size for p in tile.values()) for tile in found.tiles)
    assert total < 1.7 * 64 * 512 * 512
    assert pixels(found) * planning._BYTES_PER_PIXEL < 0.4 * 16 * 2**30


def test_a_tile_that_is_asked_for() -> None:
    found = plan({"y": 2000, "x": 2000}, 32, tile={"y": 256})
    assert found.tile_shape["y"] <= 256
    with pytest.raises(ConfigError, match="no axis 'z'"):
        plan({"y": 2000, "x": 2000}, 32, tile={"z": 256})


def test_a_fixed_size_without_room_for_the_halo_is_blended() -> None:
    found = plan({"y": 300, "x": 300}, 60, FixedSize(128))
    assert found.warning
    assert "leaves nothing" in found.message
    assert found.overlap == {"y": 16, "x": 16}


def test_one_piece_where_it_fits_else_blended() -> None:
    assert "one piece" in plan({"y": 3000, "x": 3000}, 64, exact=False).message
    large = plan({"y": 30_000, "x": 30_000}, 64, exact=False)
    assert "blended" in large.message
