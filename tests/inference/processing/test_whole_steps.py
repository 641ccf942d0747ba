"""Steps that need a whole result: code of the package, StarDist, Cellpose."""

from __future__ import annotations

import shutil
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.ndimage import label

from napari_im2im.errors import ModelError, TrustError
from napari_im2im.events import PredictionFinished
from napari_im2im.images.image import Image
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.forecast import forecast_prediction
from napari_im2im.inference.prediction import predict_events
from napari_im2im.models.archive import sha256_of
from napari_im2im.models.package import load_package
from napari_im2im.models.runtimes import load_runtime
from packages import (
    STEPPED,
    change_steps,
    custom_step,
    random_image,
    tensor,
    write_custom_package,
    write_smooth_package,
)

if TYPE_CHECKING:
    from collections.abc import Collection

PIXELS = (random_image(48, 64, seed=5) * 40 + 200).astype(np.float32)

COUNT = """
from scipy.ndimage import label


def count(threshold):
    def run(array):
        return label(array > threshold)[0]

    return run
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_smooth_package(tmp_path_factory.mktemp("smooth") / "model")


@pytest.fixture
def model(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "model"))


def predict(
    folder: Path, image: Image, trusted: Collection[str] = (), **config: Any
) -> Image:
    job = PredictConfig(model=str(folder), device="cpu", engine="torchscript", **config)
    *_, last = predict_events(job, [image], trusted=trusted)
    assert isinstance(last, PredictionFinished)
    return last.outputs[0]


def convolve(folder: Path, pixels: np.ndarray) -> np.ndarray:
    runtime = load_runtime(load_package(folder), engine="torchscript", device="cpu")
    (result,) = runtime([pixels.astype(np.float32)[None, None]])
    runtime.close()
    return result[0, 0]


def test_code_after_the_network_sees_the_whole_result(model: Path) -> None:
    steps = [custom_step(model, "count", COUNT, threshold=0.0)]
    change_steps(model, after=steps, data={"type": "uint16"})
    trusted = {sha256_of(model / "count.py")}
    normal = (PIXELS - 200) / 40
    series = Image(np.stack([normal, normal[::-1]]), ("time", "y", "x"))
    for tile in (None, {"y": 24, "x": 24}):
        result = predict(model, series, trusted, tile=tile)
        assert result.dtype == np.uint16
        for plane, pixels in zip(result.read(), series.read(), strict=True):
            expected, objects = label(convolve(model, pixels) > 0)
            assert objects > 5
            np.testing.assert_array_equal(plane.squeeze(), expected)


def test_code_of_a_step_runs_only_after_consent(model: Path) -> None:
    change_steps(model, after=[custom_step(model, "count", COUNT, threshold=0.0)])
    image = Image(PIXELS, ("y", "x"))
    with pytest.raises(TrustError, match=r"count\.py.*trusting [0-9a-f]{64}"):
        predict(model, image)
    with pytest.raises(TrustError):
        forecast_prediction(PredictConfig(model=str(model)), [image])
    token = sha256_of(model / "count.py")
    (model / "count.py").write_text("raise SystemExit")
    with pytest.raises(ModelError, match="damaged or was changed"):
        predict(model, image, {token})


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def count(threshold):\n    return lambda array: array[..., 1:]", "the shape"),
        ("def count(threshold):\n    return lambda array: 1 / 0", "ZeroDivisionError"),
        ("def count():\n    return abs", "TypeError"),
        ("def count(threshold):\n    return 1", "returned no function"),
        ("other = 1", "AttributeError"),
        ("import no_such_library", "pip install no_such_library"),
    ],
)
def test_code_that_fails_says_how(model: Path, code: str, sentence: str) -> None:
    change_steps(model, after=[custom_step(model, "count", code, threshold=0.0)])
    with pytest.raises(ModelError, match=sentence):
        predict(model, Image(PIXELS, ("y", "x")), {sha256_of(model / "count.py")})


class Rays(torch.nn.Module):
    """Gives three channels at half the size."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = torch.nn.Conv2d(1, channels, stride, stride)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.convolution(image)


def write_labelling(
    folder: Path, channels: int, stride: int, step: dict[str, Any]
) -> Path:
    """Write a package whose network gives more channels than its description."""
    write_custom_package(
        folder,
        Rays(channels, stride),
        [tensor("image", STEPPED)],
        [tensor("labels", {"y": "image", "x": "image"})],
        [random_image(1, 1, 24, 32)],
        test_outputs=[np.zeros((1, 1, 24, 32), np.float32)],
    )
    return change_steps(folder, after=[step], data={"type": "uint16"})


STARDIST = {
    "id": "stardist_postprocessing",
    "kwargs": {
        "prob_threshold": 0.25,
        "nms_threshold": 0.3,
        "n_rays": 2,
        "grid": [2, 2],
        "b": 2,
    },
}
CELLPOSE = {
    "id": "cellpose_flow_dynamics",
    "kwargs": {
        "cellprob_threshold": 0.5,
        "flow_threshold": 0.25,
        "do_3D": False,
        "min_size": 3,
    },
}


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make modules of functions that can be imported."""

    def make(name: str, **functions: Any) -> None:
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        vars(module).update(functions)
        monkeypatch.setitem(sys.modules, name, module)

    return make


def test_stardist_separates_the_whole_result(tmp_path: Path, library: Any) -> None:
    def suppress(dist: Any, prob: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
        assert dist.shape == (*prob.shape, 2)
        assert (kwargs["grid"], kwargs["b"]) == ((2, 2), 2)
        return prob > kwargs["prob_thresh"], prob, dist

    def draw(dist: Any, points: Any, prob: Any, shape: Any) -> np.ndarray:
        fine = np.repeat(np.repeat(label(points)[0], 2, 0), 2, 1)
        return np.asarray(fine[: shape[0], : shape[1]], np.int32)

    library("stardist", non_maximum_suppression=suppress, polygons_to_label=draw)
    folder = write_labelling(tmp_path / "model", 3, 2, STARDIST)
    network = Rays(3, 2).eval()
    pixels = random_image(48, 64, seed=2)
    with torch.inference_mode():
        prob = network(torch.from_numpy(pixels)[None, None])[0, 0].numpy()
    expected = np.repeat(np.repeat(label(prob > 0.25)[0], 2, 0), 2, 1)
    image = Image(pixels, ("y", "x"), scale={"y": 0.5, "x": 0.5})
    for config in ({}, {"tile": {"y": 24, "x": 24}}):
        result = predict(folder, image, **config)
        assert result.metadata["kind"] == "labels"
        assert result.scale == image.scale
        np.testing.assert_array_equal(result.read().squeeze(), expected)
    part = predict(folder, image, region={"y": (7, 31)}, output=tmp_path / "a.ome.zarr")
    assert part.sizes["y"] == 24


def test_cellpose_follows_the_flows_of_the_whole_result(
    tmp_path: Path, library: Any
) -> None:
    def follow(flows: Any, probability: Any, **kwargs: Any) -> np.ndarray:
        assert len(flows) == 2
        return np.asarray(label(probability > kwargs["cellprob_threshold"])[0])

    library("cellpose")
    library("cellpose.dynamics", compute_masks=follow)
    library(
        "cellpose.utils",
        fill_holes_and_remove_small_masks=lambda mask, min_size: mask * (min_size == 3),
    )
    folder = write_labelling(tmp_path / "model", 3, 1, CELLPOSE)
    pixels = random_image(48, 64, seed=2)
    with torch.inference_mode():
        result = Rays(3, 1).eval()(torch.from_numpy(pixels)[None, None])
    expected = label(result[0, 2].numpy() > 0.5)[0]
    for config in ({}, {"tile": {"y": 24, "x": 24}}):
        ours = predict(folder, Image(pixels, ("y", "x")), **config)
        assert ours.dtype == np.uint16
        np.testing.assert_array_equal(ours.read().squeeze(), expected)


@pytest.mark.parametrize("step", [STARDIST, CELLPOSE])
def test_a_missing_library_is_named(
    tmp_path: Path, step: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = step["id"].partition("_")[0]
    monkeypatch.setattr(
        "napari_im2im.inference.processing.whole_steps.find_spec", lambda _: None
    )
    folder = write_labelling(tmp_path / "model", 3, 1, step)
    with pytest.raises(ModelError, match=f"pip install {name}"):
        predict(folder, Image(PIXELS, ("y", "x")))
