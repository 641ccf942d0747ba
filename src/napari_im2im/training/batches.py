"""From the number of a step to the tensors that are learned in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_im2im.training.data.augmentation import Augmenter
from napari_im2im.training.data.augmentation_config import augmentation_of
from napari_im2im.training.data.prefetching import Prefetcher
from napari_im2im.training.data.sampling import Batch, PatchSampler
from napari_im2im.training.data.tensors import normalized, to_device
from napari_im2im.training.data.unpaired import unpaired_sampler
from napari_im2im.training.tasks.catalogue import TASKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_im2im.training.data.unpaired import UnpairedSampler
    from napari_im2im.training.preparation import Preparation


@dataclass(frozen=True)
class LearningBatch:
    """What a network sees and what its loss compares with, on the device.

    ``input`` is normalised, ``target`` and ``weight`` are encoded by the task; all
    ``(batch, ., [z,] y, x)``.
    """

    input: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.input)

    def parts(self, count: int) -> Iterator[LearningBatch]:
        """Cut it into at most ``count`` parts of about equal size."""
        size = -(-len(self) // count)
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            weight = None if self.weight is None else self.weight[part]
            yield LearningBatch(self.input[part], self.target[part], weight)


class Batches:
    """Makes the batch of each step; it follows from seed and number alone.

    Parameters
    ----------
    preparation
        Images, task and seed.
    patch
        Patch size ``([z,] y, x)``.
    batch_size
        Patches in a step.
    device
        Where the network is.
    share
        Which patches of a step this process learns.
    """

    def __init__(
        self,
        preparation: Preparation,
        patch: Sequence[int],
        batch_size: int,
        device: torch.device,
        share: slice = slice(None),
    ) -> None:
        config = preparation.config
        augmentation = augmentation_of(config.augmentation)
        self.task = preparation.task
        self.seed, self.device = config.seed, device
        self._first = share.start or 0
        self.sampler: PatchSampler | UnpairedSampler = PatchSampler(
            preparation.split.training,
            tuple(patch),
            batch_size,
            flip=augmentation.flip,
            quarter_turns=augmentation.quarter_turns,
            seed=config.seed,
            focus=preparation.focus,
            share=share,
        )
        if preparation.others is not None:
            self.sampler = unpaired_sampler(
                self.sampler, preparation.others.training, preparation.other_focus
            )
        self._prefetcher = Prefetcher(self.sampler)
        labels = TASKS[config.task].target == "labels"
        self.augmenter = Augmenter(augmentation, labels=labels)

    def patches(self, step: int) -> Batch:
        """Return the patches of a step in the images' own units, before warping."""
        return self._prefetcher.batch(step)

    def batch(self, step: int) -> LearningBatch:
        """Return the batch of a step: warped, encoded, normalised and varied."""
        seed = (self.seed << 32) + 1_000_003 * self._first + step
        torch.manual_seed(seed)
        generator = torch.Generator(self.device).manual_seed(seed + 1)
        patches = self.patches(step)
        if self.augmenter.config.warps:
            patches = self._warped(patches, generator)
        inputs = normalized(patches.input, patches.scalings, self.device)
        inputs = self.augmenter.change_look(inputs, generator)
        encoded = self.task.encode(patches.target, patches.weight)
        return LearningBatch(
            *self.task.corrupt(inputs, *to_device(encoded, self.device))
        )

    def _warped(self, patches: Batch, generator: torch.Generator) -> Batch:
        """Return them warped; tasks encode targets on the CPU."""
        weight = patches.weight
        inputs, target, warped = self.augmenter.warp(
            torch.from_numpy(patches.input).to(self.device),
            torch.from_numpy(patches.target).to(self.device),
            None if weight is None else torch.from_numpy(weight).to(self.device),
            generator,
        )
        return Batch(
            inputs.cpu().numpy(),
            target.cpu().numpy(),
            None if warped is None else warped.cpu().numpy(),
            patches.scalings,
        )
