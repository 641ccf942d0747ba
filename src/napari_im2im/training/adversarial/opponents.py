"""What a network learns against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch

from napari_im2im.training.adversarial.cycle import CycleNetworks
from napari_im2im.training.adversarial.discriminators import Discriminators
from napari_im2im.training.adversarial.learner import AdversarialLearner, beside_input
from napari_im2im.training.learner import Learner
from napari_im2im.training.tasks.image import ImageTask
from napari_im2im.training.tasks.unpaired import UnpairedTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lightning_fabric import Fabric

    from napari_im2im.training.adversarial.learner import Compare
    from napari_im2im.training.preparation import Preparation
    from napari_im2im.training.tasks.task import Task

_Network = TypeVar("_Network", bound=torch.nn.Module)


@dataclass(frozen=True)
class Opponents:
    """What a network learns against, and from.

    Parameters
    ----------
    discriminators
        They learn to tell its images from real ones.
    compare
        What they see.
    back
        The network that translates back, where nothing pairs.
    """

    discriminators: Discriminators
    compare: Compare
    back: torch.nn.Module | None = None

    @property
    def networks(self) -> tuple[torch.nn.Module, ...]:
        """All of them."""
        both = (self.discriminators,)
        return both if self.back is None else (*both, self.back)


def find_opponents(
    task: Task, patch: Mapping[str, int], back: torch.nn.Module | None = None
) -> Opponents | None:
    """Return what the network of a task learns against, None if nothing.

    Parameters
    ----------
    task
        What is learned.
    patch
        Patch size by axis.
    back
        The network that translates back, where nothing pairs.

    Raises
    ------
    ConfigError
        If the patch is too small for a discriminator.
    """
    config = task.config
    if not config.adversarial.weight or not isinstance(task, ImageTask):
        return None
    torch.manual_seed(config.seed)
    inputs, outputs = len(task.layout.input_channels), len(task.output_names)
    if isinstance(task, UnpairedTask):
        both = Discriminators([outputs, inputs], patch, config.adversarial)
        return Opponents(both, task.compared, back)
    one = Discriminators([inputs + outputs], patch, config.adversarial)
    return Opponents(one, beside_input(task.regressed))


def open_learner(preparation: Preparation, fabric: Fabric) -> Learner:
    """Return what takes the steps of a training.

    Parameters
    ----------
    preparation
        What the training is made of.
    fabric
        Device and precision.
    """
    config, opponents, task = (
        preparation.config,
        preparation.opponents,
        preparation.task,
    )
    flat = len(preparation.layout.spatial_axes) == 2
    network = _in_layout(preparation.network, flat)
    if opponents is None:
        return Learner(network, config.optimizer, fabric)
    if opponents.back is not None and isinstance(task, UnpairedTask):
        network = CycleNetworks(
            network,
            _in_layout(opponents.back, flat),
            task.sides[0],
            identity=task.keeps_identity,
        )
    return AdversarialLearner(
        network,
        _in_layout(opponents.discriminators, flat),
        config.optimizer,
        config.adversarial,
        fabric,
        opponents.compare,
    )


def _in_layout(network: _Network, flat: bool) -> _Network:
    """Return it in the memory layout in which a CPU convolves planes fastest."""
    if flat:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
