"""Objects are learned, previewed, packaged and predicted as labels."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.draw import disk

from napari_im2im.api import predict
from napari_im2im.errors import DataError
from napari_im2im.events import Message, MetricsLogged, NewBest, Preview
from napari_im2im.images.image import Image
from napari_im2im.inference.objects.decoding import decode
from napari_im2im.inference.objects.scores import score_objects
from napari_im2im.models.package import load_package
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.samples import Layout, Sample
from napari_im2im.training.loop import train_events
from napari_im2im.training.tasks.opening import open_task

TASKS = ["instances", "embedding"]


def cells(seed=0, size=96, dtype=np.uint16):
    """Return bright discs that touch, with darker rims, and their labels."""
    random = np.random.default_rng(seed)
    labels = np.zeros((size, size), dtype)
    pixels = np.full((size, size), 100.0)
    for number in range(1, 29):
        centre, radius = random.uniform(0, size, 2), random.uniform(5, 8)
        outer = disk(centre, radius, shape=labels.shape)
        labels[outer], pixels[outer] = number, 200
        pixels[disk(centre, radius - 2, shape=labels.shape)] = 400
    noisy = gaussian_filter(pixels, 0.7) + random.normal(0, 15, pixels.shape)
    return (
        Image(noisy.clip(0).astype(np.uint16), ("y", "x"), name=f"cells {seed}"),
        Image(labels, ("y", "x"), name=f"labels {seed}"),
    )


def config(task, steps, folder, **values):
    return TrainConfig(
        task=task,
        network={"kwargs": {"features": [8, 8, 16, 16, 16, 8]}},
        patch={"y": 32, "x": 32},
        batch_size=4,
        optimizer={"learning_rate": 0.01},
        effort={"steps": steps},
        output=folder,
        device="cpu",
        **values,
    )


def task_of(name, targets, **values):
    layout = Layout(("y", "x"), ("cells",), ("labels",))
    task = open_task(TrainConfig(task=name, **values).completed(), layout)
    samples = [Sample(np.zeros((1, *t.shape)), t[None], "a") for t in targets]
    task.check(samples)
    task.learn(samples, None)
    return task


@pytest.mark.parametrize(("task", "least"), [("instances", 0.5), ("embedding", 0.3)])
def test_a_short_training_separates_objects(task, least, tmp_path):
    events = list(
        train_events(config(task, 40, tmp_path), [cells(n) for n in range(6)])
    )
    notes = [e.text for e in events if isinstance(e, Message)]
    assert any("objects, most of them of" in note for note in notes)
    logged = [e.values for e in events if isinstance(e, MetricsLogged)]
    assert logged[-1]["ap 0.5"] >= least
    preview = next(e for e in events if isinstance(e, Preview))
    assert preview.labels
    assert preview.prediction.shape == preview.target.shape
    package = [e for e in events if isinstance(e, NewBest)][-1].package
    image, truth = cells(99, size=150)
    tiled = predict(package, image, tile={"y": 96, "x": 80}, halo="exact")
    whole = predict(package, image)
    assert tiled.dtype == np.int32
    assert score_objects(truth.data, tiled).average_precision(0.5) >= least
    assert score_objects(whole, tiled).average_precision(0.9) == 1
    raw = predict(package, image, result="raw")
    description = load_package(package)
    channels = description.outputs[0].axis("channel").channel_names
    assert raw.shape == (len(channels), 150, 150)
    assert list(channels) == description.config["task"]["channels"]
    assert description.description.tags == ["instance-segmentation"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", TASKS)
def test_the_package_passes_the_standards_own_test(task, tmp_path):
    from bioimageio.core import test_model

    values = {"instances": {"distance": True}} if task == "instances" else {}
    events = list(
        train_events(config(task, 2, tmp_path, **values), [cells(0), cells(1)])
    )
    package = [e for e in events if isinstance(e, NewBest)][-1].package
    summary = test_model(package / "rdf.yaml", devices=["cpu"])
    assert summary.status == "passed", summary.display()


@pytest.mark.parametrize("name", TASKS)
def test_negative_labels_and_costs_are_left_out(name):
    target = cells()[1].data.astype(np.int16)
    target[:20] = -1
    task = task_of(name, [target])
    _, weight = task.encode(target[None, None], None)
    np.testing.assert_array_equal(weight[0, 0] > 0, target >= 0)
    cost = np.full((1, 1, *target.shape), 2.0)
    _, weight = task.encode(target[None, None], cost)
    np.testing.assert_array_equal(weight[0, 0] > 0, target >= 0)
    assert weight[0, 0].max() >= 2


def test_metrics_are_perfect_for_the_truth():
    target = cells()[1].data
    task = task_of("instances", [target])
    maps, _ = task.encode(target[None, None], None)
    metrics = task.metrics(torch.from_numpy(maps), target[None, None], None)
    assert metrics["ap 0.5"] > 0.9
    blank = task.metrics(torch.zeros(1, 2, *target.shape), target[None, None], None)
    assert blank == {"ap 0.5": 0, "ap 0.75": 0}


def test_seeds_are_those_that_suit_validation():
    target = cells()[1].data
    task = task_of("instances", [target])
    maps, _ = task.encode(target[None, None], None)
    hesitant = torch.from_numpy(0.1 + 0.65 * maps)
    assert decode(hesitant[0].numpy(), task.meaning()).max() == 0
    metrics = task.metrics(hesitant, target[None, None], None)
    assert metrics["ap 0.5"] > 0.9
    assert task.meaning()["seed"] < 0.75 * 0.9
    sure = torch.from_numpy(maps)
    task.metrics(sure, target[None, None], None)
    assert task.meaning()["seed"] == 0.8


@pytest.mark.parametrize("distance", [False, True])
def test_the_way_objects_are_made_suits_what_is_learned(distance):
    target = cells()[1].data
    task = task_of("instances", [target], instances={"distance": distance})
    maps, _ = task.encode(target[None, None], None)
    unsure = 0.05 + 0.9 * maps[0]
    found = decode(unsure, task.meaning())
    assert score_objects(target, found).average_precision(0.5) > 0.9
    # A stray pixel that looks like the inside of an object is none.
    y, x = np.argwhere(maps[0, 1] > 0)[0]
    unsure[:, y, x] = (0.95, 0.05, 0.95)[: len(unsure)]
    assert decode(unsure, task.meaning()).max() == found.max()


@pytest.mark.parametrize("name", TASKS)
def test_masks_are_refused_before_the_first_step(name, tmp_path):
    image, labels = cells()
    mask = Image((labels.data > 0).astype(np.uint8), ("y", "x"), name="mask")
    with pytest.raises(DataError, match=r"mask of \d+ objects .* \(connected"):
        list(train_events(config(name, 1, tmp_path), [(image, mask)]))


def test_a_model_to_start_from_keeps_its_reach():
    package = SimpleNamespace(config={"task": {"name": "embedding", "extent": [9, 40]}})
    layout = Layout(("y", "x"), ("cells",), ("labels",))
    task = open_task(TrainConfig(task="embedding").completed(), layout)
    target = cells()[1].data[None]
    sample = Sample(np.zeros(target.shape), target, "a")
    notes = task.learn([sample], SimpleNamespace(package=package))
    assert task.meaning()["extent"] == [9, 40]
    assert "9 × 40 pixels" in notes[-1]
