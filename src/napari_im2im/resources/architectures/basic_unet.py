"""A plain U-Net for images and stacks; needs nothing but PyTorch.

Layers, the names of their weights and the arguments are those of
``monai.networks.nets.BasicUNet`` of MONAI, Copyright (c) MONAI Consortium, licensed
under the Apache License, Version 2.0 (http://www.apache.org/licenses/LICENSE-2.0),
so that weights fit both. This is another, shorter text than MONAI's.

Falk et al. "U-Net: deep learning for cell counting, detection, and morphometry",
Nature Methods 16, 67-70 (2019), https://doi.org/10.1038/s41592-018-0261-2.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED_CONVOLUTIONS = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOLS = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
NORMS = {
    ("batch", 2): nn.BatchNorm2d,
    ("batch", 3): nn.BatchNorm3d,
    ("instance", 2): nn.InstanceNorm2d,
    ("instance", 3): nn.InstanceNorm3d,
}


class BasicUNet(nn.Module):
    """A U-Net of five levels that returns an image of the same size.

    Parameters
    ----------
    spatial_dims
        2 for images ``(batch, channel, y, x)``, 3 for stacks.
    in_channels, out_channels
        Numbers of channels.
    features
        Channels of the five levels from the finest on, and of the last one.
    norm
        ``"batch"``, or ``"instance"`` (without weights).
    upsample
        ``"deconv"``: transposed convolutions.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        features: Sequence[int],
        norm: str = "batch",
        upsample: str = "deconv",
    ) -> None:
        super().__init__()
        if upsample != "deconv":
            raise ValueError(f"this file has no upsampling {upsample!r}")
        f, dims = features, spatial_dims
        self.conv_0 = two_convolutions(dims, in_channels, f[0], norm)
        self.down_1 = down(dims, f[0], f[1], norm)
        self.down_2 = down(dims, f[1], f[2], norm)
        self.down_3 = down(dims, f[2], f[3], norm)
        self.down_4 = down(dims, f[3], f[4], norm)
        self.upcat_4 = Up(dims, f[4], f[4] // 2, f[3], f[3], norm)
        self.upcat_3 = Up(dims, f[3], f[3] // 2, f[2], f[2], norm)
        self.upcat_2 = Up(dims, f[2], f[2] // 2, f[1], f[1], norm)
        self.upcat_1 = Up(dims, f[1], f[1], f[0], f[5], norm)
        self.final_conv = CONVOLUTIONS[dims](f[5], out_channels, kernel_size=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return an image of ``out_channels`` channels.

        Parameters
        ----------
        image
            ``(batch, in_channels, [z,] y, x)``, sizes best in multiples of 16.
        """
        level_0 = self.conv_0(image)
        level_1 = self.down_1(level_0)
        level_2 = self.down_2(level_1)
        level_3 = self.down_3(level_2)
        level_4 = self.down_4(level_3)
        level_3 = self.upcat_4(level_4, level_3)
        level_2 = self.upcat_3(level_3, level_2)
        level_1 = self.upcat_2(level_2, level_1)
        level_0 = self.upcat_1(level_1, level_0)
        result: torch.Tensor = self.final_conv(level_0)
        return result


class Up(nn.Module):
    """Doubles the size, joins the encoder's level, and convolves twice."""

    def __init__(
        self,
        dims: int,
        inputs: int,
        upsampled: int,
        level: int,
        outputs: int,
        norm: str,
    ) -> None:
        super().__init__()
        larger = TRANSPOSED_CONVOLUTIONS[dims](
            inputs, upsampled, kernel_size=2, stride=2
        )
        self.upsample = nn.Sequential(OrderedDict(deconv=larger))
        self.convs = two_convolutions(dims, level + upsampled, outputs, norm)

    def forward(self, coarse: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """Return the level's features, refined by those of the coarser one."""
        larger: torch.Tensor = self.upsample(coarse)
        # A level of odd size lost its last row when it was halved.
        missing: list[int] = []
        for axis in range(level.dim() - 1, 1, -1):
            missing += [0, level.shape[axis] - larger.shape[axis]]
        larger = nn.functional.pad(larger, missing, "replicate")
        result: torch.Tensor = self.convs(torch.cat([level, larger], dim=1))
        return result


def down(dims: int, inputs: int, outputs: int, norm: str) -> nn.Sequential:
    """Return layers that halve the size and convolve twice."""
    return nn.Sequential(
        OrderedDict(
            max_pooling=POOLS[dims](kernel_size=2),
            convs=two_convolutions(dims, inputs, outputs, norm),
        )
    )


def two_convolutions(dims: int, inputs: int, outputs: int, norm: str) -> nn.Sequential:
    """Return two convolutions, each normalised and activated."""
    return nn.Sequential(
        OrderedDict(
            conv_0=convolution(dims, inputs, outputs, norm),
            conv_1=convolution(dims, outputs, outputs, norm),
        )
    )


def convolution(dims: int, inputs: int, outputs: int, norm: str) -> nn.Sequential:
    """Return a convolution of width 3, normalised and activated."""
    after = nn.Sequential(
        OrderedDict(
            N=NORMS[norm, dims](outputs),
            A=nn.LeakyReLU(negative_slope=0.1),
        )
    )
    conv = CONVOLUTIONS[dims](inputs, outputs, kernel_size=3, padding=1)
    return nn.Sequential(OrderedDict(conv=conv, adn=after))
