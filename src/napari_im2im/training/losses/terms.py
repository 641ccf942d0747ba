"""Weighted sums of terms, each a mean over what counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Mapping

Term = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
"""A loss of an output in float32, a target and the weights of pixels."""


class WeightedTerms(nn.Module):
    """Base of losses that are a weighted sum of terms.

    Parameters
    ----------
    weights
        Weight by term.
    """

    terms: Mapping[str, Term]
    """Every term that there is, by name."""

    def __init__(self, weights: Mapping[Any, float]) -> None:
        super().__init__()
        self.weights: dict[str, float] = dict(weights)

    def forward(
        self,
        output: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the loss, a scalar in float32.

        Parameters
        ----------
        output
            ``(batch, c, [z,] y, x)``, any float dtype.
        target
            ``(batch, any, [z,] y, x)``.
        weight
            How much pixels count, ``(batch, 1, [z,] y, x)``, not negative; None: all
            alike.
        """
        output = output.float()
        weight = None if weight is None else weight.to(output)
        loss = output.new_zeros(())
        for name, factor in self.weights.items():
            loss = loss + factor * self.terms[name](output, target, weight)
        return loss


def weighted_mean(values: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """Return the mean of values ``(batch, c, [z,] y, x)`` over what counts.

    ``weight`` is ``(batch, 1, [z,] y, x)``, or of the values' own shape, not negative;
    None: all count. 0 where it is 0 everywhere.
    """
    if weight is None:
        return values.mean()
    weight = weight.expand_as(values)
    return (weight * values).sum() / weight.sum().clamp_min(1e-6)
