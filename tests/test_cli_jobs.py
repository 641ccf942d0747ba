"""Training and predicting from the command line, from files to files."""

import json
import shutil

import numpy as np
import pytest
import yaml

from napari_im2im.cli import DONE, FAILED, MISUSED, main
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
    assert "1 tiles of" in capsys.readouterr().out
    assert (
        predict(model, folder, "--output", str(output), "--dry-run", "--json") == DONE
    )
    forecasts = lines(capsys)
    assert [forecast["event"] for forecast in forecasts] == ["PredictionForecast"] * 2
    assert forecasts[0]["shapes"][0]["y"] == 64
    assert forecasts[0]["disk"] >= forecasts[0]["size"] >= 64 * 80 * 4
    assert not output.exists()


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
    assert predict(model, folder, "--output", str(folder / "full")) == FAILED
    assert "but the disk has 0.0 GB" in capsys.readouterr().err
    assert list((folder / "full").iterdir()) == []


def test_presets_are_listed_and_shown_as_yaml(capsys):
    assert main(["presets"]) == DONE
    assert "labelfree-3d" in capsys.readouterr().out
    assert main(["presets", "--show", "labelfree-2d"]) == DONE
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["loss"] == {"l1": 0.5, "ssim": 0.5}
    assert main(["train", "--preset", "labelfre-2d"]) == MISUSED
    assert "did you mean labelfree-2d" in capsys.readouterr().err
