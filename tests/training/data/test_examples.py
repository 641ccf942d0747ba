from __future__ import annotations

import numpy as np
import pytest
import tifffile
import zarr
from pydantic import ValidationError

from napari_im2im.errors import DataError
from napari_im2im.images.image import Image
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.config import DataConfig
from napari_im2im.training.data.examples import collect, open_examples
from napari_im2im.training.data.planning import plan_layout


def write(folder, *names, shape=(8, 8)):
    random = np.random.default_rng(0)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 99, shape).astype(np.uint8)
        tifffile.imwrite(folder / name, pixels, photometric="minisblack")


def opened(task="image", **data):
    return open_examples(TrainConfig(task=task, data=data))


def test_a_folder_is_recognised(tmp_path):
    write(tmp_path, "A_IM.tif", "A_GT.tif", "A_CM.tif", "B_IM.tif", "stray_IM.tif")
    write(tmp_path, "B_GT.tif")
    found = opened(folder=tmp_path)
    assert [e.name for e in found.examples] == ["A_IM", "B_IM"]
    assert found.examples[0].cost_map.name == "A_CM"
    assert found.examples[1].cost_map is None
    assert found.notes[-1] == "1 image file has no partner: stray_IM.tif."


def test_a_table_is_read(tmp_path):
    write(tmp_path, "a.tif", "b.tif", "c.tif", "d.tif")
    (tmp_path / "t.csv").write_text(
        "input,target,split,group\na.tif,b.tif,train,one\nc.tif,d.tif,val,two\n"
    )
    found = opened(table=tmp_path / "t.csv")
    assert [(e.name, e.part, e.group) for e in found.examples] == [
        ("a", "train", "one"),
        ("c", "val", "two"),
    ]


def test_files_are_read_together_as_channels(tmp_path):
    write(tmp_path, "1_gfp.tif", "1_rfp.tif", "1_dna.tif")
    found = opened(
        inputs=[f"{tmp_path}/*_gfp.tif + {tmp_path}/*_rfp.tif"],
        targets=[f"{tmp_path}/*_dna.tif"],
    )
    assert found.examples[0].input.sizes["channel"] == 2


def test_channels_of_one_file_are_input_and_target(tmp_path):
    write(tmp_path, "1.tif", "2.tif", shape=(3, 8, 8))
    config = TrainConfig(
        data={
            "inputs": [f"{tmp_path}/*.tif"],
            "input_axes": "cyx",
            "input_channels": [0, 1],
            "target_channels": [2],
        }
    )
    layout = plan_layout(open_examples(config).examples, config)
    assert layout.input_channels == ("channel 0", "channel 1")
    assert layout.target_channels == ("channel 2",)


def test_a_channel_that_is_input_and_target_is_refused(tmp_path):
    write(tmp_path, "1.tif", shape=(3, 8, 8))
    data = {"inputs": [f"{tmp_path}/1.tif"], "input_axes": "cyx"}
    config = TrainConfig(data={**data, "target_channels": [2]})
    with pytest.raises(DataError, match="1 is both input and target"):
        plan_layout(open_examples(config).examples, config)


def test_inputs_without_targets_are_refused(tmp_path):
    write(tmp_path, "1.tif")
    with pytest.raises(DataError, match=r"1 has no target: name .* data\.targets"):
        opened(inputs=[f"{tmp_path}/1.tif"])


def test_a_task_without_targets_needs_none(tmp_path):
    write(tmp_path, "1.tif", "2.tif")
    found = opened("noise2void", folder=tmp_path)
    assert all(e.target is e.input for e in found.examples)
    assert len(found.examples) == 2


def test_several_inputs_share_one_opened_target(tmp_path):
    write(tmp_path, "x/a/1.tif", "x/a/2.tif", "y/a/t.tif")
    one, two = opened(folder=tmp_path).examples
    assert one.target is two.target
    assert one.group == two.group == "a"


def test_fields_of_a_plate_are_learned_by_channel(tmp_path):
    plate = tmp_path / "plate.zarr"
    attributes = {"ome": {"plate": {"wells": [{"path": "A/1"}]}}}
    zarr.create_group(plate, attributes=attributes)
    fields = {"ome": {"well": {"images": [{"path": "0"}, {"path": "1"}]}}}
    zarr.create_group(plate / "A/1", attributes=fields)
    axes = [{"name": name} for name in "cyx"]
    for number in "01":
        multiscales = [{"datasets": [{"path": "0"}], "axes": axes}]
        group = zarr.create_group(
            plate / "A/1" / number, attributes={"ome": {"multiscales": multiscales}}
        )
        group.create_array("0", data=np.zeros((2, 8, 8), np.uint8))
    channels = {"input_channels": [0], "target_channels": [1]}
    config = TrainConfig(data={"folder": plate, **channels})
    found = open_examples(config)
    assert [e.name for e in found.examples] == ["plate/A/1/0", "plate/A/1/1"]
    assert plan_layout(found.examples, config).target_channels == ("channel 1",)


# -- what is left alone ------------------------------------------------------------


def test_files_of_the_test_part_are_not_even_opened(tmp_path):
    for part in ("train", "val"):
        write(tmp_path, f"{part}/x/1.tif", f"{part}/y/1.tif")
    for side in "xy":
        (tmp_path / "test" / side).mkdir(parents=True)
        (tmp_path / "test" / side / "1.tif").write_text("no image")
    found = opened(folder=tmp_path)
    assert [e.part for e in found.examples] == ["train", "val"]
    assert [row.part for row in found.test] == ["test"]
    assert found.notes == ("1 image of the test part left alone.",)


def test_a_part_of_the_files_is_drawn_for_a_test(tmp_path):
    write(tmp_path, *(f"{i}_{kind}.tif" for i in range(8) for kind in ("IM", "GT")))
    found, again = (opened(folder=tmp_path, test_fraction=0.25) for _ in range(2))
    assert found.test == again.test
    tested = {row.inputs[0].stem for row in found.test}
    assert len(tested) == 2
    assert not tested & {e.name for e in found.examples}
    assert found.notes[-1].startswith("2 of 8 images left alone for a test: ")


def test_groups_stay_together(tmp_path):
    names = [
        f"plate{p}_{i}_{k}.tif" for p in "1234" for i in "12" for k in ("IM", "GT")
    ]
    write(tmp_path, *names)
    found = opened(folder=tmp_path, split_by="group", test_fraction=0.25)
    groups = [e.group for e in found.examples]
    assert len(groups) == 6
    assert len(set(groups)) == 3


def test_the_groups_of_a_table_need_no_names(tmp_path):
    write(tmp_path, *(f"{name}.tif" for name in "abcd"))
    rows = "".join(f"{name}.tif,{name}.tif,g{i % 2}\n" for i, name in enumerate("abcd"))
    (tmp_path / "t.csv").write_text("input,target,group\n" + rows)
    found = opened(table=tmp_path / "t.csv", split_by="group")
    assert [e.group for e in found.examples] == ["g0", "g1", "g0", "g1"]


def test_open_images_are_drawn_for_a_test(make_pair):
    pairs = [make_pair(name=f"{i}", seed=i) for i in range(5)]
    found = collect(pairs, TrainConfig(data={"test_fraction": 0.2}))
    assert len(found.examples) == 4
    assert found.notes[0].startswith("1 of 5 images left alone for a test: ")


def test_a_third_image_is_a_cost_map(make_pair):
    cost_map = Image(np.ones((64, 64)), ("y", "x"), name="weights")
    (example,) = collect([(*make_pair(), cost_map)], TrainConfig()).examples
    assert example.cost_map is cost_map


# -- what makes no sense -----------------------------------------------------------


def test_two_ways_of_naming_images_are_refused(tmp_path):
    with pytest.raises(ValidationError, match="inputs and folder: leave all but one"):
        DataConfig(inputs=["a"], folder=tmp_path)


def test_a_pattern_that_is_none_is_refused():
    with pytest.raises(ValidationError, match="no regular expression"):
        DataConfig(group_pattern="(")
