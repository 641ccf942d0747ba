"""Which files the predict command reads and writes."""

import pytest

from napari_im2im.cli.predict import plan
from napari_im2im.errors import ConfigError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.ome.tif", "b.tif", "mask.png"):
        (tmp_path / name).touch()
    return tmp_path


def test_results_stand_beside_the_images_and_name_the_model(folder):
    tasks = plan([str(folder / "*.tif")], 1, None, "Phase to DNA")
    assert [task.output.name for task in tasks] == [
        "a_phase-to-dna.ome.tif",
        "b_phase-to-dna.ome.tif",
    ]
    assert {task.output.parent for task in tasks} == {folder}


def test_several_images_go_to_a_folder_one_to_a_file(folder):
    tasks = plan([str(folder / "*.tif")], 1, folder / "out", "m")
    assert {task.output.parent for task in tasks} == {folder / "out"}
    single = plan([str(folder / "b.tif")], 1, folder / "x.ome.zarr", "m")
    assert single[0].output == folder / "x.ome.zarr"
    with pytest.raises(ConfigError, match="name a folder"):
        plan([str(folder / "*.tif")], 1, folder / "x.ome.zarr", "m")


def test_a_model_with_two_inputs_takes_a_pattern_for_each(folder):
    patterns = [str(folder / "a.ome.tif"), str(folder / "mask.png")]
    tasks = plan(patterns, 2, None, "m")
    assert [path.name for path in tasks[0].inputs] == ["a.ome.tif", "mask.png"]
    with pytest.raises(ConfigError, match="name 2"):
        plan(patterns[:1], 2, None, "m")
    with pytest.raises(ConfigError, match="equally many"):
        plan([str(folder / "*.tif"), patterns[1]], 2, None, "m")


def test_a_pattern_without_files_is_named(folder):
    with pytest.raises(ConfigError, match=r"nothing_\*"):
        plan([str(folder / "nothing_*")], 1, None, "m")
