"""A U-Net of residual units for images and stacks; needs nothing but PyTorch.

Layers, the names of their weights and the arguments are those of
``monai.networks.nets.UNet`` of MONAI, Copyright (c) MONAI Consortium, licensed under
the Apache License, Version 2.0 (http://www.apache.org/licenses/LICENSE-2.0), so that
weights fit both. This is another, shorter text than MONAI's.

Kerfoot et al. "Left-ventricle quantification using residual U-Net", STACOM 2018,
https://doi.org/10.1007/978-3-030-12029-0_40.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

CONVOLUTIONS: dict[int, Any] = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED_CONVOLUTIONS: dict[int, Any] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORMS = {
    ("batch", 2): nn.BatchNorm2d,
    ("batch", 3): nn.BatchNorm3d,
    ("instance", 2): nn.InstanceNorm2d,
    ("instance", 3): nn.InstanceNorm3d,
}


class UNet(nn.Module):
    """A U-Net of residual units that returns an image of the same size.

    Parameters
    ----------
    spatial_dims
        2 for images ``(batch, channel, y, x)``, 3 for stacks.
    in_channels, out_channels
        Numbers of channels.
    channels
        Channels of the levels, the finest first.
    strides
        How many times smaller each further level is, or one number for each axis.
    num_res_units
        Convolutions in a residual unit of the encoder, at least 1.
    norm
        ``"batch"``, or ``"instance"`` (without weights).
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int],
        strides: Sequence[int | Sequence[int]],
        num_res_units: int,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        if num_res_units < 1:
            raise ValueError("this file has no U-Net without residual units")
        self.dims, self.units, self.norm = spatial_dims, num_res_units, norm
        by_axis = [
            [step] * spatial_dims if isinstance(step, int) else list(step)
            for step in strides
        ]
        self.model = self.level(
            in_channels, out_channels, list(channels), by_axis, top=True
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return an image of ``out_channels`` channels.

        Parameters
        ----------
        image
            ``(batch, in_channels, [z,] y, x)``, sizes in multiples of all strides.
        """
        result: torch.Tensor = self.model(image)
        return result

    def level(
        self,
        inputs: int,
        outputs: int,
        channels: list[int],
        strides: list[list[int]],
        top: bool = False,
    ) -> nn.Sequential:
        """Return a level with all that are coarser: down, those around them, up."""
        first, second = channels[:2]
        ones = [1] * self.dims
        coarser: nn.Module
        if len(channels) > 2:
            joined = 2 * first
            coarser = self.level(first, first, channels[1:], strides[1:])
        else:
            joined = first + second
            coarser = Residual(self.dims, first, second, ones, self.units, self.norm)
        down = Residual(self.dims, inputs, first, strides[0], self.units, self.norm)
        larger = TRANSPOSED_CONVOLUTIONS[self.dims](
            joined,
            outputs,
            kernel_size=3,
            stride=strides[0],
            padding=1,
            output_padding=[step - 1 for step in strides[0]],
        )
        up = nn.Sequential(
            activated(larger, self.dims, outputs, self.norm),
            Residual(self.dims, outputs, outputs, ones, 1, self.norm, bare=top),
        )
        return nn.Sequential(down, Skip(coarser), up)


class Skip(nn.Module):
    """Joins the input of a network with its output."""

    def __init__(self, submodule: nn.Module) -> None:
        super().__init__()
        self.submodule = submodule

    def forward(self, level: torch.Tensor) -> torch.Tensor:
        """Return the features with those of the coarser levels behind them."""
        return torch.cat([level, self.submodule(level)], dim=1)


class Residual(nn.Module):
    """Adds to its input what a few convolutions make of it."""

    def __init__(
        self,
        dims: int,
        inputs: int,
        outputs: int,
        stride: list[int],
        units: int,
        norm: str,
        bare: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Sequential()
        before, step = inputs, stride
        for number in range(units):
            conv = CONVOLUTIONS[dims](
                before, outputs, kernel_size=3, stride=step, padding=1
            )
            unit = activated(conv, dims, outputs, norm)
            if bare and number == units - 1:
                unit = nn.Sequential(OrderedDict(conv=conv))
            self.conv.add_module(f"unit{number}", unit)
            before, step = outputs, [1] * dims
        self.residual: nn.Module = nn.Identity()
        if max(stride) > 1:
            self.residual = CONVOLUTIONS[dims](
                inputs, outputs, kernel_size=3, stride=stride, padding=1
            )
        elif inputs != outputs:
            self.residual = CONVOLUTIONS[dims](inputs, outputs, kernel_size=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the sum."""
        result: torch.Tensor = self.conv(features) + self.residual(features)
        return result


def activated(conv: nn.Module, dims: int, outputs: int, norm: str) -> nn.Sequential:
    """Return a convolution, normalised and activated."""
    after = nn.Sequential(OrderedDict(N=NORMS[norm, dims](outputs), A=nn.PReLU()))
    return nn.Sequential(OrderedDict(conv=conv, adn=after))
