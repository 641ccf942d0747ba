"""Builders of small model packages, for the tests of every room."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml
from bioimageio.spec.utils import write_yaml

from napari_im2im.models.archive import sha256_of
from napari_im2im.models.content import PackageContent, image_specs
from napari_im2im.models.describing import describe
from napari_im2im.models.network_sizes import network_sizes
from napari_im2im.models.networks import (
    NetworkConfig,
    build_network,
    plan_network,
)
from napari_im2im.models.tensors import (
    AxisSpec,
    FixedSize,
    ReferencedSize,
    Step,
    SteppedSize,
    TensorSpec,
)
from napari_im2im.models.writing import write_package

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TINY = NetworkConfig(kwargs={"features": (4, 4, 4, 8, 8, 4)})

ARCHITECTURE = '''"""A network of its own code."""
import torch


class Smooth(torch.nn.Module):
    def __init__(self, kernel=3):
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 1, kernel, padding=kernel // 2)

    def forward(self, image):
        return self.convolution(image)
'''


def calibrate(network: torch.nn.Module, shape: tuple[int, ...]) -> torch.nn.Module:
    """Give a random network statistics and an output of about unit variance.

    Without it, the output of untrained weights hardly depends on the input.
    """
    norms = [
        module
        for module in network.modules()
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
    ]
    convolutions = [
        module
        for module in network.modules()
        if isinstance(module, torch.nn.modules.conv._ConvNd)
    ]
    for norm in norms:
        norm.momentum = 1.0
    noise = torch.randn(shape)
    with torch.no_grad():
        network.train()(noise)
        spread = network.eval()(noise).std()
        convolutions[-1].weight /= spread
        convolutions[-1].bias.zero_()
    return network


def tiny_content(
    spatial_axes: tuple[str, ...] = ("y", "x"),
    in_channels: int = 1,
    out_channels: int = 1,
    *,
    seed: int = 0,
    config: NetworkConfig = TINY,
    halo: int = 8,
    **changes: Any,
) -> PackageContent:
    """Return the content of a package with a random BasicUNet in eval mode.

    The input is normalised by a fixed mean and std for each channel, the output
    brought back to units of about 100 ± 10.
    """
    torch.manual_seed(seed)
    channels = {"in_channels": in_channels, "out_channels": out_channels}
    network = build_network(
        config, spatial_axes=spatial_axes, scale=None, **channels
    ).eval()
    spatial = [32] * len(spatial_axes)
    calibrate(network, (2, in_channels, *spatial))
    mean = [20.0 + i for i in range(in_channels)]
    std = [4.0 + i for i in range(in_channels)]
    gain = [10.0 + i for i in range(out_channels)]
    offset = [100.0 + i for i in range(out_channels)]
    normalise = Step(
        "fixed_zero_mean_unit_variance", {"axis": "channel", "mean": mean, "std": std}
    )
    restore = Step("scale_linear", {"axis": "channel", "gain": gain, "offset": offset})
    inputs, outputs = image_specs(
        spatial_axes=spatial_axes,
        input_channels=[f"in {i}" for i in range(in_channels)],
        output_channels=[f"out {i}" for i in range(out_channels)],
        sizes=network_sizes(
            network, spatial_axes=spatial_axes, in_channels=in_channels
        ),
        halo=dict.fromkeys(spatial_axes, halo),
        pixel_size={axis: 2.0 if axis == "z" else 0.5 for axis in spatial_axes},
        preprocessing=[normalise],
        postprocessing=[restore],
    )

    def along_channel(values: list[float]) -> np.ndarray:
        return np.array(values, np.float32).reshape(1, -1, *([1] * len(spatial)))

    random = np.random.default_rng(seed)
    raw = random.normal(20, 4, (1, in_channels, *spatial)).astype(np.float32)
    result = _run(network, [(raw - along_channel(mean)) / along_channel(std)])[0]
    values: dict[str, Any] = {
        "name": "Tiny network",
        "text": "A network of random weights.",
        "network": network,
        "network_name": config.name,
        "network_kwargs": plan_network(
            config, spatial_axes=spatial_axes, **channels
        ).kwargs,
        "inputs": (inputs,),
        "outputs": (outputs,),
        "test_inputs": (raw,),
        "test_outputs": (result * along_channel(gain) + along_channel(offset),),
        "timestamp": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return PackageContent(**{**values, **changes})


def write_tiny_package(folder: Path, *args: Any, **kwargs: Any) -> Path:
    """Write `tiny_content` to a folder; same arguments."""
    return write_package(folder, tiny_content(*args, **kwargs))


def tensor(
    id: str,
    sizes: dict[str, Any],
    *,
    channels: int = 1,
    pixel_size: float | None = None,
    halo: int = 0,
    **values: Any,
) -> TensorSpec:
    """Return a tensor ``(batch, channel, *sizes)`` of float32.

    ``sizes`` are integers (fixed), `Size` objects, or the id of the tensor whose
    axis of the same name they follow.
    """

    def size(axis: str, value: Any) -> Any:
        if isinstance(value, int):
            return FixedSize(value)
        return ReferencedSize(value, axis) if isinstance(value, str) else value

    spatial = [
        AxisSpec(
            axis,
            size(axis, value),
            halo=halo,
            pixel_size=pixel_size,
            unit=None if pixel_size is None else "micrometer",
        )
        for axis, value in sizes.items()
    ]
    names = tuple(f"{id} {i}" for i in range(channels))
    axes = (
        AxisSpec("batch", SteppedSize(1, 1)),
        AxisSpec("channel", FixedSize(channels), channel_names=names),
        *spatial,
    )
    return TensorSpec(**{"id": id, "axes": axes, "dtype": "float32", **values})


def write_custom_package(
    folder: Path,
    network: torch.nn.Module,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    test_inputs: Sequence[np.ndarray],
    *,
    test_outputs: Sequence[np.ndarray] | None = None,
    formats: Sequence[str] = ("torchscript",),
    architecture: dict[str, Any] | None = None,
    change: dict[str, Any] | None = None,
) -> Path:
    """Write a package as others might have made it.

    ``test_outputs`` are by default what the network makes of the test inputs, right
    where no step but a cast is described. ``architecture`` is that of the state
    dict; a ``source`` in it holds the code itself. ``change`` overwrites fields of
    the description.
    """
    network = network.eval()
    if test_outputs is None:
        test_outputs = _run(network, test_inputs)
    content = PackageContent(
        name="Custom network",
        text="A network as others might have made it.",
        network=network,
        network_name="BasicUNet",
        network_kwargs={},
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        test_inputs=tuple(test_inputs),
        test_outputs=tuple(test_outputs),
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
    )
    write_package(folder, content)
    (folder / "weights.pt").unlink()
    weights = {}
    for name in formats:
        weights[name] = _write_weights(folder, name, network, test_inputs, architecture)
    (folder / "weights.pt").touch()  # `describe` hashes it.
    described = describe(folder, content)
    (folder / "weights.pt").unlink()
    described["weights"] = weights
    write_yaml({**described, **(change or {})}, folder / "rdf.yaml")
    return folder


class Smooth(torch.nn.Module):
    """One 3 × 3 convolution; the same as in `ARCHITECTURE`."""

    def __init__(self, kernel: int = 3) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 1, kernel, padding=kernel // 2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.convolution(image)


class TwoInputs(torch.nn.Module):
    """Adds two images after a convolution of each."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Smooth(), Smooth()

    def forward(self, one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
        return self.first(one) + 2 * self.second(two)


class TwoOutputs(torch.nn.Module):
    """Returns an image of two channels and one of a channel."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(1, 2, 3, padding=1)
        self.second = Smooth()

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.first(image), self.second(image)


class Upscale(torch.nn.Module):
    """Returns an image of twice the size."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.ConvTranspose2d(1, 1, 2, stride=2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.convolution(image)


STEPPED = {"y": SteppedSize(16, 8), "x": SteppedSize(16, 8)}


def random_image(*shape: int, seed: int = 0) -> np.ndarray:
    """Return float32 noise of mean 0 and variance 1."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def write_smooth_package(
    folder: Path, formats: Sequence[str] = ("torchscript",), **kwargs: Any
) -> Path:
    """Write a package of one convolution in the given weights formats."""
    torch.manual_seed(0)
    return write_custom_package(
        folder,
        Smooth(),
        [tensor("image", STEPPED)],
        [tensor("smooth", {"y": "image", "x": "image"}, halo=1)],
        [random_image(1, 1, 24, 32)],
        formats=formats,
        architecture={"source": ARCHITECTURE, "callable": "Smooth", "kwargs": {}},
        **kwargs,
    )


def write_two_input_package(folder: Path, **kwargs: Any) -> Path:
    """Write a package whose network adds two images."""
    torch.manual_seed(0)
    return write_custom_package(
        folder,
        TwoInputs(),
        [tensor("one", STEPPED), tensor("two", {"y": "one", "x": "one"})],
        [tensor("sum", {"y": "one", "x": "one"}, halo=1)],
        [random_image(1, 1, 24, 32), random_image(1, 1, 24, 32, seed=1)],
        **kwargs,
    )


def write_two_output_package(folder: Path, **kwargs: Any) -> Path:
    """Write a package with outputs of two channels and of one."""
    torch.manual_seed(0)
    same = {"y": "image", "x": "image"}
    return write_custom_package(
        folder,
        TwoOutputs(),
        [tensor("image", STEPPED)],
        [tensor("pair", same, channels=2), tensor("single", same)],
        [random_image(1, 1, 24, 32)],
        **kwargs,
    )


def write_fixed_size_package(folder: Path, **kwargs: Any) -> Path:
    """Write a package of 32 × 32 pixels whose output sizes are plain integers."""
    torch.manual_seed(0)
    return write_custom_package(
        folder,
        Smooth(),
        [tensor("image", {"y": 32, "x": 32})],
        [tensor("smooth", {"y": 32, "x": 32})],
        [random_image(1, 1, 32, 32)],
        **kwargs,
    )


def write_upscaling_package(folder: Path, **kwargs: Any) -> Path:
    """Write a package whose output has twice as many, half as large pixels."""
    torch.manual_seed(0)
    return write_custom_package(
        folder,
        Upscale(),
        [tensor("image", STEPPED, pixel_size=0.5)],
        [tensor("large", {"y": "image", "x": "image"}, pixel_size=0.25)],
        [random_image(1, 1, 24, 32)],
        **kwargs,
    )


def change_steps(
    folder: Path,
    before: Sequence[dict[str, Any]] = (),
    after: Sequence[dict[str, Any]] = (),
    expected: np.ndarray | None = None,
    **output: Any,
) -> Path:
    """Give a package other steps, and the result that they must give.

    ``output`` overwrites fields of the first output's description.
    """
    description = folder / "rdf.yaml"
    content = yaml.safe_load(description.read_text("utf-8"))
    content["inputs"][0]["preprocessing"] = list(before)
    content["outputs"][0] |= {"postprocessing": list(after), **output}
    # The tolerance that was measured is that of another result.
    content["config"].pop("bioimageio", None)
    if expected is not None:
        test = content["outputs"][0]["test_tensor"]
        np.save(folder / test["source"], expected)
        test["sha256"] = sha256_of(folder / test["source"])
    description.write_text(yaml.safe_dump(content), "utf-8")
    return folder


def custom_step(folder: Path, name: str, code: str, **kwargs: Any) -> dict[str, Any]:
    """Write the code of a step to a package; return the step's description."""
    file = folder / f"{name}.py"
    file.write_text(code)
    return {
        "id": "custom",
        "callable": name,
        "source": file.name,
        "sha256": sha256_of(file),
        "kwargs": kwargs,
    }


def predict_with_core(folder: Path, images: list[np.ndarray]) -> list[np.ndarray]:
    """Return what bioimageio.core makes of whole images."""
    from bioimageio.core import create_prediction_pipeline
    from bioimageio.core.digest_spec import create_sample_for_model
    from bioimageio.spec import load_model_description

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        description = load_model_description(folder / "rdf.yaml")
        ids = [tensor.id for tensor in description.inputs]
        with create_prediction_pipeline(description, devices=["cpu"]) as pipeline:
            sample = create_sample_for_model(
                description, inputs=dict(zip(ids, images, strict=True))
            )
            result = pipeline.predict_sample_without_blocking(
                sample, skip_input_padding=True, skip_output_cropping=True
            )
    return [
        np.asarray(result.members[output.id].data.to_numpy())
        for output in description.outputs
    ]


def _run(
    network: torch.nn.Module, inputs: Sequence[np.ndarray]
) -> tuple[np.ndarray, ...]:
    with torch.inference_mode():
        result = network(*(torch.from_numpy(array) for array in inputs))
    results = result if isinstance(result, tuple) else (result,)
    return tuple(array.numpy() for array in results)


def _write_weights(
    folder: Path,
    name: str,
    network: torch.nn.Module,
    inputs: Sequence[np.ndarray],
    architecture: dict[str, Any] | None,
) -> dict[str, Any]:
    example = tuple(torch.from_numpy(array) for array in inputs)
    with warnings.catch_warnings():
        # Both exporters are called deprecated, but write what the zoo holds.
        warnings.simplefilter("ignore")
        if name == "torchscript":
            path = folder / "weights_torchscript.pt"
            torch.jit.trace(network, example).save(str(path))
            extra: dict[str, Any] = {"pytorch_version": "2.6.0"}
        elif name == "onnx":
            path = folder / "weights.onnx"
            _export_onnx(network, example, path)
            extra = {"opset_version": 17}
        else:
            path = folder / "weights_state_dict.pt"
            torch.save(network.state_dict(), path)
            extra = {"pytorch_version": "2.6.0", "architecture": dict(architecture)}
            if "source" in extra["architecture"]:
                code = folder / "network.py"
                code.write_text(extra["architecture"]["source"])
                extra["architecture"] |= {
                    "source": code.name,
                    "sha256": sha256_of(code),
                }
    return {"source": path.name, "sha256": sha256_of(path), **extra}


def _export_onnx(
    network: torch.nn.Module, example: tuple[torch.Tensor, ...], path: Path
) -> None:
    names = [f"input{i}" for i in range(len(example))]
    torch.onnx.export(
        network,
        example,
        str(path),
        input_names=names,
        dynamic_axes={name: {0: "batch", 2: "y", 3: "x"} for name in names},
        opset_version=17,
        dynamo=False,
    )
