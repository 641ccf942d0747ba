"""Training goes on from models of ours and of others, or says why it can't."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_im2im.errors import ConfigError, TrustError
from napari_im2im.events import (
    Message,
    MetricsLogged,
    NewBest,
    Progress,
    TrainingFinished,
    TrainingStarted,
)
from napari_im2im.images.image import Image
from napari_im2im.models.package import ModelPackage, load_package
from napari_im2im.models.runtimes.torch_engine import load_network
from napari_im2im.models.tensors import Step
from napari_im2im.models.writing import write_package
from napari_im2im.training import trainer
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.normalization import ImageScaling
from napari_im2im.training.finetuning.freezing import freeze
from napari_im2im.training.finetuning.parent import (
    _OUTPUT_ARGUMENTS,
    _changed_argument,
    _strongest,
)
from napari_im2im.training.finetuning.scaling import (
    image_scaling_of_start,
    scaling_of_start,
)
from napari_im2im.training.finetuning.trainable import (
    open_start,
    why_new_head,
    why_not_trainable,
)
from napari_im2im.training.loop import train_events
from napari_im2im.training.preparation import prepare
from packages import tiny_content, write_tiny_package

if TYPE_CHECKING:
    from pathlib import Path

    from napari_im2im.events import Event

SOURCE = '''
import torch


class Blur(torch.nn.Module):
    """A network that no library has."""

    def __init__(self, n_in: int, n_classes: int) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(n_in, 4, 3, padding=1)
        self.head = torch.nn.Conv2d(4, n_classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.first(image)))
'''


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    return write_tiny_package(tmp_path / "parent", ("y", "x"), 1, 2)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A package that brings its own architecture."""
    scope: dict[str, Any] = {}
    exec(SOURCE, scope)
    torch.manual_seed(0)
    network = scope["Blur"](1, 2).eval()
    content = tiny_content(("y", "x"), 1, 2)
    (raw,) = content.test_inputs
    with torch.inference_mode():
        result = network(torch.from_numpy((raw - 20) / 4)).numpy()
    gain = np.array([10, 11], np.float32).reshape(1, 2, 1, 1)
    content = replace(
        content,
        network=network,
        network_name="Blur",
        network_kwargs={"n_in": 1, "n_classes": 2},
        network_source=("blur.py", SOURCE.encode()),
        test_outputs=(result * gain + np.float32(100) + gain - 10,),
    )
    return write_package(tmp_path / "foreign", content)


def images(channels: int = 2, mean: float = 20.0, std: float = 4.0) -> list[Any]:
    """Return pairs whose target is a mixture of two blurs of the input."""
    random = np.random.default_rng(0)
    pairs = []
    for number in range(2):
        pixels = random.normal(mean, std, (64, 64)).astype(np.float32)
        stains = [100 + 2.5 * (pixels - mean) * (n + 1) for n in range(channels)]
        target = np.stack(stains).astype(np.float32)
        pairs.append(
            (
                Image(pixels, ("y", "x"), name=f"in {number}"),
                Image(target, ("channel", "y", "x"), name=f"out {number}"),
            )
        )
    return pairs


def config(parent: Path, **changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "start_from": parent,
        "output": parent.parent / "runs",
        "patch": {"y": 32, "x": 32},
        "batch_size": 2,
        "effort": {"steps": 3},
        "device": "cpu",
    }
    return TrainConfig.model_validate(values | changes)


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_weights_and_normalisation_come_from_the_package(parent: Path) -> None:
    preparation = prepare(config(parent), images(), on_cpu=True)
    known = weights(load_network(load_package(parent)))
    assert all(
        torch.equal(value, known[name])
        for name, value in weights(preparation.network).items()
    )
    assert preparation.input_scaling.offset == (20.0,)
    assert preparation.task.scaling.offset == (100.0, 101.0)
    assert preparation.notes == (
        "Starts from the weights of Tiny network.",
        "All layers go on from where they are, with a learning rate of 0.0001.",
    )


def test_images_on_another_scale_are_measured_anew(parent: Path) -> None:
    preparation = prepare(config(parent), images(mean=5000.0, std=300.0), on_cpu=True)
    assert preparation.input_scaling.offset[0] == pytest.approx(5000, rel=0.05)
    assert "input is on another scale" in " ".join(preparation.notes)


def test_another_number_of_outputs_gets_a_new_head(parent: Path) -> None:
    preparation = prepare(config(parent), images(channels=3), on_cpu=True)
    known, now = weights(load_network(load_package(parent))), preparation.network
    changed = {
        name
        for name, value in weights(now).items()
        if not torch.equal(value, known[name])
    }
    assert preparation.start is not None
    assert changed == set(preparation.start.fresh)
    assert all(name.startswith("final_conv") for name in changed)
    assert "output has 3 channels, not 2" in " ".join(preparation.notes)


def test_the_new_package_names_its_parent(parent: Path) -> None:
    package = load_package(train(config(parent, name="child")))
    assert package.config["parent"]["name"] == "Tiny network"
    assert package.config["parent"]["sha256"] == load_package(parent).sha256
    assert "starting from Tiny network" in package.text


def train(config: TrainConfig, **kwargs: Any) -> Path:
    events: list[Event] = list(train_events(config, images(), **kwargs))
    assert any("Starts from" in e.text for e in events if isinstance(e, Message))
    last = events[-1]
    assert isinstance(last, TrainingFinished)
    return last.package


def test_frozen_layers_stay_and_the_others_learn(parent: Path) -> None:
    values = {"effort": {"steps": 5}, "optimizer": {"learning_rate": 0.01}}
    package = train(config(parent, freeze=["conv_0", "down_*"], **values))
    before = weights(load_network(load_package(parent)))
    after = weights(load_network(load_package(package)))
    same = {name for name in before if torch.equal(before[name], after[name])}
    early = {name for name in before if name.startswith(("conv_0", "down_"))}
    assert {name for name in early if "num_batches" not in name} <= same
    assert not any(
        name in same for name in before if name.startswith("final_conv.weight")
    )


def test_layers_are_frozen_by_depth(parent: Path) -> None:
    package = load_package(parent)
    network = load_network(package)
    preparation = prepare(config(parent), images(), on_cpu=True)
    freeze(network, config(parent, freeze_depth=0.5), 1, preparation.sizes)
    frozen = {n for n, p in network.named_parameters() if not p.requires_grad}
    assert any(name.startswith("conv_0") for name in frozen)
    assert not any(name.startswith("final_conv") for name in frozen)


def test_a_frozen_batch_norm_works_as_it_will_be_run(parent: Path) -> None:
    network = load_network(load_package(parent)).train()
    sizes = prepare(config(parent), images(), on_cpu=True).sizes
    pixels = 5 + torch.randn(2, 1, 32, 32)
    layer = network.get_submodule("conv_0").conv_0
    free = layer(pixels)
    freeze(network, config(parent, freeze=["conv_0"]), 1, sizes)
    held = layer(pixels)
    assert not torch.allclose(free, held)
    torch.testing.assert_close(held, layer.eval()(pixels))


def test_the_last_layer_starts_anew_when_asked(parent: Path) -> None:
    preparation = prepare(config(parent, new_head=True), images(), on_cpu=True)
    known, now = weights(load_network(load_package(parent))), preparation.network
    changed = {n for n, v in weights(now).items() if not torch.equal(v, known[n])}
    assert changed == {"final_conv.weight", "final_conv.bias"}
    assert preparation.start is not None
    assert set(preparation.start.fresh) == changed
    assert "last layer is new: as asked for" in " ".join(preparation.notes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("sigmoid", "result goes through 'sigmoid'"),
        ("semantic", "learned the task semantic, not image"),
        ("noise2void", ""),
    ],
)
def test_what_meant_something_else_gets_a_new_last_layer(
    parent: Path, change: str, said: str
) -> None:
    package = load_package(parent)
    if change == "sigmoid":
        package = changed(package, change)
    else:
        package = replace(package, config={"task": {"name": change}})
    reason = why_new_head(package, config(parent))
    assert said in reason
    assert bool(reason) == bool(said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"freeze": ["encoder"]}, "conv_0, down_1"), ({"freeze": ["*"]}, "at least one")],
)
def test_a_wrong_pattern_says_what_there_is(
    parent: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        prepare(config(parent, **changes), images(), on_cpu=True)


def test_another_number_of_inputs_keeps_the_response(parent: Path) -> None:
    pairs = [
        (Image(np.stack([a.data, a.data]), ("channel", "y", "x"), name=a.name), b)
        for a, b in images()
    ]
    preparation = prepare(config(parent), pairs, on_cpu=True)
    assert "the input has 2 channels, not 1" in " ".join(preparation.notes)
    pixels = torch.randn(1, 1, 32, 32)
    before = load_network(load_package(parent)).eval()
    with torch.inference_mode():
        after = preparation.network.eval()(pixels.repeat(1, 2, 1, 1))
        torch.testing.assert_close(after, before(pixels), atol=1e-4, rtol=1e-4)


def test_a_network_that_compares_its_channels_sees_one_alone() -> None:
    weights = torch.zeros(2, 2, 3, 3)
    weights[:, :, 1, 1] = torch.tensor([[3.0, -3.0], [-1.0, 1.5]])
    kept = _strongest(weights)
    assert kept.shape == (2, 1, 3, 3)
    assert kept.norm() == pytest.approx(float(weights.norm()))
    # Not the mean of both, which is next to nothing.
    assert kept[0, 0, 1, 1] / kept[1, 0, 1, 1] == pytest.approx(-2)


def test_rgb_images_are_read_as_three_channels(tmp_path: Path) -> None:
    parent = write_tiny_package(tmp_path / "parent", ("y", "x"), 3, 2)
    random = np.random.default_rng(0)
    pairs = [
        (
            Image(
                random.integers(10, 30, (64, 64, 3), dtype=np.uint8),
                ("y", "x", "channel"),
                channel_names=("red", "green", "blue"),
                name=target.name,
            ),
            target,
        )
        for _, target in images()
    ]
    preparation = prepare(config(parent), pairs, on_cpu=True)
    assert preparation.layout.input_channels == ("red", "green", "blue")
    assert preparation.start is not None
    assert not preparation.start.changed


def test_a_number_that_no_argument_sets_is_refused(foreign: Path) -> None:
    content = (foreign / "rdf.yaml").read_text()
    (foreign / "rdf.yaml").write_text(content.replace("n_classes:", "n_stains:"))
    package = load_package(foreign)
    with pytest.raises(ConfigError, match="returns 2 channels and has no argument"):
        _changed_argument(package, _OUTPUT_ARGUMENTS, 2, 3, "returns")


def test_a_model_with_its_own_code_is_trained_when_trusted(foreign: Path) -> None:
    package = load_package(foreign)
    architecture = package.weights["pytorch_state_dict"].architecture
    assert architecture is not None
    assert architecture.sha256 is not None
    with pytest.raises(TrustError):
        prepare(config(foreign), images(), on_cpu=True)
    trusted = {architecture.sha256}
    new = load_package(train(config(foreign), trusted=trusted))
    kept = new.weights["pytorch_state_dict"].architecture
    assert kept is not None
    assert kept.sha256 == architecture.sha256
    load_network(new, trusted=trusted)
    three = prepare(config(foreign), images(channels=3), on_cpu=True, trusted=trusted)
    assert three.plan.kwargs["n_classes"] == 3


def test_weights_that_only_run_are_refused_with_the_reason(parent: Path) -> None:
    package = load_package(parent)
    entry = replace(package.weights["pytorch_state_dict"], format="onnx")
    reason = why_not_trainable(replace(package, weights={"onnx": entry}))
    assert "only onnx weights" in reason


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("two outputs", "returns 2 images"),
        ("a table", "returns 1 images and more"),
        ("axes", "its axes are batch/y/x/channel"),
    ],
)
def test_models_of_another_kind_are_refused_with_the_reason(
    parent: Path, change: str, said: str
) -> None:
    assert said in why_not_trainable(changed(load_package(parent), change))


def changed(package: ModelPackage, change: str) -> ModelPackage:
    (source,), (target,) = package.inputs, package.outputs
    if change == "two outputs":
        return replace(package, outputs=(target, target))
    if change == "a table":
        return replace(package, left_out=(target,))
    if change == "axes":
        batch, channel, y, x = source.axes
        return replace(package, inputs=(replace(source, axes=(batch, y, x, channel)),))
    return replace(package, outputs=(replace(target, steps=(Step("sigmoid"),)),))


def test_the_axes_of_the_model_count(parent: Path) -> None:
    with pytest.raises(ConfigError, match="works on yx, not on zyx"):
        open_start(config(parent, spatial_axes="zyx"))
    assert open_start(config(parent))[1].spatial_axes == "yx"


def test_a_model_that_fits_is_the_first_best_and_learns_gently(parent: Path) -> None:
    events = list(train_events(config(parent, effort={"steps": 1}), images()))
    first = next(event for event in events if isinstance(event, NewBest))
    assert first.step == 0
    preparation = prepare(config(parent), images(), on_cpu=True)
    assert not preparation.adapts
    assert preparation.config.optimizer.learning_rate == pytest.approx(1e-4)
    asked = config(parent, optimizer={"learning_rate": 0.01})
    kept = prepare(asked, images(), on_cpu=True).config.optimizer.learning_rate
    assert kept == 0.01


def test_new_outputs_are_fitted_before_the_first_step(
    parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = []
    for _ in range(2):
        one = config(parent, effort={"steps": 1})
        events = train_events(one, images(channels=3))
        first = next(event for event in events if isinstance(event, MetricsLogged))
        events.close()
        assert first.step == 0
        losses.append(first.values["validation_loss"])
        monkeypatch.setattr(trainer, "adapt", lambda *_: False)
    fitted, random = losses
    assert fitted < 0.95 * random


@pytest.mark.parametrize(
    ("kwargs", "axes"),
    [
        ({"axes": ("channel", "y", "x")}, ("channel", "y", "x")),
        ({"axes": ("batch", "y", "x")}, ("y", "x")),
        ({}, ("channel", "y", "x")),
    ],
)
def test_models_that_normalise_each_image_go_on_doing_so(
    parent: Path, kwargs: dict[str, Any], axes: tuple[str, ...]
) -> None:
    source = load_package(parent).inputs[0]
    percentiles = {"min_percentile": 1, "max_percentile": 99}
    steps = (Step("scale_range", {**kwargs, **percentiles}), Step("ensure_dtype"))
    scaling = image_scaling_of_start(replace(source, steps=steps))
    assert scaling == ImageScaling(axes, "percentile", (1, 99))
    fixed = Step("fixed_zero_mean_unit_variance", {"mean": 1.0, "std": 2.0})
    assert image_scaling_of_start(replace(source, steps=(fixed,))) is None


def test_a_fine_tuning_that_was_cut_off_goes_on_with_the_same_scaling(
    parent: Path,
) -> None:
    # On another scale than the model's, but not so far that it is measured anew.
    pairs = images(mean=22.0, std=5.0)
    events = train_events(config(parent, effort={"steps": 30}), pairs)
    folder = next(e.run_folder for e in events if isinstance(e, TrainingStarted))
    next(e for e in events if isinstance(e, Progress) and e.done == 2)
    events.close()
    resumed = TrainConfig(resume=folder, effort={"steps": 4})
    *_, last = train_events(resumed, pairs)
    assert isinstance(last, TrainingFinished)


@pytest.mark.parametrize(
    ("steps", "is_target", "offset", "scale"),
    [
        ((Step("scale_linear", {"gain": 0.25, "offset": -5.0}),), False, 20.0, 4.0),
        ((Step("zero_mean_unit_variance", {}),), False, 20.0, 4.0),
        ((), True, 10.7, 18.6),
        ((Step("scale_linear", {"gain": 4.0, "offset": 20.0}),), True, 20.0, 4.0),
    ],
)
def test_steps_of_others_become_one_scaling(
    steps: tuple[Step, ...], is_target: bool, offset: float, scale: float
) -> None:
    pixels = np.random.default_rng(0).normal(20, 4, (1, 200, 200))
    scaling, _ = scaling_of_start(steps, [pixels], is_target=is_target)
    if is_target and not steps:
        offset, scale = (
            np.percentile(pixels, 0.1),
            np.ptp(np.percentile(pixels, (0.1, 99.9))),
        )
    assert scaling.offset[0] == pytest.approx(offset, rel=0.02)
    assert scaling.scale[0] == pytest.approx(scale, rel=0.02)
