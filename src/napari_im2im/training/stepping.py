"""One step of a training, with less of its batch at once where memory is short."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_im2im.errors import ConfigError
from napari_im2im.training.adversarial.opponents import open_learner
from napari_im2im.training.automatic import fewest_at_once, smaller_patch
from napari_im2im.training.batches import Batches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from lightning_fabric import Fabric

    from napari_im2im.training.preparation import Preparation


class Stepper:
    """Learns the batch of a step.

    Parameters
    ----------
    preparation
        What the training is made of.
    fabric
        Device, precision and processes.
    crop
        Size ``([z,] y, x)`` of what validation judges.
    """

    def __init__(
        self, preparation: Preparation, fabric: Fabric, crop: Sequence[int]
    ) -> None:
        self.preparation, self.fabric = preparation, fabric
        self.learner = open_learner(preparation, fabric)
        self._crop = tuple(crop)
        self.parts = preparation.config.optimizer.accumulate
        """In how many parts a batch is computed."""
        self.set_patch(preparation.patch)

    def set_patch(self, patch: Mapping[str, int]) -> None:
        """Choose the patch size by axis."""
        self.patch = dict(patch)
        shape = tuple(self.patch.values())
        count, rank = self.preparation.patches_per_step, self.fabric.global_rank
        self.batches = Batches(
            self.preparation,
            shape,
            count * self.fabric.world_size,
            self.fabric.device,
            slice(rank * count, (rank + 1) * count),
        )
        window = [min(sizes) for sizes in zip(shape, self._crop, strict=True)]
        self.loss = self.preparation.task.loss(window).to(self.fabric.device)

    @property
    def patches_at_once(self) -> int:
        """Patches that the network sees at a time."""
        return math.ceil(self.preparation.patches_per_step / self.parts)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which as many pixels are seen as there are."""
        return self.batches.sampler.steps_per_epoch

    def sizes_text(self) -> str:
        """Return a sentence about patches and batches."""
        axes = " × ".join(self.patch)
        size = " × ".join(map(str, self.patch.values()))
        text = f"Patches of {size} pixels ({axes}), {self.patches_at_once} at a time"
        if self.parts > 1:
            text += f", {self.preparation.patches_per_step} in a step"
        if self.fabric.world_size > 1:
            text += f", in each of {self.fabric.world_size} processes"
        return f"{text}."

    def learn(self, step: int) -> torch.Tensor:
        """Take a step, and return its losses, still on the device.

        Raises
        ------
        RuntimeError or MemoryError
            Where memory is short.
        """
        batch = self.batches.batch(step)
        return self.learner.learn(batch, self.loss, self.parts)

    def rehearse(self, step: int) -> None:
        """Compute a step without taking it, and without other processes.

        Raises
        ------
        RuntimeError or MemoryError
            Where memory is short.
        """
        batch = self.batches.batch(step)
        self.learner.rehearse(batch, self.loss, self.parts)

    def shrink(self, error: BaseException | None = None) -> str:
        """Compute half of the patches at once, else take smaller ones; say so.

        Raises
        ------
        ConfigError
            If there is less memory than one patch needs.
        """
        self.learner.forget_gradients()
        sizes = self.preparation.sizes
        if self.patches_at_once > fewest_at_once(self.patch, sizes):
            self.parts = min(2 * self.parts, self.preparation.patches_per_step)
        else:
            patch = smaller_patch(self.patch, sizes)
            if patch is None or min(patch.values()) < self.learner.least_size:
                raise ConfigError(
                    "There is too little memory for a single patch: choose a smaller "
                    "network or close other programs."
                ) from error
            self.set_patch(patch)
        return f"Memory was short. {self.sizes_text()}"
