"""A network of MONAI behind an enlargement of its input; needs PyTorch and MONAI.

For super-resolution: the input is enlarged by whole factors, and the network adds what
interpolation can't know, as in SRCNN (Dong et al. 2016,
https://doi.org/10.1109/TPAMI.2015.2439281).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from monai.networks import nets
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MODES = {2: "bicubic", 3: "trilinear"}


class UpsampledNetwork(nn.Module):
    """A network that makes a larger image.

    Parameters
    ----------
    network
        Class of ``monai.networks.nets``.
    network_kwargs
        Its arguments.
    factors
        How many times as many pixels the result has, by axis.
    """

    def __init__(
        self, network: str, network_kwargs: Mapping[str, Any], factors: Sequence[int]
    ) -> None:
        super().__init__()
        self.network = getattr(nets, network)(**network_kwargs)
        self.factors = [float(factor) for factor in factors]
        self.mode = MODES[len(self.factors)]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the enlarged image ``(batch, c, [z,] y, x)``."""
        large = nn.functional.interpolate(
            image, scale_factor=self.factors, mode=self.mode, align_corners=False
        )
        return self.network(large)
