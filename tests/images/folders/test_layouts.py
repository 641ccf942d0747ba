from __future__ import annotations

import numpy as np
import pytest
import zarr

from napari_im2im.errors import DataError
from napari_im2im.images.folders.layouts import kinds_in, recognise_folder


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def rows(table, folder):
    """Return the table as relative paths: input, target, cost map."""
    return [
        tuple(
            path.relative_to(folder).as_posix()
            for path in (row.inputs[0], *row.targets, row.cost_map)
            if path
        )
        for row in table.rows
    ]


def test_files_of_one_folder_in_the_manner_of_mmv(tmp_path):
    make(tmp_path, *(f"X{i}_{kind}.tiff" for i in (1, 2) for kind in ("IM", "GT")))
    make(tmp_path, "X1_CM.tiff", "notes.txt")
    table = recognise_folder(tmp_path)
    assert rows(table, tmp_path) == [
        ("X1_IM.tiff", "X1_GT.tiff", "X1_CM.tiff"),
        ("X2_IM.tiff", "X2_GT.tiff"),
    ]
    assert table.layout == "files IM, GT and CM"
    assert "1 of 2 images have no cost map" in table.notes[0]


def test_sub_folders_in_the_manner_of_mmv(tmp_path):
    make(tmp_path, *(f"{kind}/cell{i}.tif" for i in (1, 2) for kind in ("IM", "GT")))
    make(tmp_path, "CM/cell1.tif", "CM/cell2.tif", "GT/cell3.tif")
    table = recognise_folder(tmp_path)
    assert rows(table, tmp_path)[1] == ("IM/cell2.tif", "GT/cell2.tif", "CM/cell2.tif")
    assert [path.name for path in table.unmatched] == ["cell3.tif"]


def test_train_and_val_of_either(tmp_path):
    make(tmp_path, "train/A_IM.tif", "train/A_GT.tif", "train/B_IM.tif")
    make(tmp_path, "train/B_GT.tif", "val/IM/c.tif", "val/GT/c.tif")
    table = recognise_folder(tmp_path)
    assert [row.part for row in table.rows] == ["train", "train", "val"]


def test_train_val_and_test_in_the_manner_of_biapy(tmp_path):
    for part in ("train", "val", "test"):
        make(tmp_path, *(f"{part}/{side}/{i}.tif" for side in "xy" for i in (1, 2, 10)))
    table = recognise_folder(tmp_path)
    parts = [row.part for row in table.rows]
    assert parts == ["train"] * 3 + ["val"] * 3 + ["test"] * 3
    assert rows(table, tmp_path)[2] == ("train/x/10.tif", "train/y/10.tif")
    assert not table.notes


def test_a_test_folder_without_targets_is_left_alone(tmp_path):
    make(tmp_path, "train/x/1.tif", "train/y/1.tif", "test/a.tif", "test/b.tif")
    table = recognise_folder(tmp_path)
    assert [row.part for row in table.rows] == ["train"]
    assert "test is left alone" in table.notes[0]


def test_names_that_tell_nothing_pair_in_order_and_that_is_said(tmp_path):
    make(tmp_path, "x/apple.tif", "x/pear.tif", "y/one.tif", "y/two.tif")
    table = recognise_folder(tmp_path)
    assert rows(table, tmp_path)[0] == ("x/apple.tif", "y/one.tif")
    assert "pair in their order" in table.notes[0]


def test_several_inputs_share_the_target_of_their_sample(tmp_path):
    make(tmp_path, "x/a/1.tif", "x/a/2.tif", "x/b/1.tif", "x/c/1.tif")
    make(tmp_path, "y/a/t.tif", "y/b/t.tif")
    table = recognise_folder(tmp_path)
    assert rows(table, tmp_path) == [
        ("x/a/1.tif", "y/a/t.tif"),
        ("x/a/2.tif", "y/a/t.tif"),
        ("x/b/1.tif", "y/b/t.tif"),
    ]
    assert [row.group for row in table.rows] == ["a", "a", "b"]
    assert [path.name for path in table.unmatched] == ["c"]


def test_samples_have_cost_maps(tmp_path):
    make(tmp_path, "x/a/1.tif", "x/a/2.tif", "x/b/1.tif", "x/c/1.tif")
    make(tmp_path, "y/a/t.tif", "y/b/t.tif", "y/c/t.tif", "cm/a/1.tif", "cm/a/2.tif")
    make(tmp_path, "cm/b/w.tif", "cm/d/w.tif")
    table = recognise_folder(tmp_path)
    maps = [row.cost_map and row.cost_map.relative_to(tmp_path) for row in table.rows]
    assert [m and m.as_posix() for m in maps] == [
        "cm/a/1.tif",
        "cm/a/2.tif",
        "cm/b/w.tif",
        None,
    ]
    assert table.notes[0].startswith("1 of 4 images have no cost map")
    assert [path.name for path in table.unmatched] == ["d"]


REAL = {
    # Names as they occur in published data sets.
    "coli": (
        ["ds1_00001_brightfield.tif", "ds1_00001_fluorescence.tif"],
        ["ds1_00002_brightfield.tif", "ds1_00002_fluorescence.tif"],
    ),
    "isl": (
        ["tile_r0c0_input_phase_zyx.tif", "tile_r0c0_target_dapi-map2-nfh_cyx.tif"],
        ["tile_r0c1_input_phase_zyx.tif", "tile_r0c1_target_dapi-map2-nfh_cyx.tif"],
    ),
    "cytometry": (
        ["E1_G1_0008_brightfield.tif", "E1_G1_0008_dna.tif"],
        ["E2_G1_0001_brightfield.tif", "E2_G1_0001_dna.tif"],
    ),
    "wells": (
        ["02-A-02_gfp.tif", "02-A-02_dna.tif"],
        ["30-C-06_gfp.tif", "30-C-06_dna.tif"],
    ),
    "channel numbers": (
        ["D6_01_2_2_GFP_001.tif", "D6_01_1_2_DAPI_001.tif"],
        ["D7_01_2_1_GFP_001.tif", "D7_01_1_1_DAPI_001.tif"],
    ),
    "hashes": (
        ["003cee89357d_image.png", "003cee89357d_labels.tif"],
        ["b61d3fb0d0eb_image.png", "b61d3fb0d0eb_labels.tif"],
    ),
    "microscopy": (
        ["sem_full_image.png", "sem_full_mask.png"],
        ["train0_image.png", "train0_mask.png"],
    ),
    "dimensions": (
        ["stardist_img2d.tif", "stardist_mask2d.tif"],
        ["stardist_img3d.tif", "stardist_mask3d.tif"],
    ),
}


@pytest.mark.parametrize("name", REAL)
def test_names_of_real_data_sets(tmp_path, name):
    pairs = REAL[name]
    make(tmp_path, *(file for pair in pairs for file in pair), "contact-sheet.png")
    table = recognise_folder(tmp_path)
    assert rows(table, tmp_path) == [(one, other) for one, other in pairs]
    assert [path.name for path in table.unmatched] == ["contact-sheet.png"]


def test_two_volumes_pair_by_what_they_are_called(tmp_path):
    make(tmp_path, "registered_confocal_zyx.tif", "registered_widefield_zyx.tif")
    table = recognise_folder(tmp_path)
    assert table.rows[0].inputs[0].name == "registered_widefield_zyx.tif"


def test_a_pair_among_many_other_files_is_there_by_chance(tmp_path):
    make(
        tmp_path,
        "a_res.tif",
        "a_output.tif",
        *(f"odd{'xyz' * i}.tif" for i in range(9)),
    )
    with pytest.raises(DataError, match="don't say what is learned from what"):
        recognise_folder(tmp_path)


def test_labels_are_the_target_where_they_are_wanted(tmp_path):
    kinds = ("brightfield", "fluorescence", "labels")
    make(tmp_path, *(f"{i}_{kind}.tif" for i in (1, 2) for kind in kinds))
    assert recognise_folder(tmp_path).rows[0].targets[0].name == "1_fluorescence.tif"
    table = recognise_folder(tmp_path, "labels")
    assert table.rows[0].targets[0].name == "1_labels.tif"
    assert table.notes == ("Left out: fluorescence (2 files).",)


def test_a_mask_belongs_to_the_image_that_it_is_called_after(tmp_path):
    for well in ("D6_01", "D7_02"):
        make(tmp_path, f"{well}_DAPI_001.tif", f"{well}_DAPI_001_MaskNuclei.tiff")
        make(tmp_path, f"{well}_GFP_001.tif")
    table = recognise_folder(tmp_path, "labels")
    assert table.rows[0].inputs[0].name == "D6_01_DAPI_001.tif"


def test_a_guess_is_said(tmp_path):
    make(tmp_path, "1_gfp.tif", "1_dna.tif", "2_gfp.tif", "2_dna.tif")
    assert "gfp is taken for the input" in recognise_folder(tmp_path).notes[0]


def test_what_names_leave_open_is_asked_for(tmp_path):
    make(tmp_path, *(f"r03c03f03p01-ch{i}sk1.tiff" for i in (1, 3, 5)))
    with pytest.raises(DataError, match="ch1, ch3 and ch5"):
        recognise_folder(tmp_path)


def test_a_user_chooses_among_the_kinds(tmp_path):
    make(tmp_path, *(f"r0{i}-ch{c}.tiff" for i in (1, 2) for c in (1, 3)))
    assert {kind.name for kind in kinds_in(tmp_path)} == {"ch1", "ch3"}
    table = recognise_folder(tmp_path, kinds={"input": "ch3", "target": "ch1"})
    assert rows(table, tmp_path) == [
        ("r01-ch3.tiff", "r01-ch1.tiff"),
        ("r02-ch3.tiff", "r02-ch1.tiff"),
    ]


def test_a_kind_that_is_not_there_is_refused(tmp_path):
    make(tmp_path, "1_gfp.tif", "1_dna.tif")
    with pytest.raises(DataError, match="show 'rfp': choose from"):
        recognise_folder(tmp_path, kinds={"input": "rfp", "target": "dna"})


def test_every_image_counts_where_no_target_is_wanted(tmp_path):
    make(tmp_path, "a.tif", "noisy.tif", "b.tif")
    table = recognise_folder(tmp_path, "none")
    assert len(table.rows) == 3
    assert not any(row.targets for row in table.rows)


def store(path, attributes):
    group = zarr.create_group(path, attributes={"ome": attributes})
    group.create_array("0", data=np.zeros((2, 4, 4), np.uint8))


MULTISCALES = [{"datasets": [{"path": "0"}], "axes": [{"name": n} for n in "cyx"]}]


def test_fields_of_a_plate_are_images_and_wells_are_groups(tmp_path):
    plate = tmp_path / "plate.zarr"
    wells = [{"path": "A/1"}, {"path": "B/2"}]
    zarr.create_group(plate, attributes={"ome": {"plate": {"wells": wells}}})
    for well in ("A/1", "B/2"):
        images = {"well": {"images": [{"path": "0"}, {"path": "1"}]}}
        zarr.create_group(plate / well, attributes={"ome": images})
        for field in "01":
            store(plate / well / field, {"multiscales": MULTISCALES})
    table = recognise_folder(plate)
    assert len(table.rows) == 4
    assert table.rows[3].inputs == (plate / "B/2/1",)
    assert {row.group for row in table.rows} == {"plate.zarr/A/1", "plate.zarr/B/2"}
    assert table.notes == ("Input and target are channels of the same image.",)


def test_labels_in_an_ome_zarr_are_its_target(tmp_path):
    image = tmp_path / "cells.zarr"
    store(image, {"multiscales": MULTISCALES})
    zarr.create_group(image / "labels", attributes={"ome": {"labels": ["nuclei"]}})
    table = recognise_folder(tmp_path, "labels")
    assert table.rows[0].targets == (image / "labels/nuclei",)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no images"):
        recognise_folder(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="There is no folder"):
        recognise_folder(tmp_path / "none")


def test_a_folder_that_may_not_be_read_is_named(tmp_path, forbid):
    for kind in ("IM", "GT"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "1.tif").touch()
    forbid(tmp_path / "GT")
    with pytest.raises(DataError, match=r"GT can't be read .* ask for the right"):
        recognise_folder(tmp_path)
