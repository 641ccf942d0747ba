"""From images in their own units to the tensors of a network, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.training.data.normalization import ChannelScaling


def to_device(
    encoded: tuple[np.ndarray, np.ndarray | None], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return what `Task.encode` returns as tensors."""
    target, weight = encoded
    return torch.from_numpy(target).to(device), (
        None
        if weight is None
        else torch.from_numpy(np.ascontiguousarray(weight, np.float32)).to(device)
    )


def normalized(
    array: np.ndarray, scalings: Sequence[ChannelScaling], device: torch.device
) -> torch.Tensor:
    """Return images ``(batch, c, [z,] y, x)`` as the network learns them.

    There is one scaling for each image, or one for all. 2D batches get the
    channels-last layout, in which a CPU convolves about twice as fast.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(device)
    tensor = scaled(tensor, *scalings)
    if tensor.ndim == 4:
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    return tensor


def scaled(tensor: torch.Tensor, *scalings: ChannelScaling) -> torch.Tensor:
    """Return images ``(batch, c, [z,] y, x)`` minus the offset, over the scale.

    There is one scaling for each image, or one for all.
    """
    shifted = tensor - _by_channel([s.offset for s in scalings], tensor)
    return shifted / _by_channel([s.scale for s in scalings], tensor)


def restored(tensor: torch.Tensor, scaling: ChannelScaling) -> torch.Tensor:
    """Return what `scaled` was made from."""
    stretched = tensor * _by_channel([scaling.scale], tensor)
    return stretched + _by_channel([scaling.offset], tensor)


def _by_channel(values: Sequence[Sequence[float]], like: torch.Tensor) -> torch.Tensor:
    """Shape numbers by image and channel to broadcast over images."""
    table = torch.tensor(values, dtype=torch.float32, device=like.device)
    return table.reshape(*table.shape, *(1 for _ in like.shape[2:]))
