"""Which patch a training broke on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_im2im.training.batches import LearningBatch


def worst_patch(
    network: torch.nn.Module,
    weights: Mapping[str, Any],
    batch: LearningBatch,
    loss: torch.nn.Module,
) -> int:
    """Return which patch of a batch has the largest loss, or one that is no number.

    Parameters
    ----------
    network
        Its own weights are lost, as they are after a loss that was no number.
    weights
        Those of the last checkpoint.
    batch
        What was learned in the step.
    loss
        What it was judged by.
    """
    network.load_state_dict(weights)
    network.eval()
    with torch.inference_mode():
        losses = [
            float(loss(network(patch.input), patch.target, patch.weight))
            for patch in batch.parts(len(batch))
        ]
    return max(
        range(len(losses)),
        key=lambda i: losses[i] if math.isfinite(losses[i]) else math.inf,
    )
