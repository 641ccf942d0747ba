"""Training and predicting from the command line, from files to files."""

import json
import os
import shlex
import shutil
import signal

import numpy as np
import pytest
import tifffile
import yaml
import zarr
from ome_zarr_models.v05 import HCS

from napari_im2im import folders
from napari_im2im.cli import DONE, FAILED, INTERRUPTED, MISUSED, console, main
from napari_im2im.events import FileStarted, PredictionStarted, Progress, TileDone
from napari_im2im.images import Image, open_image, save_image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for number in range(2):
        pixels = random.normal(100, 20, (64, 80)).astype("float32")
        for name, data in (("in", pixels), ("out", 2 * pixels)):
            image = Image(data=data, axes=("y", "x"))
            save_image(image, folder / f"{number}_{name}.ome.tif")
    return folder


@pytest.fixture(scope="module")
def model(folder):
    words = [
        "train",
        *("--name", "twice", "--output", str(folder / "runs")),
        *("--data.inputs", str(folder / "*_in.ome.tif")),
        *("--data.targets", str(folder / "*_out.ome.tif")),
        *("--effort.steps", "3", "--patch.y", "32", "--patch.x", "32"),
        *("--batch_size", "2", "--device", "cpu"),
        *("--network.kwargs.features", "[4, 4, 8, 8, 8, 4]"),
    ]
    assert main(words) == DONE
    return folder / "runs" / "twice" / "model"


def predict(model, folder, *words):
    inputs = str(folder / "*_in.ome.tif")
    return main(["predict", "--model", str(model), "--inputs", inputs, *words])


def test_a_folder_of_images_is_predicted(model, folder, capsys):
    assert predict(model, folder, "--output", str(folder / "new")) == DONE
    files = [folder / "new" / f"{n}_in_twice.ome.tif" for n in range(2)]
    assert capsys.readouterr().out.split() == [str(file) for file in files]
    result = open_image(files[0])
    assert (result.sizes["y"], result.sizes["x"]) == (64, 80)


def test_results_are_never_overwritten_unasked(model, folder, capsys):
    output = folder / "again"
    assert predict(model, folder, "--output", str(output)) == DONE
    capsys.readouterr()
    assert predict(model, folder, "--output", str(output)) == MISUSED
    assert "--overwrite" in capsys.readouterr().err
    assert predict(model, folder, "--output", str(output), "--overwrite") == DONE


def test_a_broken_file_does_not_stop_the_others(model, folder, capsys):
    broken = folder / "2_in.ome.tif"
    broken.write_bytes(b"not a TIFF")
    try:
        assert predict(model, folder, "--output", str(folder / "most")) == FAILED
    finally:
        broken.unlink()
    output = capsys.readouterr()
    assert len(output.out.split()) == 2
    assert "1 of 3 images failed: 2_in.ome.tif" in output.err


@pytest.fixture
def _ctrl_c():
    """Let Ctrl-C interrupt, also where tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c")
def test_what_is_done_is_skipped_and_what_is_unfinished_goes_on(
    model, folder, capsys, monkeypatch
):
    output = folder / "night"
    words = ["--output", str(output), "--tile.y", "32", "--tile.x", "32"]
    words += ["--halo.y", "8", "--halo.x", "8"]
    assert predict(model, folder, *words[:1], str(folder / "whole"), *words[2:]) == DONE
    whole = [np.asarray(open_image(f).data) for f in (folder / "whole").iterdir()]
    describe, seen = console.describe, []

    def press_ctrl_c(event):
        """Stop at the third tile of the second image."""
        seen.append(event)
        if isinstance(event, TileDone) and event.index == 3:
            if any(isinstance(e, FileStarted) and e.number == 2 for e in seen):
                signal.raise_signal(signal.SIGINT)
        return describe(event)

    monkeypatch.setattr(console, "describe", press_ctrl_c)
    assert predict(model, folder, *words) == INTERRUPTED
    assert "kept. To go on: the same command with --resume" in capsys.readouterr().err
    names = sorted(path.name for path in output.iterdir())
    assert names[-1] == "0_in_twice.ome.tif"
    assert ".1_in_twice.ome.tif.journal" in names
    monkeypatch.setattr(console, "describe", lambda e: seen.append(e) or describe(e))
    assert predict(model, folder, *words) == MISUSED
    assert "--resume skips what is complete" in capsys.readouterr().err
    seen.clear()
    assert predict(model, folder, *words, "--resume") == DONE
    (started,) = [event for event in seen if isinstance(event, PredictionStarted)]
    assert 3 <= started.done < started.tiles
    shown = capsys.readouterr()
    assert len(shown.out.split()) == 2
    assert "0_in_twice.ome.tif is complete already" in " ".join(shown.err.split())
    files = sorted(output.iterdir())
    assert [file.name for file in files] == [f"{n}_in_twice.ome.tif" for n in range(2)]
    for file in files:
        result = np.asarray(open_image(file).data)
        assert any(np.array_equal(result, expected) for expected in whole)


def test_a_plate_is_predicted_field_by_field(model, folder, tmp_path, capsys):
    plate = tmp_path / "in" / "p.ome.zarr"
    wells = ["A/1", "B/2"]
    group = zarr.create_group(plate, zarr_format=2)
    rows = [
        {"path": well, "rowIndex": n, "columnIndex": n} for n, well in enumerate(wells)
    ]
    named = {
        "rows": [{"name": "A"}, {"name": "B"}],
        "columns": [{"name": "1"}, {"name": "2"}],
    }
    group.attrs["plate"] = {"version": "0.4", "wells": rows, **named}
    for number, well in enumerate(wells):
        images = {"version": "0.4", "images": [{"path": "0"}]}
        group.create_group(well).attrs["well"] = images
        source = open_image(folder / f"{number}_in.ome.tif")
        save_image(source, plate / well / "0.zarr")
        (plate / well / "0.zarr").rename(plate / well / "0")
    (plate / "B" / "2" / "0" / "0" / "zarr.json").unlink()
    words = ["predict", "--model", str(model), "--inputs", str(tmp_path / "in")]
    words += ["--output", str(tmp_path / "out")]
    assert main(words) == FAILED
    assert "1 of 2 images failed" in capsys.readouterr().err
    result = tmp_path / "out" / "p_twice.ome.zarr"
    assert HCS.from_zarr(zarr.open_group(result, mode="r")).n_wells == 2
    assert not (result / "B" / "2" / "0").exists()
    first = open_image(result / "A" / "1" / "0")
    single = ["predict", "--model", str(model), "--output", str(tmp_path / "one.tif")]
    assert main([*single, "--inputs", str(folder / "0_in.ome.tif")]) == DONE
    beside = open_image(tmp_path / "one.tif")
    np.testing.assert_allclose(
        np.squeeze(first.data), np.squeeze(beside.data), rtol=1e-5
    )
    save_image(open_image(folder / "1_in.ome.tif"), plate / "B" / "2" / "0.zarr")
    shutil.rmtree(plate / "B" / "2" / "0")
    (plate / "B" / "2" / "0.zarr").rename(plate / "B" / "2" / "0")
    assert main([*words, "--resume"]) == DONE
    assert (result / "B" / "2" / "0" / "zarr.json").exists()


def test_a_folder_that_may_not_be_written_is_named(model, folder, capsys, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert predict(model, folder, "--output", str(folder / "shut")) == MISUSED
    assert "doesn't allow it: choose another folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["result.ome.zarr", "result.ome.tif"])
def test_a_result_says_what_repeats_it(model, folder, tmp_path, capsys, name):
    words = ["predict", "--model", str(model), "--output", str(tmp_path / name)]
    words += ["--inputs", str(folder / "0_in.ome.tif"), "--tile.y", "32"]
    words += ["--halo", "exact", "--region.x", "8", "72"]
    assert main(words) == DONE
    expected = np.asarray(open_image(tmp_path / name).data)
    capsys.readouterr()

    def told(form):
        capsys.readouterr()
        assert main(["provenance", str(tmp_path / name), "--form", form]) == DONE
        return capsys.readouterr().out

    again = shlex.split(told("command"))[1:]
    again[again.index("--output") + 1] = str(tmp_path / "b.ome.tif")
    assert main(again) == DONE
    file = tmp_path / "job.yaml"
    file.write_text(told("yaml"))
    third = ["--output", str(tmp_path / "c.ome.zarr")]
    assert main(["predict", "--config", str(file), *third]) == DONE
    for repeated in ("b.ome.tif", "c.ome.zarr"):
        pixels = np.asarray(open_image(tmp_path / repeated).data)
        np.testing.assert_array_equal(pixels.squeeze(), expected.squeeze())
    code = told("python").replace(
        "napari_im2im.predict(", "result = napari_im2im.predict("
    )
    names = {}
    exec(code, names)
    np.testing.assert_array_equal(names["result"].squeeze(), expected.squeeze())
    assert main(["provenance", str(folder / "0_in.ome.tif")]) == FAILED
    assert "doesn't say what it was made by" in capsys.readouterr().err


def test_the_challenge_finds_its_files(model, folder, tmp_path, capsys):
    source = tmp_path / "in" / "images" / "organelles-transmitted-light-ome-tiff"
    source.mkdir(parents=True)
    for number in range(2):
        target = source / f"image_{number}_BF_z0.ome.tiff"
        shutil.copy(folder / f"{number}_in.ome.tif", target)
    words = ["lightmycells", "--input", str(tmp_path / "in")]
    words += ["--output", str(tmp_path / "out"), "--nucleus", str(model)]
    assert main(words) == DONE
    results = tmp_path / "out" / "images" / "nucleus-fluorescence-ome-tiff"
    names = sorted(path.name for path in results.iterdir())
    assert names == sorted(path.name for path in source.iterdir())
    assert tifffile.imread(results / names[0]).shape == (64, 80)
    assert main(words) == MISUSED
    assert main([*words, "--resume"]) == DONE
    capsys.readouterr()
    assert main(words[:-2]) == MISUSED
    assert "at least one organelle" in capsys.readouterr().err
    assert main([*words, "--input", str(tmp_path)]) == MISUSED
    assert "no TIFF files" in capsys.readouterr().err


def test_a_missing_model_fails_with_a_sentence(folder, capsys):
    assert predict("no-such-model", folder) == FAILED
    assert (
        "There is no file and no model named no-such-model" in capsys.readouterr().err
    )


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_dry_run_of_a_prediction_writes_nothing(model, folder, capsys):
    output = folder / "dry"
    assert predict(model, folder, "--output", str(output), "--dry-run") == DONE
    assert "1 tile of" in capsys.readouterr().out
    assert (
        predict(model, folder, "--output", str(output), "--dry-run", "--json") == DONE
    )
    forecasts = lines(capsys)
    assert [forecast["event"] for forecast in forecasts] == ["PredictionForecast"] * 2
    assert forecasts[0]["shapes"][0]["y"] == 64
    assert forecasts[0]["disk"] >= forecasts[0]["size"] >= 64 * 80 * 4
    assert not output.exists()


def train_words(folder, output):
    return [
        *("train", "--name", "stopped", "--output", str(output)),
        *("--data.inputs", str(folder / "*_in.ome.tif")),
        *("--data.targets", str(folder / "*_out.ome.tif")),
        *("--effort.steps", "6", "--patch.y", "32", "--patch.x", "32"),
        *("--batch_size", "2", "--device", "cpu"),
        *("--network.kwargs.features", "[4, 4, 8, 8, 8, 4]"),
    ]


def test_a_training_starts_from_a_model_by_its_name(
    model, folder, capsys, monkeypatch, tmp_path
):
    monkeypatch.setenv("NAPARI_IM2IM_HOME", str(folder))
    capsys.readouterr()
    words = ["train", "--start_from", "twice", "--name", "on", "--dry_run"]
    words += ["--data.inputs", str(folder / "*_in.ome.tif")]
    words += ["--data.targets", str(folder / "*_out.ome.tif")]
    assert main(words) == DONE
    assert "BasicUNet with" in capsys.readouterr().out
    assert main([*words, "--start_from", "thrice"]) == FAILED
    assert "did you mean twice?" in capsys.readouterr().err


@pytest.mark.usefixtures("_ctrl_c")
def test_a_training_stops_at_ctrl_c_and_goes_on(folder, tmp_path, capsys, monkeypatch):
    describe, steps = console.describe, []

    def press_ctrl_c(event):
        if isinstance(event, Progress) and event.activity == "Training":
            steps.append(event.done)
            if event.done == 3 and len(steps) == 3:
                signal.raise_signal(signal.SIGINT)
        return describe(event)

    monkeypatch.setattr(console, "describe", press_ctrl_c)
    assert main(train_words(folder, tmp_path)) == INTERRUPTED
    run = tmp_path / "stopped"
    said = capsys.readouterr().err
    assert "What was finished is kept" in said
    assert f"To go on: napari-im2im train --resume {run}\n" in said
    monkeypatch.setattr(folders, "runs_folder", lambda: tmp_path)
    assert main(["train", "--resume", "stopped"]) == DONE
    assert steps == [1, 2, 3, 4, 5, 6]
    assert capsys.readouterr().out.split() == [str(run / "model")]
    assert main(["train", "--resume", str(tmp_path)]) == MISUSED
    assert "has no checkpoint to continue from" in capsys.readouterr().err


@pytest.mark.parametrize("trouble", ["forbidden", "full", "file"])
def test_a_run_folder_that_can_not_be_is_refused_first(
    folder, tmp_path, capsys, monkeypatch, trouble
):
    output = tmp_path / "runs"
    if trouble == "forbidden":
        monkeypatch.setattr(os, "access", lambda *_: False)
        sentence = "doesn't allow it: choose another folder"
    elif trouble == "full":
        usage = shutil.disk_usage(folder)._replace(free=1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
        sentence = "but the disk has 0.0 GB"
    else:
        output.write_text("")
        sentence = "is a file: choose another folder"
    assert main(train_words(folder, output)) == MISUSED
    assert sentence in capsys.readouterr().err


def test_the_nearest_model_is_named(model, folder, capsys, monkeypatch):
    monkeypatch.setenv("NAPARI_IM2IM_HOME", str(folder))
    assert predict("twcie", folder) == FAILED
    assert "did you mean twice?" in capsys.readouterr().err


def test_a_dry_run_of_a_training_writes_nothing(folder, capsys):
    words = [
        *("train", "--preset", "restoration-2d", "--output", str(folder / "none")),
        *("--data.inputs", str(folder / "*_in.ome.tif")),
        *("--data.targets", str(folder / "*_out.ome.tif")),
        *("--patch.y", "32", "--patch.x", "32", "--device", "cpu", "--dry-run"),
    ]
    assert main(words) == DONE
    sentences = capsys.readouterr().out
    assert "y 32 × x 32 pixels, 16 at a time" in sentences
    assert main([*words, "--json"]) == DONE
    (forecast,) = lines(capsys)
    assert (forecast["event"], forecast["network"]) == ("TrainingForecast", "UNet")
    assert forecast["steps"] == 100 * forecast["steps_per_epoch"]
    assert not (folder / "none").exists()


def test_json_tells_each_event_of_a_prediction(model, folder, capsys):
    assert predict(model, folder, "--output", str(folder / "json"), "--json") == DONE
    events = lines(capsys)
    finished = [each for each in events if each["event"] == "PredictionFinished"]
    assert [each["outputs"][0]["file"] for each in finished] == [
        str(folder / "json" / f"{n}_in_twice.ome.tif") for n in range(2)
    ]
    assert all("event" in each for each in events)


def test_a_full_disk_is_noticed_before_the_first_tile(
    model, folder, capsys, monkeypatch
):
    usage = shutil.disk_usage(folder)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert predict(model, folder, "--output", str(folder / "full")) == MISUSED
    assert "but the disk has 0.0 GB" in capsys.readouterr().err
    assert not (folder / "full").exists()


def test_presets_are_listed_and_shown_as_yaml(capsys):
    assert main(["presets"]) == DONE
    assert "labelfree-3d" in capsys.readouterr().out
    assert main(["presets", "--show", "labelfree-2d"]) == DONE
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["loss"] == {"l1": 0.5, "ssim": 0.5}
    assert main(["train", "--preset", "labelfre-2d"]) == MISUSED
    assert "did you mean labelfree-2d" in capsys.readouterr().err
