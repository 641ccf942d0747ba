"""Judging a network by images that it doesn't learn from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_im2im.training.automatic import largest_size
from napari_im2im.training.metrics import image_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_im2im.models.tensors import FixedSize, SteppedSize
    from napari_im2im.training.data import Sample
    from napari_im2im.training.normalization import ChannelScaling

_CROP = {2: {"y": 256, "x": 256}, 3: {"z": 32, "y": 128, "x": 128}}
_CROPS = {2: 8, 3: 3}


def validation_crops(
    samples: Sequence[Sample],
    sizes: Mapping[str, SteppedSize | FixedSize],
    seed: int,
) -> list[Sample]:
    """Choose regions of equal size, spread over the samples, that fit the network.

    The first shows most: it is the one whose target varies most.

    Parameters
    ----------
    samples
        The held-out images.
    sizes
        The sizes that the network takes, by spatial axis in order.
    seed
        Draws the regions where there are more than are needed.
    """
    axes = tuple(sizes)
    shape = []
    for i, axis in enumerate(axes):
        smallest = min(sample.spatial_shape[i] for sample in samples)
        usual = min(smallest, _CROP[len(axes)][axis])
        # A network of fixed size larger than usual gets what it takes.
        shape.append(largest_size(sizes[axis], usual) or smallest)
    crops = [
        sample.crop(tuple(slice(a, a + n) for a, n in zip(corner, shape, strict=True)))
        for sample in samples
        for corner in product(
            *(
                range(0, size - n + 1, n)
                for size, n in zip(sample.spatial_shape, shape, strict=True)
            )
        )
    ]
    order = np.random.default_rng(seed).permutation(len(crops))[: _CROPS[len(axes)]]
    return sorted((crops[i] for i in order), key=lambda c: -float(c.target.std()))


@dataclass(frozen=True)
class Evaluation:
    """How well a network does: loss and metrics, and what it made of each crop.

    ``predictions`` are ``(crop, c, [z,] y, x)``, float32, in the target's units.
    """

    loss: float
    metrics: dict[str, float]
    predictions: np.ndarray


@dataclass(frozen=True)
class Validator:
    """Applies a network to crops and measures the result in the target's units.

    Parameters
    ----------
    crops
        Regions of equal size.
    input_scaling, target_scaling
        What training normalises with.
    data_range
        Largest minus smallest target value of each channel, for PSNR and SSIM.
    channels
        Names of the target channels.
    device
        Where the network is.
    """

    crops: Sequence[Sample]
    input_scaling: ChannelScaling
    target_scaling: ChannelScaling
    data_range: Sequence[float]
    channels: Sequence[str]
    device: torch.device

    def evaluate(
        self,
        network: torch.nn.Module,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> Evaluation:
        """Return loss, metrics and predictions; the network stays in its mode."""
        training = network.training
        network.eval()
        losses, outputs = [], []
        try:
            with torch.inference_mode():
                for crop in self.crops:
                    inputs = normalized(
                        crop.input[None], self.input_scaling, self.device
                    )
                    targets = normalized(
                        crop.target[None], self.target_scaling, self.device
                    )
                    output = network(inputs).float()
                    losses.append(float(loss(output, targets)))
                    outputs.append(output.cpu())
        finally:
            network.train(training)
        predictions = restored(torch.cat(outputs), self.target_scaling)
        truth = np.stack([np.asarray(crop.target, np.float32) for crop in self.crops])
        return Evaluation(
            loss=float(np.mean(losses)),
            metrics=image_metrics(
                predictions, torch.from_numpy(truth), self.data_range, self.channels
            ),
            predictions=predictions.numpy(),
        )


def normalized(
    array: np.ndarray, scaling: ChannelScaling, device: torch.device
) -> torch.Tensor:
    """Return images ``(batch, c, [z,] y, x)`` as the network learns them.

    2D batches get the channels-last layout, in which a CPU convolves about twice
    as fast.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(device)
    tensor = tensor - _by_channel(scaling.offset, tensor)
    tensor = tensor / _by_channel(scaling.scale, tensor)
    if tensor.ndim == 4:
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    return tensor


def restored(tensor: torch.Tensor, scaling: ChannelScaling) -> torch.Tensor:
    """Return what `normalized` was made from."""
    scaled = tensor * _by_channel(scaling.scale, tensor)
    return scaled + _by_channel(scaling.offset, tensor)


def _by_channel(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    column = torch.tensor(values, dtype=torch.float32, device=like.device)
    return column.reshape(1, -1, *(1 for _ in like.shape[2:]))
