from __future__ import annotations

import pytest

from napari_im2im.errors import DataError
from napari_im2im.images.folders.tables import format_table, read_table


@pytest.fixture
def folder(tmp_path):
    for name in "abcd":
        (tmp_path / f"{name}.tif").touch()
    return tmp_path


def table(folder, text):
    path = folder / "pairs.csv"
    path.write_text(text)
    return path


def test_rows_start_at_the_folder_of_the_table(folder):
    path = table(folder, "input,target,cost_map,split\na.tif;b.tif,c.tif,d.tif,val\n")
    (row,) = read_table(path).rows
    assert [p.name for p in row.inputs] == ["a.tif", "b.tif"]
    assert row.targets == (folder / "c.tif",)
    assert row.cost_map == folder / "d.tif"
    assert row.part == "val"


def test_what_is_written_is_read_again(folder):
    rows = read_table(
        table(folder, "input,target,split,group\na.tif,b.tif,test,g\nc.tif,,,\n")
    ).rows
    again = folder / "again.csv"
    again.write_text(format_table(rows), newline="")
    assert read_table(again).rows == rows


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("image,target\na.tif,b.tif\n", "first line of pairs.csv is image,target"),
        ("input,target\n", "has no rows"),
        ("input\nx.tif\n", "Line 2 of pairs.csv names .*x.tif, which isn't there"),
        ("input,split\na.tif,dev\n", "Line 2 .* has the split 'dev'"),
        ("input,target\n,a.tif\n", "Line 2 .* names no input"),
    ],
)
def test_a_wrong_table_is_refused(folder, text, sentence):
    with pytest.raises(DataError, match=sentence):
        read_table(table(folder, text))


def test_files_of_other_parts_need_not_be_there_any_more(folder):
    path = table(folder, "input,split\nx.tif,train\na.tif,Test\n")
    assert [row.inputs for row in read_table(path, part="test").rows] == [
        (folder / "a.tif",)
    ]


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"table .*none.csv can't be read"):
        read_table(tmp_path / "none.csv")
