"""Training and predicting from the command line, from files to files."""

import numpy as np
import pytest

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
