from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter

from napari_im2im.errors import DataError
from napari_im2im.events import MetricsLogged, NewBest, Preview
from napari_im2im.images.image import Image
from napari_im2im.models.package import load_package
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.samples import Layout, Sample
from napari_im2im.training.loop import train_events
from napari_im2im.training.tasks.semantic import SemanticTask

STRIPES = np.repeat(np.arange(4), 4)[None, None, :].repeat(16, axis=1)
"""Labels 0 to 3, ``(1, 16, 16)``."""


def semantic_task(channels=("target",), **semantic):
    layout = Layout(("y", "x"), ("phase",), channels)
    config = TrainConfig(task="semantic", semantic=semantic)
    return SemanticTask(config.completed(), layout)


def checked(target, channels=("target",), **semantic):
    task = semantic_task(channels, **semantic)
    task.check([sample(target)])
    return task


def sample(target):
    return Sample(np.zeros((1, *target.shape[1:])), target, "a")


@pytest.mark.parametrize(
    ("labels", "values"),
    [
        (STRIPES > 1, (0, 1)),
        ((STRIPES > 1) * np.uint8(255), (0, 255)),
        (STRIPES.astype(np.uint8), (0, 1, 2, 3)),
        (STRIPES.astype(np.int32) * 100 - 50, (-50, 50, 150, 250)),
    ],
)
def test_the_labels_that_there_are_become_classes(labels, values):
    task = checked(labels)
    assert task.classes.values == values
    encoded, weight = task.encode(labels[None].astype(np.float32), None)
    assert weight is None
    expected = np.searchsorted(values, labels)
    np.testing.assert_array_equal(encoded[0], expected)
    assert len(task.output_names) == (1 if len(values) == 2 else len(values))


def test_anti_aliased_masks_are_refused_unless_the_labels_are_known():
    clean = np.zeros((1, 128, 128))
    clean[:, 20:70, 30:90] = 128
    clean[:, 80:110, 10:100] = 255
    smooth = gaussian_filter(clean, (0, 1, 1)).astype(np.uint8)
    with pytest.raises(DataError, match=r"anti-aliased.*semantic\.values"):
        checked(smooth)
    task = checked(smooth, values=[0, 128, 255], classes=["a", "b", "c"])
    assert task.output_names == ("a", "b", "c")
    encoded, _ = task.encode(smooth[None], None)
    wrong = encoded[0] != np.searchsorted([0, 128, 255], clean)
    assert wrong.mean() < 0.05


def test_classes_may_be_listed_in_any_order():
    task = checked(STRIPES, values=[2, 0, 1, 3])
    encoded, _ = task.encode(STRIPES[None], None)
    np.testing.assert_array_equal(encoded[0, 0, 0, ::4], [1, 2, 0, 3])


def test_numbered_objects_are_learned_as_foreground_only():
    objects = np.zeros((1, 120, 120), np.int32)
    for number in range(100):
        y, x = divmod(number, 10)
        objects[:, 12 * y : 12 * y + 9, 12 * x : 12 * x + 9] = number + 1
    with pytest.raises(DataError, match=r"101 different labels.*foreground"):
        checked(objects)
    task = checked(objects, foreground=True)
    assert task.output_names == ("foreground",)
    encoded, _ = task.encode(objects[None].astype(np.float32), None)
    np.testing.assert_array_equal(encoded[0], objects > 0)


def test_what_is_not_labelled_does_not_count():
    task = checked(STRIPES, ignore=0)
    assert task.classes.values == (1, 2, 3)
    weight = np.full((1, 1, 16, 16), 2.0)
    _, combined = task.encode(STRIPES[None], weight)
    np.testing.assert_array_equal(combined[0], 2.0 * (STRIPES > 0))
    with pytest.raises(DataError, match="only one label besides 0"):
        checked((STRIPES > 1).astype(np.uint8), ignore=0)


def test_one_class_only_is_refused():
    with pytest.raises(DataError, match="only one label, 7"):
        checked(np.full((1, 16, 16), 7))


def test_a_class_that_no_training_image_shows_is_refused():
    task = checked(STRIPES, classes=["a", "b", "c", "d", "e"])
    with pytest.raises(DataError, match="No training image shows the class e"):
        task.learn([sample(STRIPES)], None)


def test_a_mask_for_each_class():
    masks = np.concatenate([STRIPES == 1, STRIPES >= 2]).astype(np.uint8) * 255
    task = checked(masks, ("membrane", "nucleus"))
    assert task.classes.names == ("background", "membrane", "nucleus")
    encoded, _ = task.encode(masks[None].astype(np.float32), None)
    np.testing.assert_array_equal(encoded[0, 0, 0, ::4], [0, 1, 2, 2])
    everywhere = np.concatenate([STRIPES < 2, STRIPES >= 2])
    assert checked(everywhere, ("a", "b")).classes.names == ("a", "b")


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    "loss", ["dice", "generalized_dice", "cross_entropy", "focal", "tversky", "cldice"]
)
def test_a_sure_right_answer_costs_little_and_unlabelled_pixels_nothing(classes, loss):
    labels = np.minimum(STRIPES, classes - 1)
    task = checked(labels)
    task.config = task.config.model_copy(update={"loss": {loss: 1.0}})
    encoded, _ = task.encode(labels[None], None)
    target = torch.from_numpy(encoded)
    hot = torch.nn.functional.one_hot(target[:, 0].long(), classes).movedim(-1, 1)
    right = 40 * (hot if classes > 2 else hot[:, 1:]).float() - 20
    module = task.loss((16, 16))
    assert module(right, target, None) < 0.05
    assert module(-right, target, None) > 0.5
    wrong = right.clone()
    wrong[..., 8:] *= -1
    weight = torch.ones(1, 1, 16, 16)
    weight[..., 8:] = 0
    assert module(wrong, target, weight) < 0.05


def test_metrics_are_of_each_class_where_it_counts():
    task = checked(np.minimum(STRIPES, 2), classes=["background", "ring", "core"])
    truth = np.minimum(STRIPES, 2)[None]
    index = truth.copy()
    index[..., :2] = 2
    guess = torch.nn.functional.one_hot(torch.from_numpy(index[:, 0]), 3).movedim(-1, 1)
    values = task.metrics(guess.float(), truth, None)
    assert values["dice ring"] == 1
    assert values["iou core"] == pytest.approx(8 / 10)
    assert values["dice core"] == pytest.approx(16 / 18)
    assert values["dice"] == pytest.approx((1 + 16 / 18) / 2)
    weights = np.ones(truth.shape)
    weights[..., :2] = 0
    assert task.metrics(guess.float(), truth, weights)["dice"] == 1


def test_losses_of_images_are_refused():
    with pytest.raises(ValidationError, match="semantic has no loss 'l1': choose from"):
        TrainConfig(task="semantic", loss={"l1": 1.0})
    with pytest.raises(ValidationError, match="image has no loss 'dice'"):
        TrainConfig(loss={"dice": 1.0})


def labelled_pairs(classes, count=3):
    """Return noisy images of blobs, and which pixels are which."""
    pairs = []
    for number in range(count):
        random = np.random.default_rng(number)
        field = gaussian_filter(random.random((64, 64)), 4)
        edges = np.quantile(field, np.linspace(0, 1, classes + 1)[1:-1])
        labels = np.digitize(field, edges).astype(np.uint8)
        noisy = labels * 60 + random.normal(100, 15, labels.shape)
        pixels = noisy.astype(np.uint16)
        pairs.append(
            (
                Image(pixels, ("y", "x"), name=f"field {number}"),
                Image(labels, ("y", "x"), name=f"labels {number}"),
            )
        )
    return pairs


@pytest.mark.parametrize("classes", [2, 3])
def test_a_short_training_finds_the_classes(classes, tmp_path):
    config = TrainConfig(
        task="semantic",
        network={"kwargs": {"features": [8, 8, 8, 8, 8, 8]}},
        patch={"y": 32, "x": 32},
        batch_size=4,
        optimizer={"learning_rate": 0.01},
        effort={"steps": 40},
        output=tmp_path,
        device="cpu",
    )
    events = list(train_events(config, labelled_pairs(classes)))
    logged = [e.values for e in events if isinstance(e, MetricsLogged)]
    assert logged[-1]["dice"] > 0.8
    assert ("dice class 2" in logged[-1]) == (classes == 3)
    preview = next(e for e in events if isinstance(e, Preview))
    assert preview.labels
    assert preview.prediction.shape == preview.target.shape
    assert set(np.unique(preview.prediction)) <= {*range(classes)}
    best = [e for e in events if isinstance(e, NewBest)]
    package = load_package(best[-1].package)
    assert package.config["task"]["values"] == [*range(classes)]
    (output,) = package.outputs
    assert output.axis("channel").channel_names[-1] in ("foreground", "class 2")
    assert [step.id for step in output.steps if step.id != "ensure_dtype"] == [
        "sigmoid" if classes == 2 else "softmax"
    ]
    assert package.description.tags == ["semantic-segmentation"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("classes", [2, 3])
def test_the_package_passes_the_standards_own_test(classes, tmp_path):
    from bioimageio.core import test_model

    config = TrainConfig(
        task="semantic",
        network={"kwargs": {"features": [4, 4, 4, 4, 4, 4]}},
        effort={"steps": 2},
        output=tmp_path,
        device="cpu",
    )
    events = list(train_events(config, labelled_pairs(classes)))
    package = [e for e in events if isinstance(e, NewBest)][-1].package
    summary = test_model(package / "rdf.yaml", devices=["cpu"])
    assert summary.status == "passed", summary.display()


def quick(tmp_path, pairs, **values):
    config = TrainConfig(
        task="semantic",
        network={"kwargs": {"features": [4, 4, 4, 4, 4, 4]}},
        patch={"y": 32, "x": 32},
        batch_size=2,
        effort={"steps": 2},
        output=tmp_path,
        device="cpu",
        **values,
    )
    return [e for e in train_events(config, pairs) if isinstance(e, NewBest)][-1]


def with_targets(pairs, make):
    return [(image, replace(labels, **make(labels.data))) for image, labels in pairs]


@pytest.mark.parametrize(
    ("make", "settings", "classes"),
    [
        (lambda labels: {"data": labels > 0}, {}, 2),
        (lambda labels: {"data": labels.astype(np.int64)}, {"ignore": 0}, 2),
        (
            lambda labels: {
                "data": np.stack([labels == 1, labels == 2]) * np.uint8(255),
                "axes": ("channel", "y", "x"),
                "channel_names": ("ring", "core"),
            },
            {},
            3,
        ),
    ],
)
def test_masks_of_all_kinds_train(make, settings, classes, tmp_path):
    pairs = with_targets(labelled_pairs(3, count=2), make)
    package = load_package(quick(tmp_path, pairs, semantic=settings).package)
    assert len(package.config["task"]["classes"]) == classes


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda labels: {"data": labels.astype(np.float32)}, "is of float32"),
        (
            lambda labels: {
                "data": np.stack([labels] * 3),
                "axes": ("channel", "y", "x"),
                "channel_names": ("red", "green", "blue"),
            },
            "is RGB",
        ),
        (lambda labels: {"data": np.zeros_like(labels)}, "only one label, 0"),
    ],
)
def test_what_is_no_mask_is_refused_before_the_first_step(make, sentence, tmp_path):
    pairs = with_targets(labelled_pairs(3, count=2), make)
    with pytest.raises(DataError, match=sentence):
        quick(tmp_path, pairs)


def test_a_training_goes_on_from_a_model_of_the_same_classes(tmp_path):
    pairs = labelled_pairs(3, count=2)
    first = quick(tmp_path, pairs)
    second = quick(tmp_path, pairs, start_from=first.package)
    task = load_package(second.package).config["task"]
    assert task == load_package(first.package).config["task"]
