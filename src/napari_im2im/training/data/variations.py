"""What samples look like after augmentation, for the eyes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_im2im.training.data.augmentation import Augmenter
from napari_im2im.training.data.normalization import learn_scaling
from napari_im2im.training.data.sampling import PatchSampler
from napari_im2im.training.data.tensors import normalized, restored

if TYPE_CHECKING:
    import numpy as np

    from napari_im2im.training.data.augmentation_config import AugmentationConfig
    from napari_im2im.training.data.samples import Sample


def variations(
    sample: Sample,
    config: AugmentationConfig,
    count: int,
    *,
    labels: bool = False,
    seed: int = 0,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Vary a sample as training does.

    Parameters
    ----------
    sample
        A square region; all of it is varied.
    config
        What to change.
    count
        How many variations to make.
    labels
        Whether the target is labels.
    seed
        Draws them.

    Returns
    -------
    list of tuple of np.ndarray
        Input and target ``(c, [z,] y, x)`` of each, float32, in their own units.
    """
    patches = PatchSampler(
        [sample],
        sample.spatial_shape,
        count,
        flip=config.flip,
        quarter_turns=config.quarter_turns,
        seed=seed,
    ).batch(0)
    generator = torch.Generator().manual_seed(seed)
    augmenter = Augmenter(config, labels=labels)
    inputs, target, _ = augmenter.warp(
        torch.from_numpy(patches.input),
        torch.from_numpy(patches.target),
        None,
        generator,
    )
    scaling = learn_scaling([sample.input], "mean_std")
    changed = augmenter.change_look(
        normalized(inputs.numpy(), [scaling], inputs.device), generator
    )
    pairs = zip(restored(changed, scaling).numpy(), target.numpy(), strict=True)
    return list(pairs)
