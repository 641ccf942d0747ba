"""Packages on disk are predicted with every engine, tiled as whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_im2im.errors import ConfigError
from napari_im2im.events import PredictionFinished
from napari_im2im.images.image import Image
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.prediction import predict_events
from packages import write_tiny_package

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_package(tmp_path_factory.mktemp("package") / "model")


def predicted(package: Path, image: Image, **config: Any) -> PredictionFinished:
    config = {"model": str(package), "device": "cpu", "halo": "exact", **config}
    finished = list(predict_events(PredictConfig(**config), [image]))[-1]
    assert isinstance(finished, PredictionFinished)
    return finished


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_tiles_give_the_whole_with_real_networks(package: Path, engine: str) -> None:
    pixels = np.random.default_rng(0).normal(20, 4, (210, 231)).astype(np.float32)
    image = Image(pixels, ("y", "x"), scale={"y": 0.5, "x": 0.5})
    whole = predicted(package, image, engine="torch")
    tiled = predicted(package, image, engine=engine, tile={"y": 192, "x": 192})
    expected = np.asarray(whole.outputs[0].data)
    result = np.asarray(tiled.outputs[0].data)
    assert np.abs(result - expected).max() < 1e-5 * expected.std()
    assert tiled.outputs[0].channel_names == ("out 0",)
    assert tiled.metadata["model"]["sha256"]


def test_reduced_precision_measures_in_full(package: Path) -> None:
    pixels = np.random.default_rng(0).normal(20, 4, (100, 97)).astype(np.float32)
    image = Image(pixels, ("y", "x"))
    exact = predicted(package, image)
    config = {"engine": "torch", "precision": "bfloat16", "halo": {"y": 16, "x": 16}}
    rough = predicted(package, image, tile={"y": 80, "x": 80}, **config)
    expected = np.asarray(exact.outputs[0].data)
    difference = np.abs(np.asarray(rough.outputs[0].data) - expected)
    assert difference.mean() < 0.1 * expected.std()


def test_files_are_opened(package: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No image"):
        list(predict_events(PredictConfig(model=str(package))))


@pytest.mark.parametrize(("engine", "expected"), [("torch", 1), ("openvino", 0)])
def test_a_network_of_torch_is_compiled_where_that_is_asked_for(
    package: Path, monkeypatch: pytest.MonkeyPatch, engine: str, expected: int
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda _, **k: asked.append(k))
    image = Image(np.ones((64, 64), np.float32), ("y", "x"))
    predicted(package, image, engine=engine, compile=True)
    assert asked == [{"dynamic": True}] * expected
