from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import yaml

from napari_im2im.errors import ModelError
from napari_im2im.events import Progress
from napari_im2im.models.archive import sha256_of
from napari_im2im.models.package import load_package
from napari_im2im.models.runtimes import load_runtime
from napari_im2im.models.writing import write_package
from napari_im2im.zoo.comparison import Tolerance, compare
from napari_im2im.zoo.testing import (
    FormatTested,
    PackageTested,
    reproduction_events,
)
from packages import tiny_content, write_smooth_package

if TYPE_CHECKING:
    from collections.abc import Collection

ALL = ("torchscript", "onnx", "pytorch_state_dict")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_smooth_package(tmp_path_factory.mktemp("smooth") / "model", ALL)


@pytest.fixture
def model(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "model"))


def run(folder: Path, trusted: Collection[str] = ()) -> PackageTested:
    *_, last = reproduction_events(load_package(folder), trusted=trusted)
    assert isinstance(last, PackageTested)
    return last


def change_output(folder: Path, change: Any) -> None:
    """Change the test output and its sha256 in the description."""
    package = load_package(folder)
    path = folder / str(package.description.outputs[0].test_tensor.source)
    old = sha256_of(path)
    np.save(path, change(np.load(path)))
    description = folder / "rdf.yaml"
    description.write_text(description.read_text().replace(old, sha256_of(path)))


def test_every_weights_format_is_tested_whole_and_tiled(model: Path) -> None:
    trusted = {sha256_of(model / "network.py")}
    result = run(model, trusted)
    assert {one.weights_format for one in result.results} == set(ALL)
    assert result.passed
    assert result.verdict.startswith("Passed: the largest difference is")
    for one in result.results:
        assert one.passed
        assert one.whole[0].actual.shape == (1, 1, 24, 32)
        assert one.tiled[0].passed
        assert "In tiles: the same" in one.sentence


@pytest.mark.parametrize(
    "task",
    [
        {"name": "semantic", "classes": ["background", "cell"], "values": [0, 1]},
        {"name": "instances", "method": "watershed"},
    ],
    ids=["classes", "objects"],
)
def test_what_becomes_labels_is_compared_before(
    tmp_path: Path, task: dict[str, Any]
) -> None:
    content = replace(tiny_content(("y", "x"), 1, 2), config={"task": task})
    model = write_package(tmp_path / "model", content)
    events = list(reproduction_events(load_package(model)))
    (tested,) = (event for event in events if isinstance(event, FormatTested))
    assert tested.whole[0].passed


def test_code_that_is_not_trusted_is_left_out_and_said(model: Path) -> None:
    result = run(model)
    (left_out,) = (one for one in result.results if one.problem)
    assert left_out.weights_format == "pytorch_state_dict"
    assert "network.py" in left_out.sentence
    assert result.passed


@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_a_model_with_a_broken_file_fails(model: Path, harm: str) -> None:
    weights = model / load_package(model).weights["onnx"].source
    if harm == "missing":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[:-1])
    result = run(model)
    assert any(one.passed for one in result.results)
    assert not result.passed
    assert weights.name in result.verdict
    assert harm in result.verdict


def test_a_wrong_test_tensor_fails_with_the_difference(model: Path) -> None:
    change_output(model, lambda array: array + 0.5)
    result = run(model)
    assert not result.passed
    assert result.verdict.startswith("Failed: the largest difference is 0.5")
    assert result.results[0].whole[0].difference == pytest.approx(0.5, rel=1e-3)


def test_a_test_tensor_of_another_shape_fails(model: Path) -> None:
    change_output(model, lambda array: array[..., :-1])
    result = run(model)
    assert not result.passed
    assert "(1, 1, 24, 32) instead of (1, 1, 24, 31)" in result.verdict


def test_the_tolerance_is_that_of_the_package(model: Path) -> None:
    change_output(model, lambda array: array + 0.1)
    assert not run(model).passed
    description = model / "rdf.yaml"
    content = yaml.safe_load(description.read_text())
    tolerance = [{"absolute_tolerance": 0.4, "relative_tolerance": 0.0}]
    content.setdefault("config", {})["bioimageio"] = {
        "reproducibility_tolerance": tolerance
    }
    description.write_text(yaml.safe_dump(content))
    result = run(model)
    assert result.passed, result.verdict
    assert "0.4 is allowed" in result.verdict


def test_formats_can_be_chosen(model: Path) -> None:
    events = reproduction_events(load_package(model), formats=["onnx"])
    tested = [event for event in events if isinstance(event, FormatTested)]
    assert [one.weights_format for one in tested] == ["onnx"]
    with pytest.raises(ModelError, match="can be run here"):
        list(reproduction_events(load_package(model), formats=["keras_v3"]))


def test_closing_stops_the_test_and_frees_the_runtime(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, closed = [], []

    def load(*args: Any, **options: Any) -> Any:
        runtime = load_runtime(*args, **options)
        opened.append(runtime)
        monkeypatch.setattr(runtime, "close", lambda: closed.append(runtime))
        return runtime

    monkeypatch.setattr("napari_im2im.zoo.testing.load_runtime", load)
    events = reproduction_events(load_package(model))
    next(event for event in events if isinstance(event, Progress))
    assert not closed
    events.close()
    assert len(opened) == 1
    assert closed == opened


def test_damaged_weights_are_said_and_not_run(model: Path) -> None:
    for name in ("weights.onnx", "weights_torchscript.pt"):
        (model / name).write_bytes(b"rot")
    result = run(model)
    assert not result.passed
    assert all("damaged or was changed" in r.problem for r in result.results[:2])


ONES = np.ones((1, 1, 10, 10), np.float32)


def changed(count: int, by: float) -> np.ndarray:
    array = ONES.copy()
    array.flat[:count] += by
    return array


@pytest.mark.parametrize(
    ("actual", "tolerance", "passed", "difference"),
    [
        (ONES, Tolerance(), True, 0.0),
        (changed(1, 0.001), Tolerance(), True, 0.001),
        (changed(1, 0.5), Tolerance(), False, 0.5),
        (changed(1, 0.5), Tolerance(per_million=10_000), True, 0.5),
        (changed(2, 0.5), Tolerance(per_million=10_000), False, 0.5),
        (changed(1, np.nan), Tolerance(), False, np.inf),
        (np.ones((1, 1, 9, 10)), Tolerance(), False, np.inf),
    ],
)
def test_compare(
    actual: np.ndarray, tolerance: Tolerance, passed: bool, difference: float
) -> None:
    result = compare("out", ONES, actual, tolerance)
    assert result.passed is passed
    assert result.difference == pytest.approx(difference, rel=1e-3)


def test_equal_infinities_are_no_difference() -> None:
    both = np.array([[np.inf, -np.inf, np.nan, 1.0]])
    assert compare("out", both, both.copy(), Tolerance()).passed


def test_labels_are_compared_too() -> None:
    labels = np.arange(100, dtype=np.uint16).reshape(1, 1, 10, 10)
    assert compare("out", labels, labels.copy(), Tolerance()).passed
    other = labels.copy()
    other[..., 0, 0] = 7
    assert compare("out", labels, other, Tolerance()).difference == 7


@pytest.mark.skipif(torch.cuda.is_available(), reason="the GPU is there")
def test_the_device_is_the_one_that_was_asked_for(model: Path) -> None:
    package = load_package(model)
    *_, last = reproduction_events(package, device="cuda", formats=["torchscript"])
    assert isinstance(last, PackageTested)
    assert not last.passed
    assert "'cuda' can't be used here" in last.verdict
