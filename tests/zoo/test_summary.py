from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from napari_im2im.images.image import Image
from napari_im2im.zoo.compatibility import check_fits
from napari_im2im.zoo.summary import Summary, summarize

DATA = Path(__file__).parents[1] / "data" / "zoo"


def read(name: str) -> Summary:
    return summarize(yaml.safe_load((DATA / f"{name}.rdf.yaml").read_text("utf-8")))


def test_describes_a_model_of_format_0_5() -> None:
    summary = read("dazzling-blowfish__v0")
    assert summary.dimensions == {"3D"}
    assert summary.task == "segment"
    assert summary.licence == "CC-BY-4.0"
    assert summary.weights_formats == ("pytorch_state_dict",)
    assert summary.reads == "input0 (channel 1, z 40, y 128, x 128)"
    assert any("https://doi.org/10." in citation for citation in summary.citations)


def test_describes_a_model_of_format_0_4() -> None:
    summary = read("chatty-frog__v0")
    assert summary.name == "StarDist H&E Nuclei Segmentation"
    assert summary.dimensions == {"2D"}
    assert summary.reads == "input (y ≥ 208, x ≥ 208, channel 3)"
    assert "chatty-frog" in summary.aliases
    assert "10.5281/zenodo.6338614/6338615" in summary.aliases


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("serious-turtle__v0", "predict an image"),
        ("humorous-fox__v0", "restore"),
        ("romantic-shark__v1", "segment"),
    ],
)
def test_tells_the_task_from_the_words_of_the_description(name: str, task: str) -> None:
    assert read(name).task == task


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"name": None, "inputs": "none", "weights": [1], "tags": 3, "cite": {}},
        {"inputs": [None, 3, {"axes": None}, {"axes": "bczyx", "shape": "any"}]},
        {"inputs": [{"axes": [None, {"type": "space"}, {"id": "z", "size": {}}]}]},
        {"config": "text", "authors": ["me"], "covers": [{"source": "a.png"}]},
    ],
)
def test_an_odd_description_still_has_a_summary(raw: dict[str, object]) -> None:
    assert isinstance(summarize(raw), Summary)


def test_a_z_axis_of_one_plane_is_two_dimensional() -> None:
    axes = [
        {"type": "space", "id": name, "size": size}
        for name, size in [("z", 1), ("y", 64), ("x", 64)]
    ]
    assert summarize({"inputs": [{"axes": axes}]}).dimensions == {"2D"}


@pytest.mark.parametrize(
    ("name", "shape", "fits"),
    [
        ("romantic-shark__v1", {"y": 80, "x": 64}, True),
        ("romantic-shark__v1", {"y": 80, "x": 63}, False),
        ("dazzling-blowfish__v0", {"z": 40, "y": 128, "x": 128}, True),
        ("dazzling-blowfish__v0", {"y": 128, "x": 128}, False),
        ("chatty-frog__v0", {"channel": 3, "y": 208, "x": 300}, True),
        ("chatty-frog__v0", {"y": 208, "x": 300}, False),
    ],
)
def test_the_inputs_tell_whether_an_image_fits(
    name: str, shape: dict[str, int], fits: bool
) -> None:
    image = Image(np.zeros(tuple(shape.values()), np.uint8), tuple(shape))
    assert check_fits(read(name).inputs, image).fits is fits


@pytest.mark.parametrize(("scale", "fits"), [(0.5, True), (0.1, False)])
def test_the_inputs_tell_whether_the_pixel_size_fits(scale: float, fits: bool) -> None:
    axes = [
        {"type": "space", "id": name, "size": 64, "scale": 0.5, "unit": "micrometer"}
        for name in "yx"
    ]
    image = Image(
        np.zeros((64, 64), np.uint8),
        ("y", "x"),
        scale=dict.fromkeys("yx", scale),
        units=dict.fromkeys("yx", "micrometer"),
    )
    inputs = summarize({"inputs": [{"id": "raw", "axes": axes}]}).inputs
    assert check_fits(inputs, image).fits is fits
