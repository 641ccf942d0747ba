from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_im2im.errors import ConfigError, ModelError
from napari_im2im.models.package import load_package
from napari_im2im.models.runtimes import load_runtime, loading, usable_engines
from napari_im2im.models.runtimes.openvino_engine import OpenVinoRuntime
from napari_im2im.models.runtimes.torch_engine import load_network
from packages import (
    write_fixed_size_package,
    write_smooth_package,
    write_tiny_package,
    write_two_input_package,
    write_two_output_package,
    write_upscaling_package,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_im2im.models.runtimes import Runtime


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torchscript"])
def test_engines_agree_at_every_size_and_batch(
    smooth_folder: Path, engine: str
) -> None:
    package = load_package(smooth_folder)
    runtime = load_runtime(package, engine=engine, device="cpu")
    convolution = torch.nn.Conv2d(1, 1, 3, padding=1)
    state = torch.load(package.file("weights_state_dict.pt"), weights_only=True)
    convolution.load_state_dict(
        {name.removeprefix("convolution."): value for name, value in state.items()}
    )

    assert runtime.engine == engine
    for shape in ((1, 1, 24, 32), (2, 1, 40, 16)):
        image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        with torch.inference_mode():
            expected = convolution(torch.from_numpy(image)).numpy()
        np.testing.assert_allclose(runtime([image])[0], expected, atol=1e-6)


@pytest.mark.parametrize("axes", [("y", "x"), ("z", "y", "x")])
@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_a_trained_network_gives_the_same_in_each_engine(
    tmp_path: Path, axes: tuple[str, ...], engine: str
) -> None:
    package = load_package(write_tiny_package(tmp_path / "model", axes, 2, 3))
    network = load_network(package).eval()
    runtime = load_runtime(package, engine=engine, device="cpu")

    sizes = (48,) * (len(axes) - 1)
    image = np.random.default_rng(0).normal(size=(1, 2, *sizes, 32)).astype(np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(image)).numpy()
    result = runtime([image])[0]

    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=1e-4)


@pytest.mark.parametrize(
    "write",
    [
        write_two_input_package,
        write_two_output_package,
        write_fixed_size_package,
        write_upscaling_package,
    ],
)
def test_unusual_packages_reproduce_their_test_tensors(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    package = load_package(write(tmp_path / "model"))
    runtime = load_runtime(package, device="cpu")

    results = runtime(package.test_inputs())

    assert runtime.engine == "openvino"
    assert len(results) == len(package.outputs)
    for result, expected in zip(results, package.test_outputs(), strict=True):
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_the_fastest_and_safest_come_first(smooth_folder: Path) -> None:
    package = load_package(smooth_folder)

    assert usable_engines(package) == [
        ("openvino", "onnx"),
        ("openvino", "torchscript"),
        ("onnxruntime", "onnx"),
        ("torchscript", "torchscript"),
        ("openvino", "pytorch_state_dict"),
        ("torch", "pytorch_state_dict"),
    ]
    assert load_runtime(package, device="cpu").weights_format == "onnx"


def test_an_engine_with_another_result_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = load_package(write_smooth_package(tmp_path / "m", ["torchscript"]))
    right = OpenVinoRuntime.__call__

    def wrong(self: OpenVinoRuntime, inputs: list[np.ndarray]) -> list[np.ndarray]:
        return [array + 0.1 for array in right(self, inputs)]

    monkeypatch.setattr(OpenVinoRuntime, "__call__", wrong)

    assert load_runtime(package, device="cpu").engine == "torchscript"
    assert load_runtime(package, device="cpu", engine="openvino").engine == "openvino"


@pytest.mark.parametrize("agrees", [True, False])
def test_weights_of_a_framework_that_is_not_here_are_checked(
    smooth_folder: Path, monkeypatch: pytest.MonkeyPatch, agrees: bool
) -> None:
    monkeypatch.delitem(loading._OWN_ENGINE, "torchscript")
    package = load_package(smooth_folder)
    only = replace(package, weights={"torchscript": package.weights["torchscript"]})
    asked: list[str] = []

    def check(runtime: Runtime) -> bool:
        asked.append(runtime.engine)
        return agrees

    if agrees:
        load_runtime(only, device="cpu", check=check).close()
    else:
        with pytest.raises(ModelError, match="openvino gives another result"):
            load_runtime(only, device="cpu", check=check)
    assert asked == ["openvino"] if agrees else ["openvino", "torchscript"]
    load_runtime(only, device="cpu", engine="torchscript", check=check).close()


def test_a_checked_conversion_is_kept_and_survives_damage(
    tmp_path: Path, home: Path
) -> None:
    package = load_package(write_smooth_package(tmp_path / "m", ["torchscript"]))
    first = load_runtime(package, device="cpu")
    (kept,) = (home / "cache" / "openvino").glob("*.xml")

    again = load_runtime(package, device="cpu")
    kept.write_text("damaged")
    repaired = load_runtime(package, device="cpu")

    for runtime in (first, again, repaired):
        assert runtime.engine == "openvino"
        np.testing.assert_allclose(
            runtime(package.test_inputs())[0], package.test_outputs()[0], atol=1e-5
        )


def test_reduced_precision_is_close(tmp_path: Path) -> None:
    package = load_package(write_tiny_package(tmp_path / "model"))
    runtime = load_runtime(package, engine="torch", device="cpu", precision="bfloat16")
    exact = load_runtime(package, engine="torch", device="cpu")

    image = np.random.default_rng(0).normal(size=(1, 1, 32, 32)).astype(np.float32)
    rough, expected = runtime([image])[0], exact([image])[0]

    assert rough.dtype == np.float32
    assert 0 < np.abs(rough - expected).max() < 0.2


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torchscript"])
def test_arrays_that_do_not_fit_are_named(smooth_folder: Path, engine: str) -> None:
    runtime = load_runtime(load_package(smooth_folder), engine=engine, device="cpu")

    with pytest.raises(ModelError, match=r"can't run on arrays of .*3"):
        runtime([np.zeros((1, 3, 16, 16), np.float32)])


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torchscript"])
def test_a_closed_runtime_says_so(smooth_folder: Path, engine: str) -> None:
    runtime = load_runtime(load_package(smooth_folder), engine=engine, device="cpu")
    runtime.close()

    with pytest.raises(ModelError, match="was closed"):
        runtime([np.zeros((1, 1, 16, 16), np.float32)])


def test_what_cannot_run_says_why(smooth_folder: Path, tiny_folder: Path) -> None:
    smooth, tiny = load_package(smooth_folder), load_package(tiny_folder)

    with pytest.raises(ModelError, match="'onnxruntime' can't run Tiny network"):
        load_runtime(tiny, engine="onnxruntime")
    with pytest.raises(ConfigError, match="no engine 'tensorrt'"):
        load_runtime(smooth, engine="tensorrt")
    with pytest.raises(ConfigError, match="on the CPU only"):
        load_runtime(smooth, engine="openvino", device="cuda")
    with pytest.raises(ConfigError, match="device 'qpu' can't be used"):
        load_runtime(smooth, device="qpu")


@pytest.mark.parametrize("weights_format", ["onnx", "torchscript"])
def test_damaged_weights_are_named(tmp_path: Path, weights_format: str) -> None:
    import yaml

    folder = write_smooth_package(tmp_path / "m", [weights_format])
    file = folder / "rdf.yaml"
    content = yaml.safe_load(file.read_text())
    entry = content["weights"][weights_format]
    (folder / entry["source"]).write_bytes(b"not weights")
    del entry["sha256"]
    file.write_text(yaml.safe_dump(content))

    with pytest.raises(ModelError, match="can't be run"):
        load_runtime(load_package(folder), device="cpu")
