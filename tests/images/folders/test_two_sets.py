"""Folders of two sets of images."""

from __future__ import annotations

import pytest

from napari_im2im.errors import DataError
from napari_im2im.images.folders.two_sets import recognise_two_sets


@pytest.fixture
def make(tmp_path):
    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make


def found(folder, kinds=None):
    return [
        [(row.inputs[0].relative_to(folder).as_posix(), row.part) for row in table.rows]
        for table in recognise_two_sets(folder, kinds)
    ]


@pytest.mark.parametrize(
    ("one", "other"), [("x", "y"), ("A", "B"), ("input", "target"), ("IM", "GT")]
)
def test_folders_that_say_what_they_are(make, one, other):
    folder = make(f"{one}/1.tif", f"{one}/2.tif", f"{other}/7.tif")
    assert found(folder) == [
        [(f"{one}/1.tif", None), (f"{one}/2.tif", None)],
        [(f"{other}/7.tif", None)],
    ]


def test_the_data_sets_of_cyclegan(make):
    folder = make("trainA/1.png", "trainB/2.png", "testA/3.png", "testB/4.png")
    assert found(folder) == [
        [("testA/3.png", "test"), ("trainA/1.png", "train")],
        [("testB/4.png", "test"), ("trainB/2.png", "train")],
    ]


def test_parts_hold_both_sets(make):
    folder = make("train/x/1.tif", "train/y/2.tif", "val/x/3.tif", "val/y/4.tif")
    assert found(folder) == [
        [("train/x/1.tif", "train"), ("val/x/3.tif", "val")],
        [("train/y/2.tif", "train"), ("val/y/4.tif", "val")],
    ]


def test_two_other_folders_are_guessed_and_said(make):
    folder = make("confocal/1.tif", "sted/2.tif")
    (inputs, targets) = recognise_two_sets(folder)
    assert inputs.notes == (
        "The names don't say it, so confocal is taken for the inputs and sted for what "
        "they shall look like.",
    )
    assert targets.layout == "1 image in sted"


def test_files_of_one_folder(make):
    folder = make("1_IM.tif", "2_IM.tif", "3_GT.tif")
    assert found(folder) == [
        [("1_IM.tif", None), ("2_IM.tif", None)],
        [("3_GT.tif", None)],
    ]
    make("1_dna.tif", "2_dna.tif", "1_phase.tif")
    chosen = found(folder, {"input": "dna", "target": "phase"})
    assert [len(side) for side in chosen] == [2, 1]


def test_what_stays_open_is_refused(make):
    folder = make("one/1.tif", "two/2.tif", "three/3.tif")
    with pytest.raises(DataError, match="call two of them A and B"):
        recognise_two_sets(folder)
    with pytest.raises(DataError, match="holds no images"):
        recognise_two_sets(make("one/none/n.txt") / "one" / "none")
