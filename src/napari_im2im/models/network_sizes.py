"""Which image sizes a network takes, found without computing anything."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.pooling import _AvgPoolNd, _MaxPoolNd

from napari_im2im.errors import ConfigError
from napari_im2im.models.tensors import FixedSize, SteppedSize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROBE_SIZES = (128, 96, 64, 256)


def network_sizes(
    network: torch.nn.Module,
    *,
    spatial_axes: tuple[str, ...],
    in_channels: int,
    patch: Mapping[str, int] | None = None,
) -> dict[str, SteppedSize | FixedSize]:
    """Find which image sizes a network takes.

    The step is the coarsest resolution that a convolution or pooling inside the
    network works at; a network that takes no size but ``patch`` is of fixed size.

    Parameters
    ----------
    network
        Maps ``(batch, channel, [z,] y, x)`` to an image.
    spatial_axes
        ``("y", "x")`` or ``("z", "y", "x")``.
    in_channels
        Number of input channels.
    patch
        A size by axis that the network surely takes.
    """
    for size in PROBE_SIZES:
        shape = (size,) * len(spatial_axes)
        if patch is not None and shape == tuple(patch[a] for a in spatial_axes):
            continue
        try:
            strides = _probe_strides(network, in_channels, shape)
        except ConfigError:
            continue
        return {
            axis: SteppedSize(minimum=stride, step=stride)
            for axis, stride in zip(spatial_axes, strides, strict=True)
        }
    if patch is None:
        raise ConfigError(
            f"{type(network).__name__} takes none of the image sizes "
            f"{PROBE_SIZES}: set the patch size."
        )
    return {axis: FixedSize(patch[axis]) for axis in spatial_axes}


def probe(network: torch.nn.Module, in_channels: int, shape: tuple[int, ...]) -> Any:
    """Run a copy of the network on a tensor that has a shape, but no values.

    Raises
    ------
    ConfigError
        If the network doesn't take it.
    """
    copied = copy.deepcopy(network).to("meta").eval()
    try:
        with torch.inference_mode():
            return copied(torch.empty((1, in_channels, *shape), device="meta"))
    except (RuntimeError, ValueError, AssertionError, IndexError, TypeError) as error:
        raise ConfigError(
            f"{type(network).__name__} doesn't take an image of "
            f"{' × '.join(map(str, shape))} pixels and {in_channels} channels: {error}"
        ) from error


def _probe_strides(
    network: torch.nn.Module, in_channels: int, shape: tuple[int, ...]
) -> tuple[int, ...]:
    sizes: list[list[int]] = [[] for _ in shape]

    def note(_module: object, _inputs: object, output: object) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == len(shape) + 2:
            for axis, size in enumerate(output.shape[2:]):
                # A size of 1 comes from pooling over the whole image.
                if size > 1:
                    sizes[axis].append(size)

    copied = copy.deepcopy(network).to("meta")
    for module in copied.modules():
        if isinstance(module, _ConvNd | _MaxPoolNd | _AvgPoolNd):
            module.register_forward_hook(note)
    output = probe(copied, in_channels, shape)
    return tuple(
        _stride(full, found, result)
        for full, found, result in zip(shape, sizes, output.shape[2:], strict=True)
    )


def _stride(full: int, sizes: Sequence[int], result: int) -> int:
    """Return the step of image sizes from the sizes inside of a network.

    Enlarged 3 times and halved, 2 pixels of the image make 3: the step is 2. Ratios
    that the enlargement doesn't explain come from convolutions that crop.
    """
    enlargement = max(1, result // full)
    ratios = [Fraction(full, size) for size in sizes]
    return max(
        (r.numerator for r in ratios if enlargement % r.denominator == 0), default=1
    )
