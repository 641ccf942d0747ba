"""Which files a prediction reads and writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr

from napari_im2im.errors import ConfigError
from napari_im2im.images.image import Image
from napari_im2im.images.writing import save_image
from napari_im2im.inference.file_tasks import plan_predictions

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.ome.tif", "b.tif", "mask.png", "notes.txt", ".hidden.tif"):
        (tmp_path / name).touch()
    (tmp_path / "day 2" / "well").mkdir(parents=True)
    (tmp_path / "day 2" / "b.tif").touch()
    (tmp_path / "day 2" / "well" / "c.tif").touch()
    return tmp_path


def test_results_stand_beside_the_images_and_name_the_model(folder: Path) -> None:
    tasks = plan_predictions([str(folder / "*.tif")], 1, None, "Phase to DNA")
    assert [task.output.name for task in tasks] == [
        "a_phase-to-dna.ome.tif",
        "b_phase-to-dna.ome.tif",
    ]
    assert {task.output.parent for task in tasks} == {folder}


def test_several_images_go_to_a_folder_one_to_a_file(folder: Path) -> None:
    tasks = plan_predictions([str(folder / "*.tif")], 1, folder / "out", "m")
    assert {task.output.parent for task in tasks} == {folder / "out"}
    one = [str(folder / "b.tif")]
    single = plan_predictions(one, 1, folder / "x.ome.zarr", "m")
    assert single[0].output == folder / "x.ome.zarr"
    with pytest.raises(ConfigError, match="name a folder"):
        plan_predictions([str(folder / "*.tif")], 1, folder / "x.ome.zarr", "m")


@pytest.mark.parametrize("pattern", [".", "**/*.tif"])
def test_the_tree_of_the_results_mirrors_that_of_the_images(
    folder: Path, pattern: str
) -> None:
    output = folder.parent / "out"
    tasks = plan_predictions([str(folder / pattern)], 1, output, "m")
    written = {task.output.relative_to(output).as_posix() for task in tasks}
    tree = {"a_m.ome.tif", "b_m.ome.tif", "day 2/b_m.ome.tif", "day 2/well/c_m.ome.tif"}
    assert written == (tree | {"mask_m.ome.tif"} if pattern == "." else tree)


def test_files_that_a_shell_named_keep_their_folders(folder: Path) -> None:
    files = [folder / "b.tif", folder / "day 2" / "b.tif"]
    tasks = plan_predictions([str(file) for file in files], 1, folder / "out", "m")
    assert [task.output.relative_to(folder / "out").as_posix() for task in tasks] == [
        "b_m.ome.tif",
        "day 2/b_m.ome.tif",
    ]


def test_results_of_an_earlier_run_are_no_images(folder: Path) -> None:
    first = plan_predictions([str(folder)], 1, None, "m")
    for task in first:
        task.output.touch()
    assert plan_predictions([str(folder)], 1, None, "m") == first


def test_results_of_a_model_with_several_outputs_are_known(folder: Path) -> None:
    (task,) = plan_predictions([str(folder / "b.tif")], 1, None, "m", ["dna", "actin"])
    assert [path.name for path in task.results] == [
        "b_m_dna.ome.tif",
        "b_m_actin.ome.tif",
    ]
    assert not task.complete


def test_files_that_differ_in_their_suffix_alone_stay_apart(folder: Path) -> None:
    (folder / "b.png").touch()
    files = [str(folder / "b.tif"), str(folder / "b.png")]
    tasks = plan_predictions(files, 1, None, "m")
    assert [task.output.name for task in tasks] == [
        "b-tif_m.ome.tif",
        "b-png_m.ome.tif",
    ]


def test_an_ome_zarr_becomes_an_ome_zarr(folder: Path) -> None:
    image = Image(np.zeros((8, 8), np.uint8), ("y", "x"))
    save_image(image, folder / "big.ome.zarr")
    (task,) = plan_predictions([str(folder / "*.zarr")], 1, None, "m")
    assert task.output == folder / "big_m.ome.zarr"


def test_a_plate_becomes_a_plate(tmp_path: Path) -> None:
    plate = zarr.create_group(tmp_path / "in" / "p.zarr", zarr_format=2)
    plate.attrs["plate"] = {"wells": [{"path": "A/1"}, {"path": "B/2"}]}
    for well in ("A/1", "B/2"):
        plate.create_group(well).attrs["well"] = {"images": [{"path": "0"}]}
    tasks = plan_predictions([str(tmp_path / "in")], 1, tmp_path / "out", "m")
    place = tmp_path / "out" / "p_m.ome.zarr"
    assert [task.results for task in tasks] == [[place / "A/1/0"], [place / "B/2/0"]]
    several = plan_predictions([str(tmp_path / "in")], 1, None, "m", ["a", "b"])
    plates = [tmp_path / "in" / f"p_m_{name}.ome.zarr" for name in "ab"]
    assert several[0].results == [plate / "A/1/0" for plate in plates]
    # What is written first lies where it can be moved from.
    assert [path.parent for path in several[0].written] == 2 * [plates[0] / "A/1"]


def test_a_model_with_two_inputs_takes_a_pattern_for_each(folder: Path) -> None:
    patterns = [str(folder / "a.ome.tif"), str(folder / "mask.png")]
    tasks = plan_predictions(patterns, 2, None, "m")
    assert [path.name for path in tasks[0].inputs] == ["a.ome.tif", "mask.png"]
    with pytest.raises(ConfigError, match="name 2"):
        plan_predictions(patterns[:1], 2, None, "m")
    with pytest.raises(ConfigError, match="equally many"):
        plan_predictions([str(folder / "*.tif"), patterns[1]], 2, None, "m")


@pytest.mark.parametrize("name", ["nothing_*", "nothing.tif", "day 2/well/empty"])
def test_a_pattern_without_files_is_named(folder: Path, name: str) -> None:
    (folder / "day 2" / "well" / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"No file matches .*(nothing|empty)"):
        plan_predictions([str(folder / name)], 1, None, "m")
