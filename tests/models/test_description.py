"""Descriptions as they lie in the zoo, with their defects."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from napari_im2im.models.package import parse_description
from napari_im2im.models.tensors import FixedSize, ReferencedSize, SteppedSize

if TYPE_CHECKING:
    from pathlib import Path

    from napari_im2im.models.package import ModelPackage


def old_model(**changes: Any) -> dict[str, Any]:
    """Return a description of format 0.4."""
    content: dict[str, Any] = {
        "format_version": "0.4.10",
        "type": "model",
        "name": "Old model",
        "description": "Of format 0.4.",
        "authors": [{"name": "A"}],
        "cite": [{"text": "x", "doi": "10.1101/2023.04.06.535829"}],
        "documentation": "README.md",
        "license": "MIT",
        "tags": [],
        "timestamp": "2022-02-02T11:19:07",
        "covers": [],
        "test_inputs": ["in.npy"],
        "test_outputs": ["out.npy"],
        "inputs": [
            {
                "name": "raw",
                "axes": "bcyx",
                "data_type": "float32",
                "data_range": [float("-inf"), float("inf")],
                "shape": {"min": [1, 1, 64, 64], "step": [0, 0, 16, 16]},
                "preprocessing": [
                    {
                        "name": "zero_mean_unit_variance",
                        "kwargs": {"mode": "per_sample", "axes": "yx"},
                    }
                ],
            }
        ],
        "outputs": [
            {
                "name": "probability",
                "axes": "bcyx",
                "data_type": "float32",
                "halo": [0, 0, 8, 8],
                "shape": {
                    "reference_tensor": "raw",
                    "scale": [1.0, 1.0, 2.0, 2.0],
                    "offset": [0.0, 0.0, 0.0, -4.0],
                },
            }
        ],
        "weights": {
            "torchscript": {"source": "w.pt", "sha256": "0" * 64},
        },
    }
    return {**content, **changes}


def parse(tmp_path: Path, content: dict[str, Any]) -> ModelPackage:
    path = tmp_path / "rdf.yaml"
    path.write_text(yaml.safe_dump(content))
    return parse_description(path)


def test_format_0_4_becomes_the_newest(tmp_path: Path) -> None:
    package = parse(tmp_path, old_model())

    (raw,), (probability,) = package.inputs, package.outputs
    assert raw.axis("channel").size == FixedSize(1)
    assert raw.axis("y").size == SteppedSize(64, 16)
    assert raw.axis("y").pixel_size is None
    assert raw.steps[-2].id == "zero_mean_unit_variance"
    assert raw.steps[-2].kwargs == {"axes": ("y", "x"), "eps": 1e-6}
    assert probability.axis("y").size == ReferencedSize("raw", "y", scale=2.0)
    assert probability.axis("x").size == ReferencedSize("raw", "x", 2.0, offset=-8)
    assert probability.axis("y").halo == 8


def test_descriptions_are_parsed_in_several_threads(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abcdefgh"]
    for folder in folders:
        folder.mkdir()

    with ThreadPoolExecutor(4) as threads:
        packages = list(threads.map(parse, folders, [old_model()] * len(folders)))

    assert {package.name for package in packages} == {"Old model"}


def test_the_hash_of_old_weights_is_kept(tmp_path: Path) -> None:
    package = parse(tmp_path, old_model())

    assert package.weights["torchscript"].sha256 == "0" * 64


@pytest.mark.parametrize("limits", [None, [None, None], [0.0, None], [None, 1.0]])
def test_an_infinite_range_stored_as_null_parses(tmp_path: Path, limits: Any) -> None:
    content = old_model()
    content["inputs"][0]["data_range"] = limits
    content["outputs"][0]["data_range"] = limits

    assert parse(tmp_path, content).inputs[0].dtype == "float32"


def test_axes_beside_a_scalar_gain_parse(tmp_path: Path) -> None:
    content = old_model()
    content["inputs"][0]["preprocessing"] = [
        {"name": "scale_linear", "kwargs": {"axes": "yx", "gain": 2.0, "offset": 0.0}}
    ]

    step = parse(tmp_path, content).inputs[0].steps[-2]

    assert step.id == "scale_linear"
    assert step.kwargs == {"gain": 2.0, "offset": 0.0}


def test_a_halo_beside_a_fixed_size_parses(tmp_path: Path) -> None:
    content = old_model()
    content["outputs"][0]["shape"] = [1, 1, 64, 64]

    package = parse(tmp_path, content)

    assert package.outputs[0].axis("y").size == FixedSize(64)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cite", [{"text": "x", "url": "pass"}]),
        ("authors", [{"name": "A/B"}]),
        ("git_repo", "somewhere"),
    ],
)
def test_a_mistake_in_what_nothing_needs_stops_no_model(
    tmp_path: Path, field: str, value: Any
) -> None:
    assert parse(tmp_path, old_model(**{field: value})).name == "Old model"


def test_dependencies_of_another_kind_are_left_out(tmp_path: Path) -> None:
    content = old_model(
        weights={
            "pytorch_state_dict": {
                "source": "w.pt",
                "architecture": "net.py:Net",
                "architecture_sha256": "1" * 64,
                "kwargs": {"depth": 3},
                "dependencies": "pip:./requirements.txt",
            }
        }
    )

    architecture = parse(tmp_path, content).weights["pytorch_state_dict"].architecture

    assert architecture is not None
    assert (architecture.source, architecture.callable) == ("net.py", "Net")
    assert architecture.sha256 == "1" * 64
    assert architecture.kwargs == {"depth": 3}


def test_a_data_set_statistic_keeps_its_batch_axis(tmp_path: Path) -> None:
    content = old_model()
    content["inputs"][0]["preprocessing"][0]["kwargs"]["mode"] = "per_dataset"

    step = parse(tmp_path, content).inputs[0].steps[-2]

    assert step.kwargs["axes"] == ("batch", "y", "x")
