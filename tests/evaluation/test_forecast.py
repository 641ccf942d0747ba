"""What is said of an evaluation before it begins."""

import numpy as np
import pytest

from napari_im2im.errors import ConfigError, DataError
from napari_im2im.evaluation.config import EvaluateConfig
from napari_im2im.evaluation.forecast import forecast_evaluation
from napari_im2im.evaluation.job import evaluate_events
from napari_im2im.images import Image, save_image
from packages import write_smooth_package

NAMES = ("DNA", "actin")


@pytest.fixture
def folder(tmp_path):
    """A group of two images and one of one, with two channels."""
    random = np.random.default_rng(0)
    for number, group in enumerate(["drug", "drug", "control"]):
        pixels = random.normal(100, 20, (2, 40, 48)).astype("float32")
        for kind in ("truth", "predicted"):
            image = Image(pixels, ("channel", "y", "x"), channel_names=NAMES)
            save_image(image, tmp_path / group / f"{number}_{kind}.ome.tif")
    return tmp_path


def config(folder, **options):
    return EvaluateConfig(
        predictions=[str(folder / "*" / "*_predicted.ome.tif")],
        truth=[str(folder / "*" / "*_truth.ome.tif")],
        **options,
    )


def written(folder):
    return {path for path in folder.rglob("*") if path.is_file()}


def test_it_names_pairs_channels_and_groups(folder):
    before = written(folder)
    forecast = forecast_evaluation(config(folder, normalization="lightmycells"))
    assert forecast.groups == {"drug": 2, "control": 1}
    assert {each.channels for each in forecast.comparisons} == {NAMES}
    first = forecast.comparisons[1]
    assert first.images == (str(folder / "drug" / "0_predicted.ome.tif"),)
    assert first.truth == str(folder / "drug" / "0_truth.ome.tif")
    assert "Euclidean" in forecast.describe()
    assert "Would be written: nothing" in forecast.describe()
    chosen = config(folder, channels=[1], truth_channels=[1])
    assert forecast_evaluation(chosen).comparisons[0].channels == ("actin",)
    assert written(folder) == before


def test_it_names_the_files_that_are_written(folder):
    job = config(folder, output=folder / "out", error_maps=True)
    forecast = forecast_evaluation(job)
    list(evaluate_events(job))
    made = {
        path.parent if path.suffix == ".png" else path
        for path in written(folder / "out")
    }
    assert set(forecast.files) == made
    with pytest.raises(ConfigError, match="overwrite replaces it"):
        forecast_evaluation(job)


def test_of_a_model_it_says_what_predicting_needs(tmp_path):
    model = write_smooth_package(tmp_path / "model")
    image = np.random.default_rng(0).normal(size=(40, 48)).astype("float32")
    pair = Image(image, ("y", "x"), name="a"), Image(image, ("y", "x"), name="b")
    job = EvaluateConfig(
        model=str(model), output=tmp_path / "out", keep_predictions=True
    )
    forecast = forecast_evaluation(job, [pair])
    assert forecast.comparisons[0].prediction.tiles == 1
    assert "a ↔ b, channel smooth 0; 1 tile of" in forecast.describe()
    assert tmp_path / "out" / "per_image" / "1_a.ome.tif" in forecast.files
    assert not (tmp_path / "out").exists()
    larger = Image(np.zeros((40, 50)), ("y", "x"), name="c")
    sentences = []
    for refuse in (forecast_evaluation, lambda *args: list(evaluate_events(*args))):
        with pytest.raises(DataError, match="has size 48 along x") as refusal:
            refuse(job, [(pair[0], larger)])
        sentences.append(str(refusal.value))
    assert sentences[0] == sentences[1]
