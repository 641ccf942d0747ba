"""Tiles cover every pixel once, start on the grid and carry their halo."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from napari_im2im.inference.tiling.scales import AxisScale, scaled_core
from napari_im2im.inference.tiling.tiles import (
    AxisGeometry,
    all_tiles,
    choose_cores,
    core_of_tile,
    reflected_positions,
    split_tile,
)
from napari_im2im.models.tensors import FixedSize, SteppedSize


@st.composite
def geometries(draw: st.DrawFn) -> AxisGeometry:
    stride = draw(st.sampled_from([1, 2, 3, 4, 8, 16]))
    step = draw(st.sampled_from([1, 2, 4, 8, 12, 16]))
    minimum = draw(st.sampled_from([1, 5, 16, 32, 48]))
    return AxisGeometry(
        size=draw(st.integers(1, 300)),
        rule=SteppedSize(minimum, step),
        grid=math.lcm(stride, step),
        before=draw(st.integers(0, 60)),
        after=draw(st.integers(0, 60)),
    )


@st.composite
def fixed_geometries(draw: st.DrawFn) -> AxisGeometry:
    return AxisGeometry(
        size=draw(st.integers(1, 400)),
        rule=FixedSize(draw(st.sampled_from([64, 100, 128]))),
        grid=draw(st.sampled_from([1, 2, 4, 8, 16])),
        before=draw(st.integers(0, 20)),
        after=draw(st.integers(0, 20)),
    )


@given(geometries() | fixed_geometries(), st.integers(1, 40))
def test_cores_partition_the_axis(geometry: AxisGeometry, count: int) -> None:
    tiles = geometry.tiles(geometry.core(count))
    kept = np.concatenate([np.arange(t.core_start, t.core_stop) for t in tiles])
    np.testing.assert_array_equal(kept, np.arange(geometry.size))


@given(geometries() | fixed_geometries(), st.integers(1, 40))
def test_tiles_hold_halo_or_border(geometry: AxisGeometry, count: int) -> None:
    assume(geometry.fits)
    for tile in geometry.tiles(geometry.core(count)):
        assert tile.start % geometry.grid == 0
        assert 0 <= tile.start <= tile.core_start
        assert tile.core_stop <= tile.stop <= geometry.padded
        assert tile.start == 0 or tile.core_start - tile.start >= geometry.before
        at_end = tile.stop == geometry.padded
        assert at_end or tile.stop - tile.core_stop >= geometry.after


@given(geometries(), st.integers(1, 40))
def test_tiles_have_sizes_that_the_network_takes(
    geometry: AxisGeometry, count: int
) -> None:
    rule = geometry.rule
    assert isinstance(rule, SteppedSize)
    for tile in geometry.tiles(geometry.core(count)):
        assert tile.size >= rule.minimum
        assert (tile.size - rule.minimum) % rule.step == 0


@given(fixed_geometries(), st.integers(1, 40))
def test_a_fixed_size_is_kept(geometry: AxisGeometry, count: int) -> None:
    assert isinstance(geometry.rule, FixedSize)
    sizes = {t.size for t in geometry.tiles(geometry.core(count))}
    assert sizes == {geometry.rule.size}


@given(geometries(), st.integers(1, 20), st.data())
def test_a_region_lies_on_the_grid_of_the_whole(
    geometry: AxisGeometry, count: int, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, geometry.size - 1))
    stop = data.draw(st.integers(start + 1, geometry.size))
    core = geometry.core(count)
    tiles = geometry.tiles(core, slice(start, stop))
    assert tiles[0].core_start == start
    assert tiles[-1].core_stop == stop
    assert all(t.core_start % core == 0 for t in tiles[1:])


@given(
    geometries(),
    st.integers(1, 20),
    st.sampled_from([Fraction(1), Fraction(2), Fraction(1, 2), Fraction(3)]),
    st.sampled_from([0, -8, -3, 4]),
)
def test_outputs_of_another_size_are_partitioned(
    geometry: AxisGeometry, count: int, scale: Fraction, offset: int
) -> None:
    axis = AxisScale(scale, offset)
    if geometry.grid % scale.denominator or axis.size(geometry.size) <= 0:
        return
    kept = [
        scaled_core(tile, axis, geometry.size)
        for tile in geometry.tiles(geometry.core(count))
    ]
    pixels = np.concatenate([np.arange(t.start, t.stop) for t, _ in kept])
    np.testing.assert_array_equal(pixels, np.arange(axis.size(geometry.size)))


@given(st.integers(-50, 50), st.integers(0, 60), st.integers(1, 9))
def test_reflection_is_numpys(start: int, length: int, size: int) -> None:
    row = np.arange(size)
    wide = np.pad(row, (60, 160), mode="reflect")
    positions = reflected_positions(start, start + length, size)
    np.testing.assert_array_equal(
        row[positions], wide[60 + start : 60 + start + length]
    )


def test_an_image_that_fits_is_one_tile_of_its_own_size() -> None:
    axes = {a: AxisGeometry(96, SteppedSize(16, 16), 16, 40, 40) for a in "yx"}
    cores = choose_cores(axes, 96 * 96)
    (tile,) = all_tiles(axes, cores)
    assert {axis: part.size for axis, part in tile.items()} == {"y": 96, "x": 96}


def test_chosen_tiles_fit_and_waste_little() -> None:
    axes = {a: AxisGeometry(4096, SteppedSize(16, 16), 16, 96, 96) for a in "yx"}
    cores = choose_cores(axes, 2_000_000)
    tiles = all_tiles(axes, cores)
    pixels = [tile["y"].size * tile["x"].size for tile in tiles]
    assert max(pixels) <= 2_000_000
    assert sum(pixels) < 1.35 * 4096**2


def test_cores_are_whole_chunks() -> None:
    axes = {a: AxisGeometry(4100, SteppedSize(16, 16), 16, 96, 96) for a in "yx"}
    cores = choose_cores(axes, 3_000_000, chunks={"y": 512, "x": 512})
    for core in cores.values():
        pieces = math.ceil(core / 512)
        assert core >= 4100 or core % pieces == 0


@given(geometries(), geometries(), st.integers(1, 4))
def test_halves_do_the_work_of_a_tile(
    rows: AxisGeometry, columns: AxisGeometry, count: int
) -> None:
    axes = {"y": rows, "x": columns}
    cores = {axis: geometry.core(count) for axis, geometry in axes.items()}
    for tile in all_tiles(axes, cores):
        parts = split_tile(tile, axes)
        area = sum(
            math.prod(p.core_stop - p.core_start for p in part.values())
            for part in parts
        )
        assert area == math.prod(p.core_stop - p.core_start for p in tile.values())
        whole = math.prod(p.size for p in tile.values())
        if len(parts) > 1:
            assert all(
                math.prod(p.size for p in part.values()) < whole for part in parts
            )


@pytest.mark.parametrize("tile", [64, 128, 200, 1000])
def test_a_tile_size_that_is_asked_for_is_not_exceeded(tile: int) -> None:
    geometry = AxisGeometry(600, SteppedSize(16, 16), 16, 20, 20)
    core = core_of_tile(geometry, tile)
    assert max(t.size for t in geometry.tiles(core)) <= max(tile, 16 + 2 * 32)
