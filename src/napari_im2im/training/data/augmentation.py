"""Varying batches of patches on the device that learns them.

Flips and quarter turns move pixels without changing them and are made where patches
are cut out (`sampling.py`); here is what interpolates pixels or changes their values.
Everything happens in the y-x plane, alike in all planes of a stack, so that z is
handled like a channel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_im2im.training.data.augmentation_config import AugmentationConfig

_ELASTIC_SPACING = 32
"""Pixels between the points that elastic deformation moves."""

_GRID_HIDDEN = 0.5
"""Part of the period of the grid mask that is hidden, along each axis."""


@dataclass(frozen=True)
class Augmenter:
    """Varies batches; what it draws follows from the generator that it is given.

    Parameters
    ----------
    config
        What to change by how much.
    labels
        Whether targets are labels, which are never mixed.
    """

    config: AugmentationConfig
    labels: bool = False

    def warp(
        self,
        inputs: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None,
        generator: torch.Generator,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Rotate, scale and deform patches ``(batch, c, [z,] y, x)``, once resampled.

        What comes from beyond the patch is mirrored. Images are interpolated
        bicubically; labels and weights take the nearest pixel. A target may have
        several times the pixels of the input along y and x.
        """
        if not self.config.warps:
            return inputs, target, weight
        matrix = self._matrix(len(inputs), generator)
        shifts = self._shifts(inputs, generator)

        def resample(image: torch.Tensor, mode: str) -> torch.Tensor:
            return _resample(image, matrix, shifts, mode)

        return (
            resample(inputs, "bicubic"),
            resample(target, "nearest" if self.labels else "bicubic"),
            None if weight is None else resample(weight, "nearest"),
        )

    def change_look(
        self, inputs: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Change normalised inputs ``(batch, c, [z,] y, x)``, float32.

        Amounts are in standard deviations of the channel over the batch.
        """
        config = self.config
        steps: tuple[tuple[float, Callable[..., torch.Tensor]], ...] = (
            (config.defocus, _defocus),
            (config.blur, _blur),
            (config.gamma, _gamma),
            (config.contrast, _contrast),
            (config.brightness, _brightness),
            (config.noise, _noise),
        )
        for amount, change in steps:
            if amount:
                changed = change(inputs, amount, generator)
                chosen = _draw(inputs, generator) < config.probability
                inputs = torch.where(chosen, changed, inputs)
        masks: tuple[tuple[float, Callable[..., torch.Tensor]], ...] = (
            (config.grid_mask, _grid),
            (config.cutout, _rectangle),
            (config.channel_dropout, _one_channel),
        )
        hidden = torch.zeros((), dtype=torch.bool, device=inputs.device)
        for probability, mask in masks:
            if probability:
                chosen = _draw(inputs, generator) < probability
                hidden = hidden | (mask(inputs, generator) & chosen)
        # 0 is the mean of what was normalised.
        return inputs.masked_fill(hidden, 0.0) if hidden.ndim else inputs

    def _matrix(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Return the rotations and scalings as matrices ``(batch, 2, 2)``."""
        draws = torch.rand((3, count), generator=generator, device=generator.device)
        angle = math.radians(self.config.rotation) * (2 * draws[0] - 1)
        largest = math.log1p(self.config.scale)
        zoom = torch.exp(largest * (2 * draws[1] - 1))
        chosen = draws[2] < self.config.probability
        angle = torch.where(chosen, angle, 0.0)
        zoom = torch.where(chosen, zoom, 1.0)
        rows = [[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]]
        return (
            torch.stack([torch.stack(row, -1) for row in rows], 1) / zoom[:, None, None]
        )

    def _shifts(
        self, inputs: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor | None:
        """Return shifts ``(batch, xy, y, x)`` of few points, in half patches."""
        if not self.config.elastic:
            return None
        points = [max(2, size // _ELASTIC_SPACING + 1) for size in inputs.shape[-2:]]
        shape = (len(inputs), 2, *points)
        shifts = torch.randn(shape, generator=generator, device=generator.device)
        chosen = _draw(shifts, generator) < self.config.probability
        height, width = inputs.shape[-2:]
        pixel = shifts.new_tensor([2 / width, 2 / height])[:, None, None]
        return torch.where(chosen, self.config.elastic * pixel * shifts, 0.0)


def _resample(
    image: torch.Tensor, matrix: torch.Tensor, shifts: torch.Tensor | None, mode: str
) -> torch.Tensor:
    planes = image.reshape(len(image), -1, *image.shape[-2:]).float()
    height, width = planes.shape[-2:]
    rows = torch.linspace(-1 + 1 / height, 1 - 1 / height, height, device=image.device)
    columns = torch.linspace(-1 + 1 / width, 1 - 1 / width, width, device=image.device)
    # In units of half the patch's width, so that a rotation keeps angles.
    y, x = torch.meshgrid(rows * height / width, columns, indexing="ij")
    grid = torch.einsum("bij,yxj->byxi", matrix, torch.stack([x, y], -1))
    grid = grid * grid.new_tensor([1.0, width / height])
    if shifts is not None:
        moved = functional.interpolate(
            shifts, size=(height, width), mode="bicubic", align_corners=True
        )
        grid = grid + moved.permute(0, 2, 3, 1)
    warped = functional.grid_sample(
        planes, grid, mode=mode, padding_mode="reflection", align_corners=False
    )
    return warped.reshape(image.shape)


def _draw(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a number from 0 to 1 for each patch, of as many axes as it has."""
    shape = (len(like), *(1 for _ in like.shape[1:]))
    return torch.rand(shape, generator=generator, device=generator.device)


def _symmetric(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return 2 * _draw(like, generator) - 1


def _space(image: torch.Tensor) -> tuple[int, ...]:
    return tuple(range(2, image.ndim))


def _spread(image: torch.Tensor) -> torch.Tensor:
    return image.std((0, *_space(image)), keepdim=True)


def _brightness(
    image: torch.Tensor, amount: float, generator: torch.Generator
) -> torch.Tensor:
    return image + amount * _spread(image) * _symmetric(image, generator)


def _contrast(
    image: torch.Tensor, amount: float, generator: torch.Generator
) -> torch.Tensor:
    mean = image.mean(_space(image), keepdim=True)
    return mean + (image - mean) * (1 + amount * _symmetric(image, generator))


def _gamma(
    image: torch.Tensor, amount: float, generator: torch.Generator
) -> torch.Tensor:
    low = image.amin(_space(image), keepdim=True)
    high = image.amax(_space(image), keepdim=True)
    span = (high - low).clamp_min(1e-6)
    exponent = torch.exp(math.log1p(amount) * _symmetric(image, generator))
    return low + span * ((image - low) / span) ** exponent


def _noise(
    image: torch.Tensor, amount: float, generator: torch.Generator
) -> torch.Tensor:
    noise = torch.randn(image.shape, generator=generator, device=image.device)
    return image + amount * _spread(image) * _draw(image, generator) * noise


def _blur(
    image: torch.Tensor, amount: float, generator: torch.Generator
) -> torch.Tensor:
    sigma = amount * _draw(image, generator).reshape(-1, 1, 1)
    distance = _distance(math.ceil(3 * amount), image.device)
    return _convolve(image, torch.exp(-(distance**2) / (2 * sigma**2 + 1e-6)))


def _defocus(
    image: torch.Tensor, amount: float, generator: torch.Generator
) -> torch.Tensor:
    radius = amount * _draw(image, generator).reshape(-1, 1, 1)
    # Pixels at the rim count by the part of them that the disc covers, about.
    distance = _distance(math.ceil(amount), image.device)
    return _convolve(image, (radius + 0.5 - distance).clamp(0, 1))


def _distance(radius: int, device: torch.device) -> torch.Tensor:
    """Return how far pixels ``(y, x)`` of a square are from its centre."""
    line = torch.arange(-radius, radius + 1.0, device=device)
    return torch.hypot(line[:, None], line[None, :])


def _convolve(image: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """Convolve each patch with its kernel ``(batch, y, x)``, mirrored at the border."""
    kernels = kernels / kernels.sum((-2, -1), keepdim=True)
    planes = image.reshape(len(image), -1, *image.shape[-2:])
    margin = kernels.shape[-1] // 2
    if margin >= min(planes.shape[-2:]):
        return image
    padded = functional.pad(planes, (margin,) * 4, mode="reflect")
    batch, count = planes.shape[:2]
    weights = kernels.repeat_interleave(count, 0)[:, None]
    result = functional.conv2d(
        padded.reshape(1, batch * count, *padded.shape[-2:]),
        weights,
        groups=batch * count,
    )
    return result.reshape(image.shape)


def _grid(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a grid of squares (Chen et al. 2020, https://arxiv.org/abs/2001.04086)."""
    side = min(image.shape[-2:])
    period = side * (0.125 + 0.25 * _draw(image, generator))
    inside = [
        (line / period + _draw(image, generator)) % 1 < _GRID_HIDDEN
        for line in _lines(image)
    ]
    return inside[0] & inside[1]


def _rectangle(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a rectangle of up to 40 % of each side (DeVries & Taylor 2017)."""
    inside = []
    for line in _lines(image):
        size = line.numel() * (0.1 + 0.3 * _draw(image, generator))
        start = (line.numel() - size) * _draw(image, generator)
        inside.append((line >= start) & (line < start + size))
    return inside[0] & inside[1]


def _one_channel(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return one of the channels, or none of an only one."""
    count = image.shape[1]
    shape = (1, count, *(1 for _ in _space(image)))
    channels = torch.arange(count, device=image.device).reshape(shape)
    chosen = (count * _draw(image, generator)).long()
    return (channels == chosen) & (count > 1)


def _lines(image: torch.Tensor) -> Sequence[torch.Tensor]:
    """Return the positions along y and along x, to be broadcast to the image."""
    height, width = image.shape[-2:]
    device = image.device
    return (
        torch.arange(height, device=device)[:, None],
        torch.arange(width, device=device),
    )
