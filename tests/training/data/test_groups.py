from __future__ import annotations

import pytest

from napari_im2im.errors import DataError
from napari_im2im.training.data.groups import find_groups

NAMES = {
    "plate": (
        ["plate1_A01.tif", "plate1_A02.tif", "plate2_A01.tif"],
        ["plate1", "plate1", "plate2"],
    ),
    "study": (
        ["Study_3/image_1_BF.tif", "Study_3/image_2_BF.tif", "Study_12/image_1.tif"],
        ["Study_3", "Study_3", "Study_12"],
    ),
    "well": (
        ["r03c03f03p01-ch1.tif", "r03c03f04p01-ch1.tif", "r04c03f01p01-ch1.tif"],
        ["r03c03", "r03c03", "r04c03"],
    ),
    "position": (
        ["t01_pos1.tif", "t02_pos1.tif", "t01_pos2.tif"],
        ["pos1", "pos1", "pos2"],
    ),
}


@pytest.mark.parametrize("kind", NAMES)
def test_groups_are_told_by_their_usual_names(kind):
    names, groups = NAMES[kind]
    assert find_groups(names, None) == (kind, groups)


def test_wells_in_front_of_a_field():
    names = ["B03_f1.tif", "B03_f2.tif", "C11_f1.tif"]
    assert find_groups(names, None)[1] == ["B03", "B03", "C11"]


def test_the_folder_of_all_images_hides_no_groups():
    names = ["plate0/run/plate1/a.tif", "plate0/run/plate1/b.tif"]
    names.append("plate0/run/plate2/a.tif")
    assert find_groups(names, None)[1] == ["plate1", "plate1", "plate2"]


def test_wells_of_one_row_are_told_from_folders():
    names = [f"plate.zarr/A/{well}/{field}" for well in "12" for field in "01"]
    assert find_groups(names, None) == ("well", ["A/1", "A/1", "A/2", "A/2"])


def test_brackets_of_a_pattern_are_the_group():
    groups = find_groups(["m1_d2_a", "m1_d2_b", "m2_d2_a"], r"(m\d)_(d\d)")[1]
    assert groups == ["m1 d2", "m1 d2", "m2 d2"]


def test_a_name_that_a_pattern_misses_is_named():
    with pytest.raises(DataError, match="other has nothing that"):
        find_groups(["m1", "other"], r"m\d")


def test_names_that_tell_nothing_ask_for_a_pattern():
    with pytest.raises(DataError, match=r"\(e\.g\. ape\).*data\.group_pattern"):
        find_groups(["ape", "bee"], None)
