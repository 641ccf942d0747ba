"""Pretraining without a target: filling blocks that are hidden."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_im2im.errors import ConfigError
from napari_im2im.training.metrics import image_metrics
from napari_im2im.training.tasks.hiding import HidingTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.training.data.samples import Sample

_BLOCK = 16
"""Pixels of a block in y and x: those of a token of a vision transformer."""


class MaskedTask(HidingTask):
    """Blocks of each patch are hidden and predicted from those that are left.

    The network learns what such images consist of; a training with few targets goes
    on from it. A masked autoencoder (He et al. 2022,
    https://doi.org/10.1109/CVPR52688.2022.01553) in the form that suits any network:
    hidden blocks stay in the image, as a single value, and what the network returns
    there is compared with what was there (SimMIM, Xie et al. 2022,
    https://doi.org/10.1109/CVPR52688.2022.00943).
    """

    def check(self, samples: Sequence[Sample]) -> None:
        """Refuse blocks along other axes, and images without contrast."""
        axes = self.layout.spatial_axes
        for axis in self.config.masked.block:
            if axis not in axes:
                raise ConfigError(
                    f"masked.block names the axis {axis}, but the network has "
                    f"{', '.join(axes)}: leave it out."
                )
        super().check(samples)

    @property
    def block(self) -> tuple[int, ...]:
        """Pixels of a block along each axis, where patches are large enough."""
        scale, chosen = self.layout.scale, self.config.masked.block
        thickness = scale.get("z", 1.0) / scale.get("x", scale.get("z", 1.0))
        usual = {"z": max(1, round(_BLOCK / thickness)), "y": _BLOCK, "x": _BLOCK}
        return tuple(chosen.get(a, usual[a]) for a in self.layout.spatial_axes)

    def hide(
        self, inputs: torch.Tensor, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Replace hidden blocks by the mean of what is left of their patch."""
        shape = (len(inputs), *inputs.shape[2:])
        share = self.config.masked.share
        hidden = hidden_blocks(shape, self.block, share, generator, inputs.device)
        space = tuple(range(2, inputs.ndim))
        seen = (inputs * ~hidden).sum(space, keepdim=True)
        mean = seen / (~hidden).sum(space, keepdim=True).clamp_min(1)
        return torch.where(hidden, mean, inputs), hidden

    def metrics(
        self,
        predictions: torch.Tensor,
        targets: np.ndarray,
        weights: np.ndarray | None,
    ) -> dict[str, float]:
        """Measure PCC and MAE of the hidden pixels, in the images' units."""
        hidden = self.hidden_in_validation(targets.shape[2:])
        counted = hidden.expand(len(targets), *hidden.shape[1:])
        if weights is not None:
            counted = counted & (torch.from_numpy(weights) > 0)
        truth = torch.from_numpy(np.asarray(targets, np.float32))
        values = image_metrics(
            predictions, truth, self.data_range, self.output_names, counted
        )
        return {k: v for k, v in values.items() if k.split()[0] in ("pcc", "mae")}

    def meaning(self) -> dict[str, Any]:
        """Say that this is a network to start from, and what it has learned."""
        block = dict(zip(self.layout.spatial_axes, self.block, strict=True))
        share = self.config.masked.share
        return {"name": "masked", "share": share, "block": block}

    def summary(self, inputs: str) -> str:
        """Say what the network is for."""
        return (
            f"Pretrained on {inputs} by filling hidden blocks: a network to start "
            "trainings from, not to predict with"
        )

    def metrics_note(self) -> str:
        """Say which pixels were measured."""
        return "of the hidden pixels alone, in the units of the images"

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags by which other software knows a pretrained network."""
        return ("pretraining", "self-supervision")

    @property
    def judges_examined(self) -> bool:
        """What it returns for pixels that it sees was never compared with anything."""
        return True

    def shown(
        self, source: np.ndarray, target: np.ndarray, prediction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Show the image with its holes, whole, and with the holes filled."""
        hidden = self.hidden_in_validation(source.shape[1:])[0].numpy()
        seen = np.where(hidden, source.min(), source)
        return seen, target, np.where(hidden, prediction, target)


def hidden_blocks(
    shape: tuple[int, ...],
    block: Sequence[int],
    share: float,
    generator: torch.Generator | None,
    device: torch.device,
) -> torch.Tensor:
    """Choose blocks of a grid that lies anew in each patch.

    Parameters
    ----------
    shape
        ``(batch, [z,] y, x)``.
    block
        Pixels of a block along each axis; at most half of the patch are taken.
    share
        Part of the blocks to hide.
    generator
        Draws them; default: torch's global one.
    device
        Where they are drawn.

    Returns
    -------
    torch.Tensor
        Bool ``(batch, 1, [z,] y, x)``.
    """
    batch, *space = shape
    sides = [min(b, max(1, n // 2)) for b, n in zip(block, space, strict=True)]
    # One more than fit, because the grid begins anywhere in its first block.
    counts = [-(-n // side) + 1 for n, side in zip(space, sides, strict=True)]
    starts = torch.rand((len(space), batch), generator=generator, device=device)
    order = torch.rand((batch, prod(counts)), generator=generator, device=device)
    ranks = order.argsort(1).argsort(1)
    chosen = ranks < round(share * prod(counts))
    number = torch.zeros((batch, *(1 for _ in space)), dtype=torch.long, device=device)
    for i, (size, side) in enumerate(zip(space, sides, strict=True)):
        start = (starts[i] * side).long()[:, None]
        along = (torch.arange(size, device=device) + start) // side
        aside = [size if i == j else 1 for j in range(len(space))]
        number = number * counts[i] + along.reshape(batch, *aside)
    return chosen.gather(1, number.flatten(1)).reshape(batch, 1, *space)
