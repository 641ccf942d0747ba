"""Inputs find their targets, or the ones left over are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_im2im.errors import DataError
from napari_im2im.images import pair_files

if TYPE_CHECKING:
    from pathlib import Path


def touch(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [str(folder / name) for name in names]


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [
        (
            ["r0c0_input_phase_zyx.tif", "r0c1_input_phase_zyx.tif"],
            ["r0c0_target_dapi-map2_cyx.tif", "r0c1_target_dapi-map2_cyx.tif"],
        ),
        (
            ["02-A-02_gfp.tif", "09-A-09_gfp.tif"],
            ["02-A-02_dna.tif", "09-A-09_dna.tif"],
        ),
        (
            [
                "D6_01_1_2_DAPI_001.tif",
                "D7_01_1_1_DAPI_001.tif",
                "F7_01_1_2_DAPI_001.tif",
            ],
            ["D6_01_2_2_GFP_001.tif", "D7_01_2_1_GFP_001.tif", "F7_01_2_2_GFP_001.tif"],
        ),
        (["in/1.tif", "in/2.tif"], ["out/001.ome.tif", "out/002.ome.tif"]),
        (["a/1/raw.tif", "a/2/raw.tif"], ["a/1/truth.tif", "a/2/truth.tif"]),
        (["bf img 9.png", "bf img 10.png"], ["9.tif", "10.tif"]),
        (["x.tif", "y.tif"], ["1.tif", "2.tif"]),
        (["one.tif"], ["other.tif"]),
    ],
)
def test_pairs(tmp_path: Path, inputs: list[str], targets: list[str]) -> None:
    pairs = pair_files(touch(tmp_path, *inputs)[::-1], touch(tmp_path, *targets)[::-1])
    expected = {
        (tmp_path / i, tmp_path / t) for i, t in zip(inputs, targets, strict=True)
    }
    assert set(pairs) == expected
    assert len(pairs) == len(inputs)


def test_globs_and_folders(tmp_path: Path) -> None:
    touch(tmp_path, "in/2.tif", "in/10.tif", "in/.hidden", "out/2.zarr/zarr.json")
    touch(tmp_path, "out/10.zarr/zarr.json")
    pairs = pair_files([str(tmp_path / "**/*.tif")], [str(tmp_path / "out")])
    assert pairs == [
        (tmp_path / "in/2.tif", tmp_path / "out/2.zarr"),
        (tmp_path / "in/10.tif", tmp_path / "out/10.zarr"),
    ]


def test_files_without_a_partner_are_named(tmp_path: Path) -> None:
    inputs = touch(tmp_path, "1_bf.tif", "2_bf.tif", "3_bf.tif")
    targets = touch(tmp_path, "1_gfp.tif", "2_gfp.tif", "4_gfp.tif")
    with pytest.raises(DataError, match=r"have no partner: 3_bf\.tif, 4_gfp\.tif"):
        pair_files(inputs, targets)


def test_names_that_say_nothing_need_equal_numbers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 inputs don't pair with 3 targets"):
        pair_files(touch(tmp_path, "a", "b"), touch(tmp_path, "x", "y", "z"))


def test_a_file_on_both_sides_is_refused(tmp_path: Path) -> None:
    paths = touch(tmp_path, "1.tif", "2.tif")
    with pytest.raises(DataError, match=r"1\.tif is an input and a target"):
        pair_files(paths, paths)


def test_a_pattern_that_matches_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No target file matches .*\*\.czi"):
        pair_files(touch(tmp_path, "1.tif"), [str(tmp_path / "*.czi")])


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 10_000), min_size=2, max_size=20), st.booleans())
def test_numbers_pair_however_they_are_written(
    tmp_path_factory: pytest.TempPathFactory, numbers: set[int], padded: bool
) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    inputs = touch(folder, *(f"cell_{n}_bf.tif" for n in numbers))
    targets = touch(folder, *(f"{n:06}.tif" if padded else f"{n}.tif" for n in numbers))
    for source, target in pair_files(inputs, targets):
        assert int(source.name.split("_")[1]) == int(target.stem)
