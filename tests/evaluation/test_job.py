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
from packages import write_smooth_package


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
