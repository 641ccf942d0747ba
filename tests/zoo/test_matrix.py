"""Packages of every shape: test passes, whole equals tiled, and core agrees."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import yaml
from scipy.special import expit, softmax

from napari_im2im.events import Message
from napari_im2im.models.archive import sha256_of
from napari_im2im.models.package import load_package
from napari_im2im.models.tensors import SteppedSize
from napari_im2im.zoo.compatibility import check_runs
from napari_im2im.zoo.testing import PackageTested, reproduction_events
from packages import (
    STEPPED,
    change_steps,
    custom_step,
    predict_with_core,
    random_image,
    tensor,
    write_custom_package,
    write_fixed_size_package,
    write_two_input_package,
    write_two_output_package,
    write_upscaling_package,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

IMAGE = (random_image(1, 2, 40, 48, seed=3) * 30 + 100).astype(np.float32)
MEANS = {"axis": "channel", "mean": [90.0, 110.0], "std": [20.0, 40.0]}
PER_CHANNEL = {"axes": ["y", "x"]}
ALL_AXES = {"axes": ["channel", "y", "x"]}


def run(folder: Path, trusted: Collection[str] = ()) -> PackageTested:
    *_, last = reproduction_events(load_package(folder), trusted=trusted)
    assert isinstance(last, PackageTested)
    return last


def assert_passes(
    folder: Path, trusted: Collection[str] = (), tiled: bool = True
) -> None:
    result = run(folder, trusted)
    assert result.passed, [one.sentence for one in result.results]
    for one in result.results:
        assert not one.problem
        assert all(comparison.passed for comparison in one.whole)
        assert bool(one.tiled) is tiled


class Mixing(torch.nn.Module):
    """A convolution of two channels, of about unit gain."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.convolution(image)


@dataclass(frozen=True)
class Template:
    folder: Path
    network: torch.nn.Module

    def convolve(self, array: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            result = self.network(torch.from_numpy(array.astype(np.float32)))
        return np.asarray(result.numpy(), np.float64)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    torch.manual_seed(1)
    network = Mixing().eval()
    folder = write_custom_package(
        tmp_path_factory.mktemp("mixing") / "model",
        network,
        [tensor("image", STEPPED, channels=2)],
        [tensor("mixed", {"y": "image", "x": "image"}, channels=2, halo=1)],
        [IMAGE],
    )
    return Template(folder, network)


def with_steps(
    template: Template,
    folder: Path,
    before: list[dict[str, Any]],
    after: list[dict[str, Any]],
    expected: np.ndarray,
) -> Path:
    """Return the template with other steps and the result that they must give."""
    shutil.copytree(template.folder, folder)
    after = [
        custom_step(folder, "ranks", RANKS, **one["kwargs"])
        if one["id"] == "custom"
        else one
        for one in after
    ]
    return change_steps(folder, before, after, expected)


def along(values: list[float]) -> np.ndarray:
    return np.array(values).reshape(1, -1, 1, 1)


def standardise(axes: tuple[int, ...], eps: float = 1e-6) -> Any:
    return lambda x: (
        (x - x.mean(axes, keepdims=True)) / (x.std(axes, keepdims=True) + eps)
    )


def ranged(low: float, high: float, axes: tuple[int, ...] = (1, 2, 3)) -> Any:
    def function(x: np.ndarray) -> np.ndarray:
        bottom, top = np.percentile(x, [low, high], axes, keepdims=True)
        return (x - bottom) / (top - bottom + 1e-6)

    return function


def step(name: str, **kwargs: Any) -> dict[str, Any]:
    return {"id": name, "kwargs": kwargs} if kwargs else {"id": name}


BEFORE: dict[str, tuple[list[dict[str, Any]], Any]] = {
    "standardised jointly": (
        [step("zero_mean_unit_variance", **ALL_AXES)],
        standardise((1, 2, 3)),
    ),
    "standardised by channel": (
        [step("zero_mean_unit_variance", **PER_CHANNEL)],
        standardise((2, 3)),
    ),
    "standardised over the data set": (
        [step("zero_mean_unit_variance")],
        standardise((0, 1, 2, 3)),
    ),
    "standardised with a large eps": (
        [step("zero_mean_unit_variance", eps=0.1, **ALL_AXES)],
        standardise((1, 2, 3), 0.1),
    ),
    "scaled by percentiles": (
        [step("scale_range", min_percentile=5.0, max_percentile=98.0, **ALL_AXES)],
        ranged(5, 98),
    ),
    "scaled by channel": (
        [step("scale_range", min_percentile=1.0, max_percentile=99.8, **PER_CHANNEL)],
        ranged(1, 99.8, (2, 3)),
    ),
    "fixed mean and std": (
        [step("fixed_zero_mean_unit_variance", **MEANS)],
        lambda x: (x - along([90, 110])) / along([20, 40]),
    ),
    "one fixed mean and std": (
        [step("fixed_zero_mean_unit_variance", mean=100.0, std=25.0)],
        lambda x: (x - 100) / 25,
    ),
    "linear": (
        [step("scale_linear", gain=0.01, offset=-1.0)],
        lambda x: x * 0.01 - 1,
    ),
    "linear by channel": (
        [step("scale_linear", axis="channel", gain=[0.01, 0.02], offset=[0.0, 1.0])],
        lambda x: x * along([0.01, 0.02]) + along([0, 1]),
    ),
    "clipped": ([step("clip", min=80.0, max=120.0)], lambda x: x.clip(80, 120)),
    "binarised": (
        [step("binarize", threshold=100.0), step("ensure_dtype", dtype="float32")],
        lambda x: (x > 100).astype(float),
    ),
    "binarised by channel": (
        [
            step("binarize", axis="channel", threshold=[90.0, 110.0]),
            step("ensure_dtype", dtype="float32"),
        ],
        lambda x: (x > along([90, 110])).astype(float),
    ),
    "clipped by percentiles": (
        [step("clip", min_percentile=5.0, max_percentile=95.0, **ALL_AXES)],
        lambda x: x.clip(*np.percentile(x, [5, 95], method="inverted_cdf")),
    ),
    "sigmoid": (
        [step("scale_linear", gain=0.1, offset=-10.0), step("sigmoid")],
        lambda x: expit(x * 0.1 - 10),
    ),
    "softmax": (
        [step("scale_linear", gain=0.1, offset=0.0), step("softmax", axis="channel")],
        lambda x: softmax(x * 0.1, 1),
    ),
    "several": (
        [
            step("ensure_dtype", dtype="float32"),
            step("clip", min=70.0, max=130.0),
            step("scale_linear", gain=2.0, offset=5.0),
            step("zero_mean_unit_variance", **PER_CHANNEL),
            step("ensure_dtype", dtype="float32"),
        ],
        lambda x: standardise((2, 3))(x.clip(70, 130) * 2 + 5),
    ),
    "statistics after another step": (
        [
            step("scale_linear", gain=0.5, offset=3.0),
            step("scale_range", min_percentile=0.0, max_percentile=90.0, **ALL_AXES),
        ],
        lambda x: ranged(0, 90)(x * 0.5 + 3),
    ),
}

AFTER: dict[str, tuple[list[dict[str, Any]], Any]] = {
    "sigmoid": ([step("sigmoid")], lambda y, x: expit(y)),
    "softmax": ([step("softmax", axis="channel")], lambda y, x: softmax(y, 1)),
    "binarised": (
        [
            step("sigmoid"),
            step("binarize", threshold=0.5),
            step("ensure_dtype", dtype="float32"),
        ],
        lambda y, x: (y > 0).astype(float),
    ),
    "to uint8": (
        [
            step("sigmoid"),
            step("scale_linear", gain=255.0, offset=0.0),
            step("ensure_dtype", dtype="uint8"),
        ],
        lambda y, x: (expit(y) * 255).astype(np.uint8),
    ),
    "clipped": ([step("clip", min=-0.5, max=0.5)], lambda y, x: y.clip(-0.5, 0.5)),
    "linear by channel": (
        [step("scale_linear", axis="channel", gain=[10.0, 20.0], offset=[5.0, 7.0])],
        lambda y, x: y * along([10, 20]) + along([5, 7]),
    ),
    "fixed mean and std": (
        [step("fixed_zero_mean_unit_variance", mean=0.5, std=0.25)],
        lambda y, x: (y - 0.5) / 0.25,
    ),
    "standardised": (
        [step("zero_mean_unit_variance", **PER_CHANNEL)],
        lambda y, x: standardise((2, 3))(y),
    ),
    "code of its own": (
        [{"id": "custom", "callable": "ranks", "kwargs": {"factor": 2.0}}],
        lambda y, x: 2 * np.argsort(np.argsort(y, None)).reshape(y.shape),
    ),
    "scaled like the input": (
        [step("scale_mean_variance", reference_tensor="image", **ALL_AXES)],
        lambda y, x: standardise((1, 2, 3))(y) * (x.std() + 1e-6) + x.mean(),
    ),
    "scaled by percentiles": (
        [step("scale_range", min_percentile=1.0, max_percentile=99.0, **ALL_AXES)],
        lambda y, x: ranged(1, 99)(y),
    ),
    "range of the input": (
        [
            step(
                "scale_range",
                reference_tensor="image",
                min_percentile=1.0,
                max_percentile=99.0,
                **ALL_AXES,
            )
        ],
        lambda y, x: (
            (y - np.percentile(x, 1))
            / (np.percentile(x, 99) - np.percentile(x, 1) + 1e-6)
        ),
    ),
}

RANKS = """import numpy as np


class ranks:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, array):
        order = np.argsort(np.argsort(array, None))
        return self.factor * order.reshape(array.shape).astype(np.float32)
"""
"""Gives the rank of each pixel among all."""

CORE_DIFFERS = {
    "before statistics after another step": "statistics of the raw tensor are used",
    "before several": "statistics of the raw tensor are used",
    "before standardised with a large eps": "eps is ignored",
    "before binarised by channel": "raises ValueError",
    "after standardised": "raises KeyError",
    "after scaled like the input": "raises KeyError",
    "after scaled by percentiles": "raises KeyError",
}
"""Where bioimageio.core 0.11 gives another result than the specification says."""

CORE_AGREES = (
    "before standardised by channel",
    "before scaled by percentiles",
    "after to uint8",
)
"""Some of those where it gives the same; the rest takes too long for every run."""

CASES = [f"before {name}" for name in BEFORE] + [f"after {name}" for name in AFTER]


def expected_of(template: Template, case: str) -> tuple[Any, Any, np.ndarray]:
    side, _, name = case.partition(" ")
    image = IMAGE.astype(np.float64)
    if side == "before":
        steps, function = BEFORE[name]
        return steps, [], template.convolve(function(image)).astype(np.float32)
    standard, prepare = BEFORE["standardised jointly"]
    steps, function = AFTER[name]
    result = function(template.convolve(prepare(image)), image)
    narrow = np.float32 if result.dtype == np.float64 else result.dtype
    return standard, steps, result.astype(narrow)


@pytest.mark.parametrize("case", CASES)
def test_every_step_gives_what_the_specification_says(
    template: Template, tmp_path: Path, case: str
) -> None:
    folder = with_steps(template, tmp_path / "model", *expected_of(template, case))
    code = folder / "ranks.py"
    assert_passes(folder, {sha256_of(code)} if code.exists() else ())


OLD: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], Any]] = {
    "fixed by channel": (
        [
            step(
                "zero_mean_unit_variance",
                mode="fixed",
                axes="xy",
                mean=[90.0, 110.0],
                std=[20.0, 40.0],
            )
        ],
        [],
        lambda convolve, x: convolve((x - along([90, 110])) / along([20, 40])),
    ),
    "by sample": (
        [step("zero_mean_unit_variance", mode="per_sample", axes="cyx")],
        [step("sigmoid"), step("binarize", threshold=0.5)],
        lambda convolve, x: (convolve(standardise((1, 2, 3))(x)) > 0).astype(float),
    ),
    "by data set": (
        [
            step("clip", min=50.0, max=150.0),
            step("zero_mean_unit_variance", mode="per_dataset", axes="xy"),
        ],
        [],
        lambda convolve, x: convolve(standardise((2, 3))(x.clip(50, 150))),
    ),
    "percentiles": (
        [
            step(
                "scale_range",
                mode="per_sample",
                axes="xy",
                min_percentile=1.0,
                max_percentile=99.8,
            )
        ],
        [step("scale_linear", axes="xy", gain=[10.0, 20.0], offset=[5.0, 7.0])],
        lambda convolve, x: (
            convolve(ranged(1, 99.8, (2, 3))(x)) * along([10, 20]) + along([5, 7])
        ),
    ),
    "like the input": (
        [step("zero_mean_unit_variance", mode="per_sample", axes="cyx")],
        [
            step(
                "scale_mean_variance",
                mode="per_sample",
                axes="cyx",
                reference_tensor="image",
            )
        ],
        lambda convolve, x: (
            standardise((1, 2, 3))(convolve(standardise((1, 2, 3))(x)))
            * (x.std() + 1e-6)
            + x.mean()
        ),
    ),
}
"""Steps as format 0.4 writes them."""


def as_format_0_4(folder: Path, before: Any, after: Any, expected: np.ndarray) -> None:
    """Describe the package in format 0.4."""
    new = yaml.safe_load((folder / "rdf.yaml").read_text("utf-8"))
    (source,), (result,) = new["inputs"], new["outputs"]
    np.save(folder / result["test_tensor"]["source"], expected)

    def steps(given: Any) -> list[dict[str, Any]]:
        kwargs = [{"kwargs": s["kwargs"]} if "kwargs" in s else {} for s in given]
        return [{"name": s["id"], **k} for s, k in zip(given, kwargs, strict=True)]

    common = {"axes": "bcyx", "data_type": "float32", "data_range": [None, None]}
    content = {
        "format_version": "0.4.10",
        "type": "model",
        "name": "Old model",
        "description": "Described as models were before.",
        "authors": [{"name": "A. Tester"}],
        "cite": [{"text": "none", "doi": "10.1000/none"}],
        "license": "MIT",
        "timestamp": "2023-01-01T00:00:00",
        "tags": ["unet"],
        "documentation": "README.md",
        "inputs": [
            {
                "name": "image",
                "shape": {"min": [1, 2, 16, 16], "step": [0, 0, 8, 8]},
                "preprocessing": steps(before),
                **common,
            }
        ],
        "outputs": [
            {
                "name": "mixed",
                "shape": {
                    "reference_tensor": "image",
                    "scale": [1, 1, 1, 1],
                    "offset": [0, 0, 0, 0],
                },
                "halo": [0, 0, 1, 1],
                "postprocessing": steps(after),
                **common,
            }
        ],
        "test_inputs": [source["test_tensor"]["source"]],
        "test_outputs": [result["test_tensor"]["source"]],
        "weights": {"torchscript": new["weights"]["torchscript"]},
    }
    (folder / "rdf.yaml").write_text(yaml.safe_dump(content), "utf-8")


@pytest.mark.parametrize("case", OLD)
def test_every_step_of_format_0_4_does_what_it_did(
    template: Template, tmp_path: Path, case: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(template.folder, folder)
    before, after, function = OLD[case]
    expected = function(template.convolve, IMAGE.astype(np.float64))
    as_format_0_4(folder, before, after, expected.astype(np.float32))
    assert_passes(folder)


@pytest.mark.parametrize("case", [*CORE_DIFFERS, *CORE_AGREES])
def test_core_gives_the_same_where_it_is_right(
    template: Template, tmp_path: Path, case: str
) -> None:
    before, after, expected = expected_of(template, case)
    folder = with_steps(template, tmp_path / "model", before, after, expected)
    try:
        (result,) = predict_with_core(folder, [IMAGE])
    except (KeyError, ValueError):
        result = np.full(expected.shape, np.nan)
    close = np.allclose(result, expected, rtol=1e-3, atol=1e-3)
    assert close is (case not in CORE_DIFFERS), CORE_DIFFERS.get(case)


@pytest.mark.parametrize(
    "write",
    [write_two_input_package, write_two_output_package, write_upscaling_package],
)
def test_odd_numbers_and_sizes_of_tensors(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    folder = write(tmp_path / "model")
    assert_passes(folder)
    images = load_package(folder).test_inputs()
    for ours, theirs in zip(
        run(folder).results[0].whole, predict_with_core(folder, images), strict=True
    ):
        np.testing.assert_allclose(ours.actual, theirs, rtol=1e-4, atol=1e-5)


def test_a_fixed_size_with_plain_integers(tmp_path: Path) -> None:
    folder = write_fixed_size_package(tmp_path / "model")
    assert_passes(folder, tiled=False)
    (theirs,) = predict_with_core(folder, load_package(folder).test_inputs())
    ours = run(folder).results[0].whole[0].actual
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_volume(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"z": SteppedSize(4, 2), "y": SteppedSize(8, 4), "x": SteppedSize(8, 4)}
    folder = write_custom_package(
        tmp_path / "model",
        torch.nn.Conv3d(1, 1, 3, padding=1),
        [tensor("volume", sizes)],
        [tensor("smooth", dict.fromkeys("zyx", "volume"), halo=1)],
        [random_image(1, 1, 8, 16, 20)],
    )
    assert_passes(folder)


def test_an_undeclared_halo(tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = write_custom_package(
        tmp_path / "model",
        torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 5, padding=2),
            torch.nn.ReLU(),
            torch.nn.Conv2d(4, 1, 5, padding=2),
        ),
        [tensor("image", STEPPED)],
        [tensor("smooth", {"y": "image", "x": "image"})],
        [random_image(1, 1, 64, 64)],
    )
    assert_passes(folder)


def test_a_state_dict_of_a_library_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = write_custom_package(
        tmp_path / "model",
        torch.nn.Conv2d(1, 1, 3, padding=1),
        [tensor("image", STEPPED)],
        [tensor("smooth", {"y": "image", "x": "image"})],
        [random_image(1, 1, 24, 32)],
        formats=("pytorch_state_dict",),
        architecture={
            "import_from": "torch.nn",
            "callable": "Conv2d",
            "kwargs": {
                "in_channels": 1,
                "out_channels": 1,
                "kernel_size": 3,
                "padding": 1,
            },
        },
    )
    assert_passes(folder)


def test_channels_last(tmp_path: Path) -> None:
    class ChannelsLast(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = torch.nn.Conv2d(3, 2, 3, padding=1)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            result = self.convolution(image.permute(0, 3, 1, 2))
            return result.permute(0, 2, 3, 1)

    torch.manual_seed(0)
    network = ChannelsLast().eval()
    folder = write_custom_package(
        tmp_path / "model",
        network.convolution,
        [tensor("image", STEPPED, channels=3)],
        [tensor("out", {"y": "image", "x": "image"}, channels=2)],
        [random_image(1, 3, 24, 32)],
    )
    description = folder / "rdf.yaml"
    content = yaml.safe_load(description.read_text("utf-8"))
    for one in (content["inputs"][0], content["outputs"][0]):
        batch, channel, *rest = one["axes"]
        one["axes"] = [batch, *rest, channel]
        path = folder / one["test_tensor"]["source"]
        np.save(path, np.moveaxis(np.load(path), 1, -1))
        one["test_tensor"]["sha256"] = sha256_of(path)
    weights = content["weights"]["torchscript"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = torch.zeros(1, 24, 32, 3)
        torch.jit.trace(network, example).save(str(folder / weights["source"]))
    weights["sha256"] = sha256_of(folder / weights["source"])
    description.write_text(yaml.safe_dump(content), "utf-8")
    assert_passes(folder)


class WithVector(torch.nn.Module):
    """Returns the mean brightness besides an image."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return image.mean((2, 3)), self.convolution(image)


def test_an_output_that_is_no_image_is_left_out_and_said(tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = write_custom_package(
        tmp_path / "model",
        WithVector(),
        [tensor("image", STEPPED)],
        [tensor("brightness", {}), tensor("out", {"y": "image", "x": "image"})],
        [random_image(1, 1, 24, 32)],
        formats=("torchscript", "onnx"),
    )
    assert_passes(folder)
    note = "Only images are shown, not brightness (batch, channel)."
    said = [
        event.text
        for event in reproduction_events(load_package(folder))
        if isinstance(event, Message)
    ]
    assert note in said
    assert check_runs(load_package(folder)).sentence == f"Runs here. {note}"


PROMPTED = """import torch


class Prompted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, points=None, image=None):
        result = self.convolution(image)
        return result if points is None else result + points.sum()
"""


def test_an_optional_input_that_is_no_image_is_left_out(tmp_path: Path) -> None:
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(1, 1, 3, padding=1)
    points = tensor("points", {}, optional=True)
    arrays = [np.ones((1, 1), np.float32), random_image(1, 1, 24, 32)]
    with torch.inference_mode():
        expected = convolution(torch.from_numpy(arrays[1])).numpy()
    namespace: dict[str, Any] = {}
    exec(PROMPTED, namespace)
    network = namespace["Prompted"]()
    network.convolution = convolution
    folder = write_custom_package(
        tmp_path / "model",
        network,
        [points, tensor("image", STEPPED)],
        [tensor("out", {"y": "image", "x": "image"})],
        arrays,
        test_outputs=[expected],
        formats=("pytorch_state_dict",),
        architecture={"source": PROMPTED, "callable": "Prompted", "kwargs": {}},
    )
    assert_passes(folder, {sha256_of(folder / "network.py")})
    assert "points (batch, channel)" in load_package(folder).note
