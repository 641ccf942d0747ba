"""Two networks that translate there and back, as one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

if TYPE_CHECKING:
    from collections.abc import Iterator


class CycleNetworks(nn.Module):
    """A network from inputs to targets, and one back.

    Parameters
    ----------
    there, back
        The networks.
    channels
        Channels of the inputs.
    identity
        Whether each is also applied to what it is to make.
    """

    def __init__(
        self, there: nn.Module, back: nn.Module, channels: int, *, identity: bool
    ) -> None:
        super().__init__()
        self.there, self.back = there, back
        self.channels, self.identity = channels, identity

    def forward(self, images: Tensor) -> Tensor:
        """Translate inputs, or inputs and targets in all directions.

        Parameters
        ----------
        images
            Inputs ``(batch, c, [z,] y, x)``, or with targets as further channels.

        Returns
        -------
        Tensor
            The translated inputs; or as channels the translated inputs and targets,
            both after they came back, and with ``identity`` inputs through ``back``
            and targets through ``there``.
        """
        if images.shape[1] == self.channels:
            translated: Tensor = self.there(images)
            return translated
        source, goal = images[:, : self.channels], images[:, self.channels :]
        made_goal, made_source = self.there(source), self.back(goal)
        found = [made_goal, made_source]
        with _still_norms(self):
            found += [self.back(made_goal), self.there(made_source)]
            if self.identity:
                found += [self.back(source), self.there(goal)]
        return torch.cat(found, dim=1)


@contextmanager
def _still_norms(network: nn.Module) -> Iterator[None]:
    """Let batch norms keep the statistics of the images that are to be translated."""
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
