"""Testing what was trained on the images that it left alone."""

import csv

import numpy as np
import pytest

from napari_im2im.evaluation.trained import train_and_test_events
from napari_im2im.events import Message, TrainingFinished
from napari_im2im.images import Image, open_image, save_image
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.runs.report import write_report


@pytest.fixture
def config(tmp_path):
    random = np.random.default_rng(0)
    for number in range(4):
        pixels = random.normal(100, 20, (64, 64)).astype("float32")
        for name, data in (("in", pixels), ("out", 2 * pixels)):
            save_image(Image(data, ("y", "x")), tmp_path / f"{number}_{name}.ome.tif")
    return TrainConfig(
        data={
            "inputs": [str(tmp_path / "*_in.ome.tif")],
            "targets": [str(tmp_path / "*_out.ome.tif")],
            "test_fraction": 0.5,
        },
        output=tmp_path / "runs",
        patch={"y": 32, "x": 32},
        batch_size=2,
        network={"name": "BasicUNet", "kwargs": {"features": [4, 4, 8, 8, 8, 4]}},
        effort={"steps": 3},
        device="cpu",
    )


def test_the_best_model_is_measured_on_what_was_left_alone(config):
    last = list(train_and_test_events(config))[-1]
    assert isinstance(last, TrainingFinished)
    test = last.run_folder / "test"
    with (test / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    images = sorted((test / "per_image").iterdir())
    assert len(rows) == len(images) == 2
    assert open_image(images[0]).sizes["y"] == 64
    mean = np.mean([float(row["mae"]) for row in rows])
    assert last.metrics["test mae"] == pytest.approx(mean)
    with (test / "summary.csv").open(newline="") as file:
        assert float(next(csv.DictReader(file))["mae std"]) > 0
    assert "Test images" in write_report(last.run_folder).read_text("utf-8")


def test_layers_are_tested_too(config):
    folder = config.output.parent
    images = [sorted(folder.glob(f"*_{side}.*")) for side in ("in", "out")]
    pairs = [tuple(map(open_image, paths)) for paths in zip(*images, strict=True)]
    data = config.data.model_copy(update={"inputs": [], "targets": []})
    layers = config.model_copy(update={"data": data})
    events = list(train_and_test_events(layers, pairs))
    finished = events[-1]
    assert finished.metrics["test mae"] > 0
    said = [e.text for e in events if isinstance(e, Message)]
    (left_alone,) = [text for text in said if "left alone" in text]
    with (finished.run_folder / "test" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert all(row["image"].partition(" ")[2] in left_alone for row in rows)


def test_test_images_that_can_not_be_read_cost_no_model(config, tmp_path):
    events = []
    for event in train_and_test_events(config):
        events.append(event)
        if isinstance(event, Message) and "left alone for a test" in event.text:
            for number in range(4):
                path = tmp_path / f"{number}_out.ome.tif"
                if path.name.replace("out", "in") in event.text:
                    path.unlink()
    assert isinstance(events[-1], TrainingFinished)
    texts = [event.text for event in events if isinstance(event, Message)]
    assert any("test images weren't measured" in text for text in texts), texts
