"""Networks that tell predicted images from real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from monai.losses import PatchAdversarialLoss
from monai.networks.nets import PatchDiscriminator
from torch import Tensor, nn

from napari_im2im.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.training.adversarial.config import AdversarialConfig

_SMALLEST = 6
"""Pixels along each axis that a discriminator with a single layer needs."""


class Discriminators(nn.Module):
    """Discriminators that learn together, one for each kind of images.

    Each says for overlapping regions of an image whether they look real, as in
    PatchGAN (Isola et al. 2017, https://doi.org/10.1109/CVPR.2017.632).

    Parameters
    ----------
    channels
        Channels of the images that each of them sees.
    patch
        Patch size by axis.
    config
        Their size, and how they are compared with the truth.

    Raises
    ------
    ConfigError
        If the patch is too small.
    """

    def __init__(
        self,
        channels: Sequence[int],
        patch: Mapping[str, int],
        config: AdversarialConfig,
    ) -> None:
        super().__init__()
        layers = _layers(patch, config.layers)
        self.channels = tuple(channels)
        self.least_size = _SMALLEST * 2 ** (layers - 1)
        self.judges = nn.ModuleList(
            PatchDiscriminator(
                spatial_dims=len(patch),
                channels=config.channels,
                in_channels=count,
                num_layers_d=layers,
            )
            for count in channels
        )
        # The networks' last layers stay linear, as least squares want them.
        self.criterion = PatchAdversarialLoss(
            criterion=config.loss, no_activation_leastsq=True
        )

    def forward(self, real: Sequence[Tensor], made: Sequence[Tensor]) -> list[Tensor]:
        """Return what each says of real images, then of those that were made."""
        return [*self.opinions(real), *self.opinions(made)]

    def opinions(self, images: Sequence[Tensor]) -> list[Tensor]:
        """Return what each says of its images, ``(batch, 1, [z,] y, x)``."""
        pairs = zip(self.judges, images, strict=True)
        return [judge(image)[-1] for judge, image in pairs]

    def mistakes(self, opinions: Sequence[Tensor]) -> Tensor:
        """Return the loss of what `forward` returned; the mean over all of them."""
        count = len(self.judges)
        values = [self._loss(opinion, True) for opinion in opinions[:count]]
        values += [self._loss(opinion, False) for opinion in opinions[count:]]
        return torch.stack(values).mean()

    def suspicion(self, images: Sequence[Tensor]) -> Tensor:
        """Return how much images look made, summed over the discriminators.

        The gradient reaches the images, and leaves the discriminators alone.
        """
        self.requires_grad_(False)
        try:
            values = [
                self.criterion(
                    each.float(), target_is_real=True, for_discriminator=False
                )
                for each in self.opinions(images)
            ]
        finally:
            self.requires_grad_(True)
        return torch.stack(values).sum()

    def _loss(
        self, opinion: Tensor, real: bool, *, for_discriminator: bool = True
    ) -> Tensor:
        value: Tensor = self.criterion(opinion.float(), real, for_discriminator)
        return value


def _layers(patch: Mapping[str, int], wanted: int) -> int:
    """Return as many layers as wanted, or as a patch has room for."""
    axis = min(patch, key=lambda a: patch[a])
    if patch[axis] < _SMALLEST:
        raise ConfigError(
            f"A discriminator needs patches of {_SMALLEST} pixels along {axis}, not "
            f"{patch[axis]}: use larger patches, or set adversarial.weight to 0."
        )
    return max(
        n for n in range(1, wanted + 1) if _SMALLEST * 2 ** (n - 1) <= patch[axis]
    )
