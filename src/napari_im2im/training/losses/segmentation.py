"""What training makes small where classes are learned."""

from __future__ import annotations

from functools import partial
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

from napari_im2im.training.losses.terms import WeightedTerms, weighted_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_im2im.training.tasks.catalogue import SegmentationLossName

_SKELETON_STEPS = 10
"""Half the width, in pixels, of the widest structure that clDice thins to a line."""


class SegmentationLoss(WeightedTerms):
    """Weighted sum of losses of classes.

    Outputs are logits, one channel for two classes, else one a class; targets are
    numbers of the classes ``(batch, 1, [z,] y, x)``, any integer dtype.

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
        super().__init__(weights)
        self.classes = classes
        foreground = {"include_background": classes == 2}
        self.focal = FocalLoss(reduction="none", use_softmax=classes > 2)
        self.overlaps = nn.ModuleDict(
            {
                "dice": DiceLoss(batch=True, **foreground),
                "generalized_dice": GeneralizedDiceLoss(batch=True),
                "tversky": TverskyLoss(alpha=0.3, beta=0.7, batch=True, **foreground),
                "cldice": SoftclDiceLoss(iter_=_SKELETON_STEPS, **foreground),
            }
        )
        self.terms = {
            "cross_entropy": self._cross_entropy,
            "focal": self._focal,
            **{name: partial(self._overlap, name) for name in self.overlaps},
        }

    def _truth(self, target: torch.Tensor) -> torch.Tensor:
        """Return 0 or 1 for each channel of the output."""
        return target.float() if self.classes == 2 else one_hot(target, self.classes)

    def _cross_entropy(
        self, output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None
    ) -> torch.Tensor:
        if self.classes == 2:
            values = functional.binary_cross_entropy_with_logits(
                output, target.float(), reduction="none"
            )
        else:
            numbers = target[:, 0].long()
            values = functional.cross_entropy(output, numbers, reduction="none")[
                :, None
            ]
        return weighted_mean(values, weight)

    def _focal(
        self, output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None
    ) -> torch.Tensor:
        values: torch.Tensor = self.focal(output, self._truth(target))
        return weighted_mean(values.sum(1, keepdim=True), weight)

    def _overlap(
        self,
        name: str,
        output: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None,
    ) -> torch.Tensor:
        guess = output.sigmoid() if self.classes == 2 else output.softmax(1)
        counted = 1.0 if weight is None else (weight > 0).float()
        regions = guess * counted, self._truth(target) * counted
        value: torch.Tensor = self.overlaps[name](*regions)
        return value
