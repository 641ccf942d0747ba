from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_im2im.images.image import Image
from napari_im2im.models.package import parse_description
from napari_im2im.models.tensors import (
    AxisSpec,
    FixedSize,
    Size,
    SteppedSize,
    TensorSpec,
)
from napari_im2im.zoo.compatibility import check_fits, check_runs

DATA = Path(__file__).parents[1] / "data" / "zoo"


@pytest.mark.parametrize(
    ("name", "runs", "words"),
    [
        ("ambitious-sloth__v0", True, "Runs here."),
        ("romantic-shark__v1", True, "Runs here."),
        ("chatty-frog__v0", True, "Runs here."),
        ("dazzling-blowfish__v0", True, "once you trust its code: the Python file"),
        ("humorous-fox__v0", False, "pip install careamics"),
    ],
)
def test_real_models(
    name: str, runs: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "napari_im2im.zoo.compatibility.find_spec",
        lambda library: None if library == "careamics" else object(),
    )
    result = check_runs(parse_description(DATA / f"{name}.rdf.yaml"))
    assert result.runs is runs
    assert words in result.sentence


def changed(tmp_path: Path, name: str, **texts: str) -> Path:
    """Return a description in which texts are replaced."""
    text = (DATA / f"{name}.rdf.yaml").read_text("utf-8")
    for old, new in texts.items():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "rdf.yaml"
    path.write_text(text, "utf-8")
    return path


def test_weights_that_nothing_runs_are_named(tmp_path: Path) -> None:
    path = changed(
        tmp_path, "chatty-frog__v0", tensorflow_saved_model_bundle="tensorflow_js"
    )
    result = check_runs(parse_description(path))
    assert not result.runs
    assert "tensorflow_js" in result.sentence


def tensor(**sizes: Size | int) -> TensorSpec:
    axes = [AxisSpec("batch", SteppedSize(1, 1))]
    for name, size in sizes.items():
        size = FixedSize(size) if isinstance(size, int) else size
        axes.append(AxisSpec(name, size))
    return TensorSpec("raw", tuple(axes), "float32")


def image(axes: str, *shape: int, **kwargs: Any) -> Image:
    return Image(np.zeros(shape, np.uint8), tuple(axes), **kwargs)


FREE = SteppedSize(32, 16)


@pytest.mark.parametrize(
    ("spec", "shown", "words"),
    [
        (tensor(channel=1, y=FREE, x=FREE), image("yx", 100, 90), "It fits"),
        (tensor(channel=1, y=FREE, x=FREE), image("cyx", 1, 32, 32), "It fits"),
        (tensor(channel=1, y=FREE, x=FREE), image("cyx", 3, 64, 64), "1 of the 3"),
        (tensor(channel=1, y=FREE, x=FREE), image("zyx", 7, 64, 64), "7 planes"),
        (tensor(channel=1, y=FREE, x=FREE), image("tyx", 9, 64, 64), "9 time points"),
        (tensor(channel=1, z=1, y=FREE, x=FREE), image("yx", 64, 64), "It fits"),
    ],
)
def test_an_image_that_fits(spec: TensorSpec, shown: Image, words: str) -> None:
    fit = check_fits([spec], shown)
    assert fit.fits
    assert words in fit.sentence


@pytest.mark.parametrize(
    ("spec", "shown", "words"),
    [
        (
            tensor(channel=2, y=FREE, x=FREE),
            image("yx", 64, 64),
            "2 channels, the image has 1",
        ),
        (tensor(channel=1, z=8, y=8, x=8), image("yx", 64, 64), "no z axis"),
        (tensor(channel=1, time=8, y=8, x=8), image("yx", 64, 64), "no time axis"),
        (
            tensor(channel=1, y=512, x=512),
            image("yx", 600, 100),
            "x 512 pixels, the image has x 100",
        ),
        (tensor(channel=1, y=FREE, x=FREE), image("yx", 31, 31), "y 32 × x 32 pixels"),
        (tensor(object=3, y=FREE, x=FREE), image("yx", 64, 64), "an axis 'object'"),
    ],
)
def test_an_image_that_does_not_fit(spec: TensorSpec, shown: Image, words: str) -> None:
    fit = check_fits([spec], shown)
    assert not fit.fits
    assert words in fit.sentence


@pytest.mark.parametrize(
    ("scale", "unit", "words"),
    [
        (0.5, "micrometer", "It fits"),
        (500.0, "nanometer", "It fits"),
        (0.7, "µm", "It fits"),
        (2.0, "micrometer", "4.0 times larger"),
        (50.0, "nanometer", "10.0 times smaller"),
        (3.0, "pixel", "It fits"),
    ],
)
def test_pixel_sizes_are_compared_in_their_units(
    scale: float, unit: str, words: str
) -> None:
    axes = tuple(
        AxisSpec(name, FREE, pixel_size=0.5, unit="micrometer") for name in "yx"
    )
    shown = image(
        "yx", 64, 64, scale={"y": scale, "x": scale}, units={"y": unit, "x": unit}
    )
    fit = check_fits([TensorSpec("raw", axes, "float32")], shown)
    assert fit.fits is (words == "It fits")
    assert words in fit.sentence


def test_further_inputs_are_named() -> None:
    one, two = tensor(channel=1, y=FREE, x=FREE), TensorSpec("mask", (), "uint8")
    fit = check_fits([one, two], image("yx", 64, 64))
    assert fit.fits
    assert "reads 2 images: this one as raw, and mask" in fit.sentence
