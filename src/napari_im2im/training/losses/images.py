"""What training makes small: weighted sums of image losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from monai.losses import SSIMLoss
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
)

from napari_im2im.training.losses.terms import WeightedTerms, weighted_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.training.tasks.catalogue import ImageLossName

_SSIM_WINDOW = 11
_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales of MS-SSIM, finest first (Wang et al. 2003)."""

_CHARBONNIER = 1e-3
"""Residual, in normalised units, below which the Charbonnier loss is quadratic."""

_SHARPNESS = 0.95
"""Of the soft threshold, as in the Spotlight paper."""


class WeightedLoss(WeightedTerms):
    """Weighted sum of losses of images.

    ``l1``, ``mse``
        Mean absolute and mean squared error.
    ``charbonnier``
        Smooth L1, ``sqrt(d² + ε²) − ε`` (Charbonnier et al. 1994,
        https://doi.org/10.1109/ICIP.1994.413553).
    ``ssim``
        1 − SSIM (Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861), with a
        Gaussian window of 11 pixels, fewer along axes on which the patch is smaller.
    ``ms_ssim``
        1 − multi-scale SSIM (Wang et al. 2003,
        https://doi.org/10.1109/ACSSC.2003.1292216) of the planes, with as many of
        its five scales as the patch has room for.
    ``pearson``
        1 − Pearson correlation of each channel of each patch.
    ``fourier``
        Mean absolute difference of the Fourier coefficients (Cho et al. 2021,
        https://arxiv.org/abs/2108.05054).
    ``foreground``
        Spotlight, for sparse targets: squared error where the target is brighter
        than a threshold, and Dice of the softly thresholded prediction (Kalinin et
        al. 2025, https://arxiv.org/abs/2507.05383).

    SSIM and MS-SSIM are taken of images whose channels are brought to the range 0
    to 1, with a data range of 1, averaged over the channels. Weights of pixels are
    weights in the mean where a term is a mean of pixels. Terms that look at
    neighbourhoods see the target instead of the prediction where the weight is 0
    (and a mixture in between), and are scaled by what remains.

    Parameters
    ----------
    weights
        Weight by term.
    patch
        Patch size ``([z,] y, x)``.
    low, high
        Usual smallest and largest value of each target channel, normalised.
    foreground
        Value of each target channel above which a pixel is foreground, normalised;
        default: the middle of the usual values.
    """

    low: torch.Tensor
    span: torch.Tensor
    threshold: torch.Tensor

    def __init__(
        self,
        weights: Mapping[ImageLossName, float],
        patch: Sequence[int],
        low: Sequence[float],
        high: Sequence[float],
        foreground: Sequence[float] | None = None,
    ) -> None:
        super().__init__(weights)
        shape = (1, len(low), *(1 for _ in patch))
        bottom, top = (torch.tensor(values).reshape(shape) for values in (low, high))
        middle = (bottom + top) / 2
        if foreground:
            middle = torch.tensor(foreground).reshape(shape)
        self.register_buffer("low", bottom)
        self.register_buffer("span", (top - bottom).clamp_min(1e-6))
        self.register_buffer("threshold", middle)
        window = [min(_SSIM_WINDOW, size - 1 + size % 2) for size in patch]
        self.ssim = SSIMLoss(len(patch), data_range=1.0, win_size=window)
        self._scales = _scales(min(patch[-2:]))
        self.terms = {
            "l1": _mean_absolute,
            "mse": _mean_square,
            "charbonnier": _charbonnier,
            "ssim": self._ssim,
            "ms_ssim": self._ms_ssim,
            "pearson": _pearson,
            "fourier": _fourier,
            "foreground": self._foreground,
        }

    def _ssim(
        self,
        prediction: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None,
    ) -> torch.Tensor:
        prediction, kept = _blend(prediction, target, weight)
        value: torch.Tensor = self.ssim(self._unit(prediction), self._unit(target))
        return value / kept

    def _ms_ssim(
        self,
        prediction: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None,
    ) -> torch.Tensor:
        prediction, kept = _blend(prediction, target, weight)
        images = [_planes(self._unit(image)) for image in (prediction, target)]
        value: torch.Tensor = multiscale_structural_similarity_index_measure(
            *images,
            kernel_size=self._scales[0],
            data_range=1.0,
            betas=self._scales[1],
            normalize="relu",
        )
        return (1 - value) / kept

    def _foreground(
        self,
        prediction: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None,
    ) -> torch.Tensor:
        foreground = (target > self.threshold).float()
        if weight is not None:
            foreground = foreground * weight
        soft = _soft_threshold((prediction - self.threshold) / self.span)
        if weight is not None:
            soft = soft * weight
        overlap = 2 * (soft * (foreground > 0)).sum() + 1
        dice = 1 - overlap / (soft.sum() + foreground.sum() + 1)
        return (_mean_square(prediction, target, foreground) + dice) / 2

    def _unit(self, image: torch.Tensor) -> torch.Tensor:
        return (image - self.low) / self.span


def _scales(size: int) -> tuple[int, tuple[float, ...]]:
    """Return the window and the exponents of the scales that an image has room for."""
    window = min(_SSIM_WINDOW, size - 1 + size % 2)
    count = len(_SCALES)
    # What torchmetrics demands of the smallest image.
    while count > 1 and size // max(1, count - 1) ** 2 < window:
        count -= 1
    total = sum(_SCALES[:count])
    return window, tuple(beta / total for beta in _SCALES[:count])


def _mean_absolute(
    prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None
) -> torch.Tensor:
    return weighted_mean((prediction - target).abs(), weight)


def _mean_square(
    prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None
) -> torch.Tensor:
    return weighted_mean((prediction - target).square(), weight)


def _charbonnier(
    prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None
) -> torch.Tensor:
    squares = (prediction - target).square() + _CHARBONNIER**2
    return weighted_mean(squares.sqrt() - _CHARBONNIER, weight)


def _pearson(
    prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None
) -> torch.Tensor:
    space = tuple(range(2, target.ndim))
    if weight is None:
        weight = torch.ones_like(target[:, :1])
    share = weight / weight.sum(space, keepdim=True).clamp_min(1e-6)

    def centred(image: torch.Tensor) -> torch.Tensor:
        return image - (share * image).sum(space, keepdim=True)

    a, b = centred(prediction), centred(target)
    spread = (share * a.square()).sum(space) * (share * b.square()).sum(space)
    # A patch without contrast has no correlation; the floor keeps gradients finite.
    correlation = (share * a * b).sum(space) / (spread + 1e-8).sqrt()
    return weighted_mean(1 - correlation, (weight.amax(space) > 0).to(a))


def _fourier(
    prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None
) -> torch.Tensor:
    prediction, kept = _blend(prediction, target, weight)
    space = tuple(range(2, target.ndim))
    difference: torch.Tensor = torch.fft.rfftn(
        prediction - target, dim=space, norm="ortho"
    )
    return difference.abs().mean() / kept


def _blend(
    prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor | float]:
    """Return the prediction where it counts, else the target, and the part of it."""
    if weight is None:
        return prediction, 1.0
    share = weight / weight.amax().clamp_min(1e-6)
    return target + share * (prediction - target), share.mean().clamp_min(1e-6)


def _planes(image: torch.Tensor) -> torch.Tensor:
    """Return planes ``(batch · z, c, y, x)``."""
    return image if image.ndim == 4 else image.transpose(1, 2).flatten(0, 1)


def _soft_threshold(distance: torch.Tensor) -> torch.Tensor:
    """Return 0 far below the threshold, 0.5 at it, and 1 far above.

    It is the tunable sigmoid of Spotlight, of a distance in units of the range of
    the target.
    """
    bounded = (2 * distance).clamp(-1, 1)
    k = -_SHARPNESS
    return 0.5 + 0.5 * (bounded - k * bounded) / (k - 2 * k * bounded.abs() + 1)
