"""Converted weights do what the network does, wherever they run."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from napari_im2im.errors import TrustError
from napari_im2im.models import conversion
from napari_im2im.models.conversion import (
    FILES,
    convert_weights,
    input_shapes,
    write_formats,
)
from napari_im2im.models.exporters import OPSET, write_torchscript
from napari_im2im.models.package import ModelPackage, load_package
from napari_im2im.models.runtimes.torch_engine import load_network
from packages import (
    STEPPED,
    random_image,
    tensor,
    write_custom_package,
    write_tiny_package,
)

if TYPE_CHECKING:
    from pathlib import Path

BOTH = ("torchscript", "onnx")
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.*` is deprecated:DeprecationWarning"
)


@pytest.fixture(scope="module", params=[(("y", "x"), 1, 2), (("z", "y", "x"), 2, 1)])
def converted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ModelPackage, Path]:
    folder = tmp_path_factory.mktemp("converted")
    package = load_package(write_tiny_package(folder / "model", *request.param))
    results = write_formats(package, BOTH, folder)
    assert [result.source for result in results] == [FILES[name] for name in BOTH]
    assert all(result.sizes == 3 for result in results)
    return package, folder


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_torchscript_alone_gives_the_networks_result(
    converted: tuple[ModelPackage, Path], steps: int
) -> None:
    package, folder = converted
    network, pixels = load_network(package).eval(), example(package, steps)
    module = torch.jit.load(str(folder / FILES["torchscript"]))  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        torch.testing.assert_close(module(pixels), network(pixels))


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_onnxruntime_alone_gives_the_networks_result(
    converted: tuple[ModelPackage, Path], steps: int
) -> None:
    package, folder = converted
    network, pixels = load_network(package).eval(), example(package, steps, batch=2)
    session = ort.InferenceSession(str(folder / FILES["onnx"]))
    (result,) = session.run(None, {"input": pixels.numpy()})
    with torch.inference_mode():
        expected = network(pixels).numpy()
    np.testing.assert_allclose(result, expected, atol=1e-4 * expected.std())


def test_onnx_is_one_file_that_names_its_tensors(
    converted: tuple[ModelPackage, Path],
) -> None:
    _, folder = converted
    model = onnx.load(folder / FILES["onnx"], load_external_data=False)
    onnx.checker.check_model(model)
    assert [entry.version for entry in model.opset_import] == [OPSET]
    assert [tensor.name for tensor in model.graph.input] == ["input"]
    assert [tensor.name for tensor in model.graph.output] == ["output"]
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_files_dont_tell_whose_computer_wrote_them(
    converted: tuple[ModelPackage, Path],
) -> None:
    _, folder = converted
    home = torch.__file__.rsplit("torch", 2)[0].encode()
    assert home not in (folder / FILES["onnx"]).read_bytes()
    with zipfile.ZipFile(folder / FILES["torchscript"]) as archive:
        assert not any(home in archive.read(name) for name in archive.namelist())


def test_each_process_writes_the_same_torchscript(tmp_path: Path) -> None:
    package = load_package(write_tiny_package(tmp_path / "model"))
    content = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (result,) = convert_weights(package, ["torchscript"], tmp_path / name)
        assert result.source is not None
        content.append((tmp_path / name / result.source).read_bytes())
        assert [path.name for path in (tmp_path / name).iterdir()] == [result.source]
    assert content[0] == content[1]


class Unscriptable(torch.nn.Module):
    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        return 2 * tensors[0]


def test_what_cant_be_scripted_is_traced(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    comment = write_torchscript(Unscriptable(), [torch.ones(1, 1, 8, 8)], path)
    assert comment.startswith("Traced")
    module = torch.jit.load(io.BytesIO(path.read_bytes()))  # type: ignore[no-untyped-call]
    assert float(module(torch.ones(1, 1, 4, 6)).mean()) == 2


def test_a_format_that_fails_says_why_and_leaves_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise RuntimeError("the operator\n  isn't known")

    monkeypatch.setattr(conversion, "write_onnx", fail)
    package = load_package(write_tiny_package(tmp_path / "model"))
    script, onnx_ = write_formats(package, BOTH, tmp_path)
    assert script.source is not None
    assert (onnx_.source, onnx_.reason) == (None, "the operator isn't known")
    assert not (tmp_path / FILES["onnx"]).exists()


def test_code_of_others_isnt_run_without_consent(tmp_path: Path) -> None:
    package = load_package(write_tiny_package(tmp_path / "model"))
    entry = package.weights["pytorch_state_dict"]
    assert entry.architecture is not None
    object.__setattr__(entry.architecture, "module", "somebodys.networks")
    with pytest.raises(TrustError):
        convert_weights(package, ["onnx"], tmp_path)


def example(package: ModelPackage, steps: int, batch: int = 1) -> torch.Tensor:
    (shape,) = input_shapes(package.inputs, steps)
    generator = torch.Generator().manual_seed(steps)
    return torch.randn((batch, *shape[1:]), generator=generator)


class WithVector(torch.nn.Module):
    """Returns the mean brightness before an image."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return image.mean((2, 3)), self.convolution(image)


def test_an_output_that_is_no_image_keeps_its_name(tmp_path: Path) -> None:
    folder = write_custom_package(
        tmp_path / "model",
        WithVector(),
        [tensor("image", STEPPED)],
        [tensor("brightness", {}), tensor("out", {"y": "image", "x": "image"})],
        [random_image(1, 1, 24, 32)],
    )
    package = load_package(folder)
    (converted,) = write_formats(package, ["onnx"], tmp_path)
    assert not converted.reason
    session = ort.InferenceSession(str(tmp_path / "weights.onnx"))
    assert [output.name for output in session.get_outputs()] == ["brightness", "out"]
