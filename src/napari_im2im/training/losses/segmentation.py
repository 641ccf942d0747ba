"""What training makes small where classes are learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from monai.losses import (
    DiceLoss,
    FocalLoss,
    GeneralizedDiceLoss,
    SoftclDiceLoss,
    TverskyLoss,
)
from monai.networks.utils import one_hot
from torch import nn
from torch.nn import functional

from napari_im2im.training.losses.images import weighted_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_im2im.training.tasks.catalogue import SegmentationLossName

_SKELETON_STEPS = 10
"""Half the width, in pixels, of the widest structure that clDice thins to a line."""


class SegmentationLoss(nn.Module):
    """Weighted sum of losses of classes.

    ``cross_entropy``
        Of each pixel.
    ``focal``
        Cross entropy in which pixels that are known surely count little (Lin et al.
        2017, https://arxiv.org/abs/1708.02002).
    ``dice``
        1 − Dice of each class over the batch, but for the background (Milletari et
        al. 2016, https://arxiv.org/abs/1606.04797).
    ``generalized_dice``
        1 − Dice of all classes together, rare ones weighted up (Sudre et al. 2017,
        https://arxiv.org/abs/1707.03237).
    ``tversky``
        Dice in which a missed pixel costs more than a false one, 0.7 : 0.3 (Salehi
        et al. 2017, https://arxiv.org/abs/1706.05721).
    ``cldice``
        1 − Dice of centre lines, which keeps thin structures connected (Shit et al.
        2021, https://arxiv.org/abs/2003.07311). Use it beside another.

    Weights of pixels are weights in the mean for ``cross_entropy`` and ``focal``; the
    others leave out pixels of weight 0 and count the rest alike.

    Parameters
    ----------
    weights
        Weight by term.
    classes
        Number of classes, with the background.
    """

    def __init__(
        self, weights: Mapping[SegmentationLossName, float], classes: int
    ) -> None:
        super().__init__()
        self.weights, self.classes = dict(weights), classes
        foreground = {"include_background": classes == 2}
        self.dice = DiceLoss(batch=True, **foreground)
        self.generalized_dice = GeneralizedDiceLoss(batch=True)
        self.tversky = TverskyLoss(alpha=0.3, beta=0.7, batch=True, **foreground)
        self.cldice = SoftclDiceLoss(iter_=_SKELETON_STEPS, **foreground)
        self.focal = FocalLoss(reduction="none", use_softmax=classes > 2)

    def forward(
        self,
        output: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the loss of logits.

        Parameters
        ----------
        output
            ``(batch, c, [z,] y, x)``: one channel for two classes, else one a class.
        target
            Numbers of the classes ``(batch, 1, [z,] y, x)``, any integer dtype.
        weight
            ``(batch, 1, [z,] y, x)``, not negative.
        """
        logits = output.float()
        truth = target.float() if self.classes == 2 else one_hot(target, self.classes)
        loss = logits.new_zeros(())
        overlap = [name for name in self.weights if name not in _OF_PIXELS]
        if overlap:
            guess = logits.sigmoid() if self.classes == 2 else logits.softmax(1)
            counted = 1.0 if weight is None else (weight > 0).float()
            regions = (guess * counted, truth * counted)
        for name, factor in self.weights.items():
            if name in _OF_PIXELS:
                values = _OF_PIXELS[name](self, logits, truth, target)
                loss = loss + factor * weighted_mean(values, weight)
            else:
                loss = loss + factor * getattr(self, name)(*regions)
        return loss

    def _cross_entropy(
        self, logits: torch.Tensor, truth: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor:
        if self.classes == 2:
            return functional.binary_cross_entropy_with_logits(
                logits, truth, reduction="none"
            )
        values = functional.cross_entropy(logits, target[:, 0].long(), reduction="none")
        return values[:, None]

    def _focal(
        self, logits: torch.Tensor, truth: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor:
        values: torch.Tensor = self.focal(logits, truth)
        return values.sum(1, keepdim=True)


_OF_PIXELS: dict[str, Callable[..., torch.Tensor]] = {
    "cross_entropy": SegmentationLoss._cross_entropy,
    "focal": SegmentationLoss._focal,
}
