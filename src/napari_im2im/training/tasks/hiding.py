"""Learning without a target: pixels are hidden from the network, and predicted."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import torch

from napari_im2im.training.tasks.image import ImageTask

if TYPE_CHECKING:
    from collections.abc import Sequence

_VALIDATION_SEED = 2019
"""Of the pixels that validation hides, the same ones each time."""


class HidingTask(ImageTask):
    """Part of the pixels is hidden; only there is the prediction compared."""

    @abstractmethod
    def hide(
        self, inputs: torch.Tensor, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Hide pixels of normalised inputs ``(batch, c, [z,] y, x)``.

        ``generator`` draws them in validation; None while training, when they come
        from torch's global one.

        Returns
        -------
        seen : torch.Tensor
            What the network gets.
        hidden : torch.Tensor
            Bool ``(batch, 1, [z,] y, x)``: which pixels count.
        """

    def corrupt(
        self,
        inputs: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Hide pixels of the inputs; only they count."""
        seen, hidden = self.hide(inputs, None)
        return seen, target, hidden.float() if weight is None else hidden * weight

    def examine(
        self,
        inputs: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Hide pixels in validation too, the same ones each time and on any device."""
        generator = torch.Generator().manual_seed(_VALIDATION_SEED)
        seen, hidden = (x.to(inputs) for x in self.hide(inputs.cpu(), generator))
        return seen, target, hidden if weight is None else hidden * weight

    def hidden_in_validation(self, space: Sequence[int]) -> torch.Tensor:
        """Return which pixels ``(1, 1, [z,] y, x)`` of a crop are hidden, as bool."""
        blank = torch.zeros((1, 1, *space))
        return self.hide(blank, torch.Generator().manual_seed(_VALIDATION_SEED))[1]
