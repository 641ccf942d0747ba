"""A part of a result is the same as if everything had been computed."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov
import pytest
import torch
from monai.networks.nets import BasicUNet, UNet
from torch import nn

from napari_im2im.models.package import load_package
from napari_im2im.models.runtimes import load_runtime
from napari_im2im.models.runtimes.openvino_crops import CroppedNetwork
from napari_im2im.models.runtimes.runtime import PartialRuntime
from packages import write_tiny_package

if TYPE_CHECKING:
    from pathlib import Path


def converted(network: nn.Module, shape: tuple[int, ...]) -> Any:
    torch.manual_seed(0)
    example = torch.randn(shape)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network.eval(), example, check_trace=False)
        return ov.convert_model(torch.jit.freeze(traced))


def basic(dimensions: int, norm: str = "batch", upsample: str = "deconv") -> nn.Module:
    features = (4, 4, 8, 8, 16, 4)
    return BasicUNet(dimensions, 1, 2, features, norm=norm, upsample=upsample)


def residual() -> nn.Module:
    """Strided convolutions, residual units, transposed convolutions of 3 pixels."""
    return UNet(2, 1, 1, (4, 8, 16), (2, 2), num_res_units=2, norm="batch")


class Added(nn.Module):
    """A residual across the whole network, and an addition instead of a join."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.down = nn.Conv2d(4, 4, 4, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 2, 2)
        self.last = nn.Conv2d(4, 1, 5, padding=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        full = torch.relu(self.first(x))
        return x + self.last(full + self.up(torch.relu(self.down(full))))


class Shared(nn.Module):
    """One layer that is called at two depths."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Conv2d(1, 1, 3, padding=1)
        self.up = nn.ConvTranspose2d(1, 1, 2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        full = torch.relu(self.same(x))
        low = torch.relu(self.same(nn.functional.max_pool2d(full, 2)))
        return self.same(full + self.up(low))


@pytest.mark.parametrize(
    ("network", "sizes"),
    [
        (basic(2), (96, 128)),
        (basic(3), (32, 48, 64)),
        (residual(), (64, 96)),
        (Added(), (40, 64)),
        (Shared(), (40, 64)),
    ],
    ids=["2d", "3d", "residual", "added", "shared"],
)
def test_a_part_is_that_of_the_whole(network: nn.Module, sizes: tuple[int]) -> None:
    model = converted(network, (1, 1, *sizes))
    cropped = CroppedNetwork(model)
    assert cropped.cropped
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    part_of = ov.Core().compile_model(cropped.model, "CPU", hints)
    rng = np.random.default_rng(0)
    pixels = rng.standard_normal((1, 1, *sizes)).astype(np.float32)
    (whole,) = ov.Core().compile_model(model, "CPU", hints)([pixels]).values()
    for _ in range(12):
        ends = [np.sort(rng.choice(n + 1, 2, replace=False)) for n in sizes]
        keep = [(int(start), int(stop)) for start, stop in ends]
        crops, (origin,) = cropped.crops([keep])
        (part,) = part_of([pixels, *crops]).values()
        here = tuple(
            slice(a - o, b - o) for (a, b), o in zip(keep, origin, strict=True)
        )
        there = tuple(slice(*interval) for interval in keep)
        np.testing.assert_allclose(part[..., *here], whole[..., *there], atol=1e-5)
        assert part.size <= whole.size


@pytest.mark.parametrize("norm", ["instance", ("group", {"num_groups": 2})])
def test_a_norm_over_space_is_left_whole(norm: Any) -> None:
    model = converted(basic(2, norm), (1, 1, 64, 64))
    assert not CroppedNetwork(model).cropped


def test_a_package_is_tried_before_it_is_cropped(tmp_path: Path) -> None:
    package = load_package(write_tiny_package(tmp_path / "model", ("y", "x"), 2, 3))
    runtime = load_runtime(package, engine="openvino", device="cpu")
    assert isinstance(runtime, PartialRuntime)
    assert 0 < runtime.share() < 1
    pixels = np.random.default_rng(0).normal(size=(1, 2, 64, 96)).astype(np.float32)
    keep = [slice(10, 50), slice(0, 31)]
    (part,) = runtime.part([pixels], [keep])
    assert part.shape == (1, 3, 40, 31)
    (whole,) = runtime([pixels])
    np.testing.assert_allclose(part, whole[..., 10:50, :31], atol=1e-5)
    runtime.close()


def test_nothing_is_cropped_where_no_layers_meet(smooth_folder: Path) -> None:
    runtime = load_runtime(load_package(smooth_folder), engine="openvino", device="cpu")
    assert isinstance(runtime, PartialRuntime)
    assert runtime.share() == 1.0
