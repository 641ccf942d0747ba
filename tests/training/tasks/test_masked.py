from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter

from napari_im2im.errors import ConfigError
from napari_im2im.events import Message, NewBest, Preview
from napari_im2im.images.image import Image
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.prediction import predict_events
from napari_im2im.models.package import load_package
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.samples import Layout
from napari_im2im.training.loop import train_events
from napari_im2im.training.tasks.masked import MaskedTask, hidden_blocks

CPU = torch.device("cpu")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def task(axes="yx", scale=None, **values):
    config = TrainConfig(task="masked", masked=values)
    layout = Layout(tuple(axes), ("input",), ("input",), scale=scale or {})
    return MaskedTask(config, layout)


@given(
    st.sampled_from([(3, 40, 56), (2, 9, 32, 24), (1, 5, 7)]),
    st.integers(1, 30),
    st.floats(0.1, 0.9),
    st.integers(0, 100),
)
def test_hidden_pixels_form_whole_blocks_of_a_grid(shape, side, share, seed):
    block = [side] * (len(shape) - 1)
    hidden = hidden_blocks(shape, block, share, generator(seed), CPU)
    assert (hidden.shape, hidden.dtype) == ((shape[0], 1, *shape[1:]), torch.bool)
    for axis, size in enumerate(shape[1:], start=1):
        length = min(side, max(1, size // 2))
        for patch in hidden[:, 0].numpy():
            lines = np.moveaxis(patch, axis - 1, 0).reshape(size, -1)
            edges = np.flatnonzero((lines[1:] != lines[:-1]).any(1)) + 1
            assert len(set(edges % length)) <= 1


@pytest.mark.parametrize("shape", [(16, 128, 128), (8, 16, 64, 64)])
@pytest.mark.parametrize("share", [0.5, 0.75])
def test_so_much_of_each_patch_is_hidden(shape, share):
    hidden = hidden_blocks(shape, [16] * (len(shape) - 1), share, generator(), CPU)
    assert float(hidden.float().mean()) == pytest.approx(share, abs=0.03)
    assert not torch.equal(hidden[0], hidden[1])


def test_blocks_are_about_as_thick_as_wide():
    assert task("zyx").block == (16, 16, 16)
    assert task("zyx", {"z": 4.0, "y": 1.0, "x": 1.0}).block == (4, 16, 16)
    assert task("zyx", {"z": 99.0, "y": 1.0, "x": 1.0}).block == (1, 16, 16)
    assert task("zyx", block={"z": 2}).block == (2, 16, 16)


def test_hidden_pixels_count_and_tell_nothing():
    torch.manual_seed(0)
    inputs = torch.randn((2, 2, 64, 64), generator=generator())
    seen, target, counted = task().corrupt(inputs, inputs, None)
    hidden = counted.bool().expand_as(inputs)
    assert target is inputs
    assert torch.equal(seen[~hidden], inputs[~hidden])
    for n in range(2):
        for c in range(2):
            values = seen[n, c][hidden[n, c]]
            assert values.min() == values.max()
            left = inputs[n, c][~hidden[n, c]].mean()
            assert float(values[0]) == pytest.approx(float(left), abs=1e-5)


def test_pixels_that_are_excluded_never_count():
    inputs = torch.randn((2, 1, 64, 64), generator=generator())
    weight = torch.zeros_like(inputs)
    assert not task().corrupt(inputs, inputs, weight)[2].any()


def test_validation_hides_the_same_blocks_each_time_and_in_the_preview():
    inputs = torch.randn((1, 1, 64, 64), generator=generator())
    learned = task()
    first, again = (learned.examine(inputs, inputs, None) for _ in range(2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[2].bool(), learned.hidden_in_validation((64, 64)))
    image, guess = inputs[0].numpy(), np.full((1, 64, 64), 9.0)
    holes, whole, filled = learned.shown(image, image, guess)
    hidden = first[2][0].bool().numpy()
    assert (holes[hidden] == image.min()).all()
    assert whole is image
    assert np.array_equal(filled, np.where(hidden, 9.0, image))


def test_what_changes_the_look_is_refused():
    with pytest.raises(ValidationError, match="their look must stay"):
        TrainConfig(task="masked", augmentation="heavy")
    TrainConfig(task="masked", augmentation={"rotation": 30, "elastic": 2})
    with pytest.raises(ConfigError, match="names the axis z"):
        task(block={"z": 4}).check([])


def texture(axes, seed=0, name="cells"):
    shape = (128, 128) if axes == "yx" else (16, 64, 80)
    pixels = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 4)
    pixels = 1000 + 500 * pixels / pixels.std()
    return Image(pixels.astype(np.float32), tuple(axes), {}, {}, name=name)


def config(axes, folder, **values):
    return TrainConfig.model_validate(
        {
            "output": folder,
            "network": {
                "name": "UNet",
                "kwargs": {"channels": [8, 16, 32], "strides": [2, 2]},
            },
            "patch": {a: 16 if a == "z" else 32 for a in axes},
            "spatial_axes": axes,
            "batch_size": 8 if axes == "yx" else 2,
            "optimizer": {"learning_rate": 5e-3},
            "device": "cpu",
            **values,
        }
    )


@pytest.mark.parametrize("axes", ["yx", "zyx"])
def test_a_pretrained_network_is_where_a_training_starts(axes, tmp_path):
    image = texture(axes)
    pretraining = config(
        axes,
        tmp_path,
        name="pretrained",
        task="masked",
        masked={"block": {"y": 4, "x": 4} | ({"z": 4} if axes == "zyx" else {})},
        effort={"steps": 60 if axes == "yx" else 20},
    )
    events = list(train_events(pretraining, [(image, image)]))
    finished = events[-1]
    assert finished.metrics["pcc"] > 0.5
    preview = [event for event in events if isinstance(event, Preview)][-1]
    assert (preview.input != preview.target).mean() > 0.4
    package = load_package(finished.package)
    assert "not to predict with" in package.text
    assert package.config["task"]["name"] == "masked"
    events = predict_events(PredictConfig(model=str(finished.package)), [image])
    said = [event.text for event in events if isinstance(event, Message)]
    assert any("start a training from it" in text for text in said)
    target = replace(image, data=(image.data > 1000).astype(np.uint8), name="mask")
    training = config(
        axes,
        tmp_path,
        name="cells",
        task="semantic",
        start_from=finished.package,
        effort={"steps": 4},
    )
    events = list(train_events(training, [(image, target)]))
    said = [event.text for event in events if isinstance(event, Message)]
    assert any("the model learned the task masked, not semantic" in t for t in said)
    first = next(event for event in events if isinstance(event, NewBest))
    assert first.step == 0
    made = load_package(events[-1].package)
    assert made.config["parent"]["name"] == "pretrained"
    assert "starting from pretrained" in made.text


def test_resuming_hides_the_same_blocks(tmp_path):
    image = texture("yx")
    whole = config("yx", tmp_path, task="masked", effort={"steps": 12})
    undisturbed = list(train_events(whole, [(image, image)]))[-1]
    events = train_events(whole, [(image, image)])
    for event in events:
        if isinstance(event, NewBest):
            break
    events.close()
    stopped = tmp_path / "model-2"
    resumed = whole.model_copy(update={"resume": stopped})
    again = list(train_events(resumed, [(image, image)]))[-1]
    assert again.metrics == undisturbed.metrics
