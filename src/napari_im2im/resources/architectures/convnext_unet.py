"""A U-Net of ConvNeXt blocks for images and stacks; needs nothing but PyTorch.

Like UNeXt2 of Liu et al. 2025 (Cytoland, https://doi.org/10.1038/s42256-025-01046-2):
a strided stem, ConvNeXt blocks (Liu et al. 2022, https://arxiv.org/abs/2201.03545) in
encoder and decoder, and a head at full resolution. Normalisation is over the channels
of each pixel, so that a tile gives what the whole image gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED_CONVOLUTIONS = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel of ``(batch, c, [z,] y, x)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return an image of the same shape."""
        return self.norm(image.movedim(1, -1)).movedim(-1, 1)


class ConvNeXtBlock(nn.Module):
    """Convolve each channel, mix the channels of each pixel, add to the input."""

    def __init__(
        self, spatial_dims: int, channels: int, kernel_size: Sequence[int]
    ) -> None:
        super().__init__()
        convolution = CONVOLUTIONS[spatial_dims]
        padding = [size // 2 for size in kernel_size]
        self.spatial = convolution(
            channels, channels, tuple(kernel_size), padding=padding, groups=channels
        )
        self.norm = ChannelNorm(channels)
        self.widen = convolution(channels, 4 * channels, 1)
        self.narrow = convolution(4 * channels, channels, 1)
        self.scale = nn.Parameter(torch.full((1, channels, *[1] * spatial_dims), 0.1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return an image of the same shape."""
        mixed = nn.functional.gelu(self.widen(self.norm(self.spatial(image))))
        return image + self.scale * self.narrow(mixed)


class ConvNeXtUNet(nn.Module):
    """A U-Net of ConvNeXt blocks.

    Parameters
    ----------
    spatial_dims
        2 or 3.
    in_channels, out_channels
        Numbers of channels; the planes of a stack may be channels (2.5D).
    features
        Channels of each level, finest first.
    blocks
        Blocks of each level of the encoder and of the decoder.
    kernel_size
        Of the convolution of each channel, by axis, odd.
    strides
        Of the stem and between the levels, by axis.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        features: Sequence[int] = (32, 64, 128, 256),
        blocks: int = 2,
        kernel_size: Sequence[int] = (7, 7),
        strides: Sequence[Sequence[int]] = ((2, 2), (2, 2), (2, 2), (2, 2)),
    ) -> None:
        super().__init__()
        convolution = CONVOLUTIONS[spatial_dims]
        steps = [tuple(stride) for stride in strides]

        def level(channels: int) -> nn.Sequential:
            return nn.Sequential(
                *(
                    ConvNeXtBlock(spatial_dims, channels, kernel_size)
                    for _ in range(blocks)
                )
            )

        def up(before: int, after: int, stride: tuple[int, ...]) -> nn.Module:
            return TRANSPOSED_CONVOLUTIONS[spatial_dims](before, after, stride, stride)

        self.stem = nn.Sequential(
            convolution(in_channels, features[0], steps[0], steps[0]),
            ChannelNorm(features[0]),
        )
        pairs = list(zip(features[:-1], features[1:], steps[1:], strict=True))
        self.encoder = nn.ModuleList(level(channels) for channels in features)
        self.down = nn.ModuleList(
            nn.Sequential(ChannelNorm(fine), convolution(fine, coarse, stride, stride))
            for fine, coarse, stride in pairs
        )
        self.up = nn.ModuleList(up(coarse, fine, s) for fine, coarse, s in pairs)
        self.merge = nn.ModuleList(
            convolution(2 * fine, fine, 1) for fine, _, _ in pairs
        )
        self.decoder = nn.ModuleList(level(fine) for fine, _, _ in pairs)
        self.head = nn.Sequential(
            up(features[0], features[0], steps[0]),
            convolution(features[0], features[0], 3, padding=1),
            nn.GELU(),
            convolution(features[0], out_channels, 1),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return an image ``(batch, out_channels, [z,] y, x)`` of the same size."""
        image = self.encoder[0](self.stem(image))
        kept = [image]
        for down, level in zip(self.down, self.encoder[1:], strict=True):
            image = level(down(image))
            kept.append(image)
        for i in reversed(range(len(self.up))):
            merged = torch.cat([kept[i], self.up[i](image)], dim=1)
            image = self.decoder[i](self.merge[i](merged))
        return self.head(image)
