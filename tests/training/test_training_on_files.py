"""Trainings of a few steps on folders as they lie on disk."""

from __future__ import annotations

import csv

import numpy as np
import psutil
import pytest
import tifffile
import zarr
from scipy.ndimage import gaussian_filter

from napari_im2im.errors import ConfigError, DataError, ImageError
from napari_im2im.events import Message, Progress, TrainingFinished, TrainingStarted
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data import decoding
from napari_im2im.training.loop import train_events
from napari_im2im.training.preparation import prepare

TINY = {"name": "BasicUNet", "kwargs": {"features": [4, 4, 8, 8, 8, 4]}}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_IM2IM_HOME", str(tmp_path / "home"))


def texture(seed, shape=(64, 64)):
    noise = gaussian_filter(np.random.default_rng(seed).random(shape), 1.5)
    return (noise - noise.min()) / np.ptp(noise)


@pytest.fixture
def folder(tmp_path):
    """Four fields with input, target and cost map in one folder."""
    data = tmp_path / "data"
    data.mkdir()
    for number, name in enumerate("ABCD"):
        pixels = texture(number)
        for kind, values in (
            ("IM", 200 * pixels),
            ("GT", 255 - 100 * pixels),
            ("CM", pixels > 0.4),
        ):
            tifffile.imwrite(data / f"{name}_{kind}.tif", values.astype(np.uint8))
    return data


@pytest.fixture
def config(tmp_path, folder):
    def make(**values):
        return TrainConfig(
            **{
                "output": tmp_path / "runs",
                "data": {"folder": folder},
                "patch": {"y": 32, "x": 32},
                "batch_size": 2,
                "network": TINY,
                "effort": {"steps": 2},
                "device": "cpu",
                **values,
            }
        )

    return make


def train(config):
    return list(train_events(config))


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def files(run):
    with (run / "files.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_with_cost_maps_is_learned(config, folder):
    events = train(config())
    assert isinstance(events[-1], TrainingFinished)
    reading = [e for e in of(Progress, events) if e.activity == "Reading images"]
    assert reading[-1].done == reading[-1].total == 12
    rows = files(events[-1].run_folder)
    assert sorted(row["split"] for row in rows) == ["train", "train", "train", "val"]
    assert rows[0]["cost_map"] == str(folder / "A_CM.tif")


def test_a_test_set_is_left_alone_whatever_is_in_it(config, folder):
    data = {"folder": folder, "test_fraction": 0.25}
    first = train(config(data=data))
    (tested,) = [row for row in files(first[-1].run_folder) if row["split"] == "test"]
    for kind in ("input", "target", "cost_map"):
        with open(tested[kind], "w") as file:
            file.write("no image any more")
    again = train(config(data=data))
    losses = [event[-1].metrics["validation_loss"] for event in (first, again)]
    assert losses[0] == losses[1]
    notes = [message.text for message in of(Message, again)]
    assert any("1 of 4 images left alone for a test" in note for note in notes)


def test_a_run_goes_on_with_the_files_that_it_began_with(config, folder):
    whole = train(config(effort={"steps": 6}))[-1]
    events = train_events(config(effort={"steps": 6}))
    run = next(e for e in events if isinstance(e, TrainingStarted)).run_folder
    next(e for e in events if isinstance(e, Progress) and e.done == 3)
    events.close()
    # The folder grows before the run goes on.
    for kind in ("IM", "GT", "CM"):
        pixels = (255 * texture(9)).astype(np.uint8)
        tifffile.imwrite(folder / f"E_{kind}.tif", pixels)
    resumed = train(TrainConfig(resume=run))[-1]
    assert resumed.metrics == whole.metrics
    assert len(files(run)) == 4


def test_a_folder_that_grows_while_it_is_learned_does_no_harm(config, folder):
    events = train_events(config(effort={"steps": 4}))
    next(e for e in events if isinstance(e, TrainingStarted))
    (folder / "E_IM.tif").write_text("half a file")
    assert isinstance(list(events)[-1], TrainingFinished)


def test_groups_are_held_out_whole_and_named(config, folder):
    for path in sorted(folder.iterdir()):
        plate = "plate1" if path.name[0] in "AB" else "plate2"
        path.rename(folder / f"{plate}_{path.name}")
    started = of(
        TrainingStarted, train(config(data={"folder": folder, "split_by": "group"}))
    )
    assert "1 of 2 groups (2 images) held out for validation" in started[0].validation


def test_what_is_preferred_is_drawn(config, folder):
    data = {
        "folder": folder,
        "foreground_patches": 0.5,
        "least_foreground": 0.05,
        "draw_by_cost_map": True,
    }
    assert isinstance(train(config(data=data))[-1], TrainingFinished)


def test_nothing_outside_the_region_that_counts_is_learned(config, folder):
    for name in "ABCD":
        mask = np.zeros((64, 64), np.uint8)
        mask[16:48, 16:48] = 1
        tifffile.imwrite(folder / f"{name}_CM.tif", mask)
    before = train(config())[-1].metrics["validation_loss"]
    for name in "ABCD":
        path = folder / f"{name}_GT.tif"
        target = tifffile.imread(path)
        target[:16] = target[:16].mean()
        tifffile.imwrite(path, target)
    after = train(config(target_normalization="none"))[-1].metrics
    assert after["validation_loss"] != before  # another scale, but the same below
    data = {"folder": folder}
    scaled = train(config(data=data, target_normalization="none"))[-1].metrics
    assert scaled["validation_loss"] == after["validation_loss"]


def test_a_set_that_does_not_fit_stays_on_disk(config, tmp_path, monkeypatch):
    """Memory grows by far less than the images are large."""
    monkeypatch.setattr(decoding, "IN_MEMORY_BYTES", 10_000_000)
    large = tmp_path / "large"
    tile = (255 * texture(0, (512, 512))).astype(np.uint8)
    for number, kind in enumerate(("phase", "dna")):
        store = zarr.create_array(
            large / f"{kind}.zarr",
            shape=(200, 1024, 1024),
            chunks=(1, 1024, 1024),
            dtype="u1",
            compressors=None,
        )
        for plane in range(200):
            value = np.roll(tile, plane, axis=number)
            store[plane] = np.tile(value if number else 255 - value, (2, 2))
    data = {
        "inputs": [str(large / "phase.zarr")],
        "targets": [str(large / "dna.zarr")],
        "input_axes": "zyx",
        "target_axes": "zyx",
    }
    process = psutil.Process()
    before = process.memory_info().rss
    highest = before
    for _ in train_events(config(data=data, spatial_axes="yx")):
        highest = max(highest, process.memory_info().rss)
    assert highest - before < 300_000_000  # the images have 419,430,400 bytes


# -- what a user may have on disk --------------------------------------------------


def refused(config, sentence, kind=DataError):
    with pytest.raises(kind, match=sentence):
        train(config)


def replace(folder, name, pixels):
    tifffile.imwrite(folder / name, pixels)


@pytest.mark.parametrize(
    ("name", "pixels", "sentence"),
    [
        (
            "A_GT.tif",
            np.zeros((64, 60), np.uint8),
            "A_IM is 64 × 64 .* A_GT is 64 × 60",
        ),
        ("A_CM.tif", np.ones((60, 64), np.uint8), "cost map A_CM is 60 × 64"),
        ("A_CM.tif", np.full((64, 64), -2.0), "cost map A_CM has weights down to -2"),
        ("A_IM.tif", np.full((64, 64), np.nan, "f4"), "A_IM has 4096 pixels that are"),
        ("A_IM.tif", np.ones((64, 64), complex), "A_IM is not real"),
        ("A_GT.tif", np.ones((64, 64), bool), "A_GT is a mask"),
        ("B_IM.tif", np.ones((2, 64, 64), "u1"), "B_IM has 2 channels, but A_IM has 1"),
    ],
)
def test_an_image_that_does_not_fit_is_named(config, folder, name, pixels, sentence):
    replace(folder, name, pixels)
    refused(config(), sentence)


def test_a_constant_target_is_refused(config, folder):
    for name in "ABCD":
        replace(folder, f"{name}_GT.tif", np.full((64, 64), 3, np.uint8))
    refused(config(), "target of A_IM, like all others, has the same value, 3, in")


def test_a_constant_input_is_refused(config, folder):
    for name in "ABCD":
        replace(folder, f"{name}_IM.tif", np.full((64, 64), 3, np.uint8))
    refused(config(), "The input A_IM, like all others, has the same value, 3, in")


def test_a_constant_input_among_others_is_named(config, folder):
    replace(folder, "B_IM.tif", np.full((64, 64), 3, np.uint8))
    notes = prepare(config(), on_cpu=True).notes
    assert any("Nothing can be learned" in n and "(B_IM)" in n for n in notes)


def test_a_patch_of_other_axes_is_refused(config):
    refused(config(patch={"z": 16}), "patch names the axes z, but", ConfigError)


def test_a_file_that_is_no_image_is_named(config, folder):
    (folder / "C_GT.tif").write_text("no image")
    refused(config(), r"C_GT\.tif can't be read as an image", ImageError)


def test_a_patch_that_the_network_does_not_take_is_refused(config):
    refused(config(patch={"y": 33, "x": 32}), "patches of 33 pixels", ConfigError)


def test_files_that_do_not_pair_are_named(config, folder):
    (folder / "B_GT.tif").unlink()
    data = {"inputs": [f"{folder}/*_IM.tif"], "targets": [f"{folder}/*_GT.tif"]}
    refused(config(data=data), r"1 file has no partner: B_IM\.tif")


def test_an_empty_folder_is_refused(config, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(config(data={"folder": tmp_path / "empty"}), "empty holds no images")
