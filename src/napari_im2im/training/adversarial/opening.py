"""From a preparation to what takes its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_im2im.training.adversarial.learner import AdversarialLearner
from napari_im2im.training.learner import Learner
from napari_im2im.training.tasks.image import ImageTask

if TYPE_CHECKING:
    import torch
    from lightning_fabric import Fabric

    from napari_im2im.training.preparation import Preparation


def open_learner(
    preparation: Preparation, network: torch.nn.Module, fabric: Fabric
) -> Learner:
    """Return what takes the steps of a training.

    Parameters
    ----------
    preparation
        What the training is made of.
    network
        Its network, in the memory layout in which it learns.
    fabric
        Device and precision.
    """
    config, discriminators = preparation.config, preparation.discriminators
    task = preparation.task
    if discriminators is None or not isinstance(task, ImageTask):
        return Learner(network, config.optimizer, fabric)
    return AdversarialLearner(
        network,
        discriminators,
        config.optimizer,
        config.adversarial,
        fabric,
        task.regressed,
    )
