"""Evaluations of files, arrays and models."""

import csv

import numpy as np
import pytest
from pydantic import ValidationError

import napari_im2im
from napari_im2im.errors import ConfigError, DataError
from napari_im2im.evaluation.config import EvaluateConfig
from napari_im2im.evaluation.job import (
    EvaluationFinished,
    ImageFailed,
    ImageScored,
    evaluate_events,
)
from napari_im2im.events import Message
from napari_im2im.images import Image, open_image, save_image
from napari_im2im.models import runtimes
from napari_im2im.models.runtimes import load_runtime
from packages import (
    write_smooth_package,
    write_two_input_package,
)


@pytest.fixture
def folder(tmp_path):
    """Two groups of two images with two channels; predictions are off by 1 and 2."""
    random = np.random.default_rng(0)
    for number, group in enumerate(["drug", "drug", "control", "control"]):
        truth = random.normal(100, 20, (2, 40, 48)).astype("float32")
        off = np.array([1, 2], "float32")[:, None, None]
        for kind, pixels in (("truth", truth), ("predicted", truth + off)):
            image = Image(
                pixels,
                ("channel", "y", "x"),
                {"y": 0.5, "x": 0.5},
                {"y": "micrometer", "x": "micrometer"},
                ("DNA", "actin"),
            )
            save_image(image, tmp_path / group / f"{number}_{kind}.ome.tif")
    return tmp_path


def config(folder, **options):
    return EvaluateConfig(
        predictions=[str(folder / "*" / "*_predicted.ome.tif")],
        truth=[str(folder / "*" / "*_truth.ome.tif")],
        **options,
    )


def test_files_are_measured_by_channel_image_and_group(folder):
    job = config(folder, output=folder / "out", error_maps=True)
    events = list(evaluate_events(job))
    scored = [event for event in events if isinstance(event, ImageScored)]
    assert len(scored) == 4
    last = events[-1]
    assert isinstance(last, EvaluationFinished)
    summaries = {(each.group, each.channel): each for each in last.summaries}
    assert summaries["all", "DNA"].mean["mae"] == pytest.approx(1, rel=1e-4)
    assert summaries["control", "actin"].mean["mae"] == pytest.approx(2, rel=1e-4)
    assert summaries["all", "all"].images == 4
    assert "Not normalised" in last.normalization
    with (folder / "out" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert {row["group"] for row in rows} == {"drug", "control"}
    assert {row["normalization"] for row in rows} == {"none"}
    error = open_image(folder / "out" / "errors" / "0_predicted_error.ome.tif")
    assert error.scale["y"] == 0.5
    np.testing.assert_allclose(error.read()[1], 2, rtol=1e-4)


def test_why_a_metric_is_missing_is_said(folder):
    texts = [e.text for e in evaluate_events(config(folder)) if isinstance(e, Message)]
    assert "MS-SSIM needs 176" in texts[0]


def test_results_are_not_overwritten_unasked(folder):
    output = folder / "out"
    list(evaluate_events(config(folder, output=output)))
    with pytest.raises(ConfigError, match="overwrite replaces it"):
        next(evaluate_events(config(folder, output=output)))
    list(evaluate_events(config(folder, output=output, overwrite=True)))


def test_groups_come_from_a_regular_expression(folder):
    last = list(evaluate_events(config(folder, group=r"/(\w)\w+/\d_truth")))[-1]
    assert {each.group for each in last.scores} == {"d", "c"}
    for pattern in ("(", "no parentheses"):
        with pytest.raises(ValidationError, match="group"):
            EvaluateConfig(group=pattern)


def test_a_broken_image_does_not_stop_the_others(folder):
    (folder / "drug" / "0_predicted.ome.tif").write_bytes(b"not a TIFF")
    events = list(evaluate_events(config(folder)))
    failed = [event for event in events if isinstance(event, ImageFailed)]
    assert [failure.image for failure in failed] == ["0_predicted.ome.tif"]
    assert events[-1].failed == tuple(failed)
    assert events[-1].summaries[0].images == 3


def test_chosen_channels_are_compared(folder):
    job = config(folder, channels=[1], truth_channels=[1])
    last = list(evaluate_events(job))[-1]
    assert {each.channel for each in last.scores} == {"actin"}
    with pytest.raises(DataError, match="choose channels of both"):
        list(evaluate_events(config(folder, channels=[1])))


def test_arrays_of_different_size_and_not_finite_are_refused():
    truth = np.random.default_rng(0).random((40, 48))
    with pytest.raises(DataError, match="size 40 along x"):
        napari_im2im.evaluate(truth[:, :40], truth)
    with pytest.raises(DataError, match="NaN"):
        napari_im2im.evaluate(np.full_like(truth, np.nan), truth)
    with pytest.raises(ConfigError, match="Did you mean normalization"):
        napari_im2im.evaluate(truth, truth, normalisation="none")


def test_arrays_are_evaluated_in_one_line():
    truth = np.random.default_rng(0).random((2, 3, 40, 48))
    result = napari_im2im.evaluate(
        [truth, 2 * truth], [truth, truth], axes="tcyx", truth_axes="tcyx"
    )
    assert len(result.scores) == 6
    assert result.summaries[0].mean["pcc"] == pytest.approx(1)


def test_a_model_is_evaluated_by_what_it_predicts(tmp_path):
    model = write_smooth_package(tmp_path / "model")
    image = np.random.default_rng(0).normal(size=(40, 48)).astype("float32")
    truth = napari_im2im.predict(model, image)
    result = napari_im2im.evaluate(image, truth + 0.5, model=model)
    assert result.summaries[0].mean["mae"] == pytest.approx(0.5, rel=1e-3)
    assert result.summaries[0].mean["pcc"] == pytest.approx(1, abs=1e-4)


def labels(shift=0):
    image = np.zeros((64, 64), np.uint16)
    for number, corner in enumerate([4, 24, 44], start=1):
        image[corner + shift : corner + shift + 12, corner : corner + 12] = number
    return image


def test_classes_are_measured_by_dice_and_iou():
    truth, prediction = labels() > 0, labels(3) > 0
    result = napari_im2im.evaluate(
        prediction.astype("uint8"), 2 * truth.astype("uint8"), metrics="masks"
    )
    assert {each.channel: each.metrics["dice"] for each in result.scores} == {
        "1": 0,
        "2": 0,
    }
    same = napari_im2im.evaluate(labels(3), labels(), metrics="masks")
    assert {each.channel for each in same.scores} == {"1", "2", "3"}
    assert same.summaries[0].mean["dice"] == pytest.approx(0.75)
    assert "Labels are compared as they are" in same.normalization


def test_objects_are_measured_by_precision_splits_and_merges(tmp_path):
    both = [labels(3), labels()], [labels(), labels()]
    result = napari_im2im.evaluate(
        *both, metrics="objects", output=tmp_path, error_maps=True
    )
    first = result.scores[0].metrics
    assert (first["ap 0.5"], first["ap 0.7"], first["objects"]) == (1, 0, 3)
    assert result.summaries[0].mean["f1 0.5"] == 1
    assert (tmp_path / "charts" / "ap-0.5.png").exists()
    error = open_image(next((tmp_path / "errors").glob("1*")))
    assert np.asarray(error.data).max() == 1


def test_intensities_are_no_labels():
    pixels = np.random.default_rng(0).normal(size=(40, 40))
    with pytest.raises(DataError, match="no labels"):
        napari_im2im.evaluate(pixels, pixels, metrics="objects")
    many = np.arange(1600).reshape(40, 40)
    with pytest.raises(DataError, match="metrics 'objects'"):
        napari_im2im.evaluate(many, many, metrics="masks")


def test_a_model_of_two_inputs_takes_a_pattern_for_each(tmp_path):
    model = write_two_input_package(tmp_path / "model")
    random = np.random.default_rng(0)
    images = [random.normal(size=(40, 48)).astype("float32") for _ in range(2)]
    truth = napari_im2im.predict(model, images) + 0.5
    named = {"in_a": images[0], "in_b": images[1], "truth": truth}
    for name, pixels in named.items():
        axes = ("y", "x") if pixels.ndim == 2 else ("channel", "y", "x")
        save_image(Image(pixels, axes), tmp_path / f"1_{name}.ome.tif")
    patterns = [str(tmp_path / f"*_in_{letter}.ome.tif") for letter in "ab"]
    job = {"model": model, "keep_predictions": True, "output": tmp_path / "out"}
    result = napari_im2im.evaluate(patterns, str(tmp_path / "*_truth*"), **job)
    assert result.summaries[0].mean["mae"] == pytest.approx(0.5, rel=1e-3)
    assert (tmp_path / "out" / "per_image" / "1_in_a.ome.tif").exists()
    arrays = napari_im2im.evaluate([tuple(images)], [truth], model=model)
    assert arrays.summaries[0].mean["mae"] == pytest.approx(0.5, rel=1e-3)
    with pytest.raises(ConfigError, match="name 2 inputs, not 1"):
        napari_im2im.evaluate(patterns[:1], str(tmp_path / "*_truth*"), model=model)


def test_the_model_is_loaded_once_with_what_is_trusted(tmp_path, monkeypatch):
    model = write_smooth_package(tmp_path / "model")
    image = np.random.default_rng(0).normal(size=(40, 48)).astype("float32")
    loaded = []

    def load(package, **options):
        loaded.append(options["trusted"])
        return load_runtime(package, **options)

    monkeypatch.setattr(runtimes, "load_runtime", load)
    napari_im2im.evaluate([image] * 2, [image] * 2, model=model, trusted=["f" * 64])
    assert loaded == [["f" * 64]]
