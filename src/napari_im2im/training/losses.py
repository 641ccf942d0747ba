"""What training makes small: weighted sums of image losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from monai.losses import SSIMLoss
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.training.config import LossName

_SSIM_WINDOW = 11


class WeightedLoss(nn.Module):
    """Weighted sum of L1, squared error and 1 − SSIM.

    SSIM (Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861) is taken of
    images whose channels are brought to the range 0 to 1, with a Gaussian window
    of 11 pixels (fewer along axes on which the patch is smaller) and a data range
    of 1, averaged over the channels.

    Parameters
    ----------
    weights
        Weight by term.
    patch
        Patch size ``([z,] y, x)``.
    low, high
        Usual smallest and largest value of each target channel, normalised.
    """

    low: torch.Tensor
    span: torch.Tensor

    def __init__(
        self,
        weights: Mapping[LossName, float],
        patch: Sequence[int],
        low: Sequence[float],
        high: Sequence[float],
    ) -> None:
        super().__init__()
        self.weights = dict(weights)
        shape = (1, len(low), *(1 for _ in patch))
        bottom, top = (torch.tensor(values).reshape(shape) for values in (low, high))
        self.register_buffer("low", bottom)
        self.register_buffer("span", (top - bottom).clamp_min(1e-6))
        window = [min(_SSIM_WINDOW, size - 1 + size % 2) for size in patch]
        self.ssim = SSIMLoss(len(patch), data_range=1.0, win_size=window)

    def forward(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of normalised images ``(batch, c, [z,] y, x)``."""
        prediction = prediction.float()
        loss = prediction.new_zeros(())
        for name, weight in self.weights.items():
            loss = loss + weight * self._term(name, prediction, target)
        return loss

    def _term(
        self, name: LossName, prediction: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor:
        if name == "l1":
            return nn.functional.l1_loss(prediction, target)
        if name == "mse":
            return nn.functional.mse_loss(prediction, target)
        images = [(image - self.low) / self.span for image in (prediction, target)]
        ssim: torch.Tensor = self.ssim(*images)
        return ssim
