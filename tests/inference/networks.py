"""Small networks of torch, as the functions of numpy arrays that runtimes are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

# Small networks lose more by threads than they gain.
torch.set_num_threads(1)

Network = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


class UNet(nn.Module):
    """A U-Net with BatchNorm and max pooling, two levels deep: stride 4."""

    def __init__(
        self,
        dimensions: int = 2,
        in_channels: int = 1,
        out_channels: int = 1,
        width: int = 4,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dimensions]
        normalise = {
            "batch": {2: nn.BatchNorm2d, 3: nn.BatchNorm3d},
            "instance": {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d},
        }[norm][dimensions]
        up = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[dimensions]
        self.pool = {2: nn.MaxPool2d, 3: nn.MaxPool3d}[dimensions](2)

        def block(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(
                conv(inputs, outputs, 3, padding=1), normalise(outputs), nn.LeakyReLU()
            )

        self.down = nn.ModuleList(
            [
                block(in_channels, width),
                block(width, 2 * width),
                block(2 * width, 2 * width),
            ]
        )
        self.ups = nn.ModuleList(
            [up(2 * width, 2 * width, 2, 2), up(2 * width, width, 2, 2)]
        )
        self.merge = nn.ModuleList(
            [block(4 * width, 2 * width), block(2 * width, width)]
        )
        self.last = conv(width, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.down[0](x)
        second = self.down[1](self.pool(first))
        third = self.down[2](self.pool(second))
        second = self.merge[0](torch.cat([second, self.ups[0](third)], 1))
        first = self.merge[1](torch.cat([first, self.ups[1](second)], 1))
        return self.last(first)


def as_function(network: nn.Module, seed: int = 0, gain: float = 1.0) -> Network:
    """Return the network in evaluation mode, with random weights and statistics."""
    generator = torch.Generator().manual_seed(seed)
    for name, values in network.state_dict().items():
        if name.endswith("running_mean"):
            values.normal_(generator=generator)
        elif name.endswith("running_var"):
            values.uniform_(0.5, 2.0, generator=generator)
        elif values.is_floating_point() and values.ndim > 1:
            fan = values[0].numel()
            values.normal_(0, gain * fan**-0.5, generator=generator)
    network.eval()

    def run(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        with torch.inference_mode():
            tensors = [torch.from_numpy(np.array(a, np.float32)) for a in inputs]
            result = network(*tensors)
        outputs = result if isinstance(result, tuple) else (result,)
        return [output.numpy() for output in outputs]

    return run
