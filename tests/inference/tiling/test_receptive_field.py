"""Stride and receptive field are those that the layers imply."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from inference.networks import UNet, as_function
from inference.specs import input_spec, output_spec
from napari_im2im.inference.tiling.geometry import model_geometry
from napari_im2im.inference.tiling.halo import measure_halo
from napari_im2im.inference.tiling.receptive_field import (
    measure_receptive_field,
)
from napari_im2im.inference.tiling.windows import Windows
from napari_im2im.models.tensors import FixedSize, Size, SteppedSize


def windows(
    network: nn.Module, axes: str = "yx", size: Size | None = None, **output: float
) -> Windows:
    inputs = (input_spec(axes, size),)
    outputs = (output_spec(axes, **output),)  # type: ignore[arg-type]
    return Windows(
        as_function(network), inputs, outputs, model_geometry(inputs, outputs)
    )


def test_one_convolution() -> None:
    network = nn.Conv2d(1, 2, (3, 7), padding="same")
    field = measure_receptive_field(windows(network, size=SteppedSize(1, 1)))
    assert field.exact
    assert field.stride == {"y": 1, "x": 1}
    assert field.radius == {"y": (1, 1), "x": (3, 3)}


def test_an_even_kernel_sees_farther_on_one_side() -> None:
    network = nn.Sequential(nn.ZeroPad2d((1, 2, 0, 0)), nn.Conv2d(1, 1, (1, 4)))
    field = measure_receptive_field(windows(network, size=SteppedSize(1, 1)))
    assert field.radius == {"y": (0, 0), "x": (1, 2)}


def test_a_unet_has_the_stride_of_its_poolings() -> None:
    field = measure_receptive_field(windows(UNet(), size=SteppedSize(1, 1)))
    assert field.exact
    assert field.stride == {"y": 4, "x": 4}
    # Counted by hand through the layers: from a cut at full size to one of stride 4,
    # and back up.
    assert field.radius["x"] == (11, 11)


def test_three_dimensions() -> None:
    field = measure_receptive_field(windows(UNet(3, width=2), "zyx"))
    assert field.exact
    assert field.stride == {"z": 4, "y": 4, "x": 4}
    assert field.radius["z"] == (11, 11)


@pytest.mark.parametrize("size", [FixedSize(64), SteppedSize(8, 8)])
def test_instance_normalisation_is_recognised(size: Size) -> None:
    field = measure_receptive_field(windows(UNet(norm="instance"), size=size))
    assert not field.exact
    assert field.reason


class Attention(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(2)
        weights = torch.softmax(
            flat.transpose(1, 2) * flat[:, :, :64].sum(1)[:, None], 2
        )
        return x + (flat[:, :, :64] @ weights.transpose(1, 2)).view_as(x)


def test_attention_is_recognised() -> None:
    assert not measure_receptive_field(windows(Attention())).exact


class Position(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.linspace(1, 2, x.shape[-1])


def test_dependence_on_the_position_is_recognised() -> None:
    field = measure_receptive_field(windows(Position(), size=FixedSize(64)))
    assert not field.exact
    assert "positions along x" in field.reason


def test_a_larger_output_counts_in_pixels_of_the_input() -> None:
    network = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(1, 1, 5, padding=2))
    field = measure_receptive_field(windows(network, size=SteppedSize(1, 1), scale=2.0))
    assert field.stride["x"] == 1
    assert all(1 <= side <= 2 for side in field.radius["x"])


def test_valid_convolutions() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 1, 5))
    field = measure_receptive_field(
        windows(network, size=SteppedSize(16, 1), offset=-6)
    )
    assert field.radius["x"] == (3, 3)


class Decaying(nn.Module):
    """Weights that fall off exponentially: far pixels hardly matter."""

    def __init__(self) -> None:
        super().__init__()
        kernel = 0.5 ** torch.arange(-20, 21).abs().float()
        self.register_buffer("kernel", torch.outer(kernel, kernel)[None, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(x, self.kernel, padding=20)


def decaying(sample: np.ndarray) -> Windows:
    network = Decaying()
    inputs, outputs = (input_spec(size=SteppedSize(1, 1)),), (output_spec(),)

    def run(arrays: list[np.ndarray]) -> list[np.ndarray]:
        with torch.inference_mode():
            return [network(torch.from_numpy(arrays[0])).numpy()]

    return Windows(run, inputs, outputs, model_geometry(inputs, outputs), [sample])


@pytest.mark.parametrize(("tolerance", "expected"), [(1e-1, 5), (1e-3, 12)])
def test_halo_keeps_the_tolerance(tolerance: float, expected: int) -> None:
    rng = np.random.default_rng(0)
    sample = rng.standard_normal((1, 1, 200, 200)).astype(np.float32)
    black_box = decaying(sample)
    run = black_box.network
    field = measure_receptive_field(black_box)
    halo = measure_halo(black_box, field, tolerance)
    assert abs(halo["x"] - expected) <= 3
    assert halo["x"] < field.radius["x"][0]
    whole = run([sample])[0]
    cut = run([np.ascontiguousarray(sample[..., 60:])])[0]
    difference = np.abs(whole[..., 60:] - cut)[..., halo["x"] :].max()
    assert difference < tolerance * whole.std()


def test_halo_counts_what_lies_far_from_the_first_corner() -> None:
    sample = np.zeros((1, 1, 450, 450), np.float32)
    field = measure_receptive_field(decaying(sample))
    sample[..., 220:, 220:] = np.random.default_rng(0).standard_normal((230, 230))
    assert measure_halo(decaying(sample), field, 1e-3)["x"] >= 9


def test_a_fixed_size_is_measured_too() -> None:
    black_box = windows(UNet(), size=FixedSize(96))
    field = measure_receptive_field(black_box)
    assert field.exact
    assert field.stride["x"] == 4
    assert 1 <= measure_halo(black_box, field, 1e-3)["x"] <= 11


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_reach_of_layers_holds_for_all_weights(dimensions: int) -> None:
    axes = "zyx"[-dimensions:]
    network = UNet(dimensions, width=2)
    reach = measure_receptive_field(windows(network, axes), any_weights=True)
    assert reach.exact
    assert set(reach.radius.values()) == {(11, 11)}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= 1e-3
    seen = measure_receptive_field(windows(network, axes))
    assert seen.radius["x"] < reach.radius["x"]
    # So it is measured with weights that show nothing, too.
    again = measure_receptive_field(windows(network, axes), any_weights=True)
    assert again.radius == reach.radius


def test_layers_that_reach_everywhere_are_recognised_without_their_weights() -> None:
    size = SteppedSize(4, 4)
    black_box = windows(UNet(norm="instance"), size=size)
    field = measure_receptive_field(black_box, any_weights=True)
    assert not field.exact
    assert "the whole image" in field.reason
