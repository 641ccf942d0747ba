from __future__ import annotations

import pytest

from napari_im2im.errors import DataError
from napari_im2im.images.folders.patterns import table_of_patterns


@pytest.fixture
def folder(tmp_path):
    for name in ("1_gfp", "1_rfp", "1_dna", "2_gfp", "2_rfp", "2_dna", "1_cm", "2_cm"):
        (tmp_path / f"{name}.tif").touch()
    return tmp_path


def names(paths):
    return [path.stem for path in paths]


def test_two_patterns_make_pairs(folder):
    table = table_of_patterns([str(folder / "*_gfp.tif")], [str(folder / "*_dna.tif")])
    assert [names(row.inputs + row.targets) for row in table.rows] == [
        ["1_gfp", "1_dna"],
        ["2_gfp", "2_dna"],
    ]


def test_a_cost_map_pairs_like_a_target(folder):
    patterns = [[str(folder / f"*_{kind}.tif")] for kind in ("gfp", "dna", "cm")]
    table = table_of_patterns(*patterns)
    assert names(row.cost_map for row in table.rows) == ["1_cm", "2_cm"]


def test_patterns_with_a_plus_are_read_together(folder):
    both = f"{folder}/*_gfp.tif + {folder}/*_rfp.tif"
    table = table_of_patterns([both], [str(folder / "*_dna.tif")])
    assert [names(row.inputs) for row in table.rows] == [
        ["1_gfp", "1_rfp"],
        ["2_gfp", "2_rfp"],
    ]
    assert names(table.rows[1].targets) == ["2_dna"]


def test_inputs_alone_are_rows_without_targets(folder):
    table = table_of_patterns([str(folder / "*_gfp.tif")], [])
    assert [row.targets for row in table.rows] == [(), ()]


def test_the_channels_of_one_file_may_be_input_and_target(folder):
    both = [str(folder / "1_gfp.tif")]
    table = table_of_patterns(both, both)
    assert table.rows[0].inputs == table.rows[0].targets


def test_pairing_in_order_is_said(tmp_path):
    for name in ("a/ape", "a/bee", "b/one", "b/two"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.tif").touch()
    table = table_of_patterns([str(tmp_path / "a")], [str(tmp_path / "b")])
    assert "pair in their order" in table.notes[0]


def test_a_missing_cost_map_is_refused(folder):
    (folder / "2_cm.tif").unlink()
    patterns = [[str(folder / f"*_{kind}.tif")] for kind in ("gfp", "dna", "cm")]
    with pytest.raises(DataError, match="2 inputs don't pair with 1 cost maps"):
        table_of_patterns(*patterns)


@pytest.mark.parametrize("pattern", ["secret", "secret/*.tif"])
def test_a_folder_that_may_not_be_read_is_named(folder, forbid, pattern):
    (folder / "secret").mkdir()
    (folder / "secret" / "1.tif").touch()
    forbid(folder / "secret")
    with pytest.raises(DataError, match=r"secret can't be read .* ask for the right"):
        table_of_patterns([str(folder / "*_gfp.tif")], [str(folder / pattern)])
