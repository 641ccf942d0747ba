"""A part of a network's results for less than the cost of all: verified, and priced."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov

from napari_im2im.models.runtimes.openvino_crops import CroppedNetwork
from napari_im2im.models.tensors import FixedSize, SteppedSize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.models.package import ModelPackage
    from napari_im2im.models.tensors import TensorSpec

_WINDOW = 48
"""Pixels along each axis of what the network is tried on."""
_TOLERANCE = 1e-5
"""Of the spread: another order of sums, as other sizes lead to."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PartialNetwork:
    """A compiled network with crops.

    Parameters
    ----------
    compiled, network
        The same, compiled and as a graph; None where nothing can be saved.
    share
        Cost of what can't be cropped, of all.
    """

    compiled: Any = None
    network: CroppedNetwork | None = None
    share: float = 1.0

    def crops(
        self, keep: Sequence[Sequence[slice]]
    ) -> tuple[list[np.ndarray], list[tuple[Any, ...]]]:
        """Return the further inputs, and where in the results the kept part lies."""
        assert self.network is not None
        wanted = [[(part.start, part.stop) for part in parts] for parts in keep]
        crops, origins = self.network.crops(wanted)
        parts = [
            (
                ...,
                *(
                    slice(start - shift, stop - shift)
                    for (start, stop), shift in zip(intervals, origin, strict=True)
                ),
            )
            for intervals, origin in zip(wanted, origins, strict=True)
        ]
        return crops, parts


def partial_network(
    model: Any, package: ModelPackage, hints: Mapping[str, Any]
) -> PartialNetwork:
    """Return what computes a part of a network's results.

    Parameters
    ----------
    model
        The network as OpenVINO reads it.
    package
        Where it comes from.
    hints
        How it is compiled.

    Returns
    -------
    PartialNetwork
        With a share of 1 where nothing can be saved, or where a part of the result
        was found to differ from the whole.
    """
    shape = _window(package)
    described = len(package.description.inputs), len(package.description.outputs)
    if shape is None or described != (len(model.inputs), len(model.outputs)):
        return PartialNetwork()
    network = CroppedNetwork(model)
    if not network.cropped:
        return PartialNetwork()
    try:
        share = _share(model, network, shape)
        compiled = ov.Core().compile_model(network.model, "CPU", dict(hints))
        partial = PartialNetwork(compiled, network, share)
        agrees = _agrees(model, partial, shape, hints)
    except RuntimeError as error:
        _logger.info("%s isn't cropped: %s", package.name, error)
        return PartialNetwork()
    return partial if agrees else PartialNetwork()


def _window(package: ModelPackage) -> tuple[int, ...] | None:
    """Return a small shape that the network takes; None for unusual tensors."""
    if len(package.inputs) != 1 or package.left_out:
        return None
    (spec,) = package.inputs
    if any(not _usual(output, spec) for output in (spec, *package.outputs)):
        return None
    channel = spec.axis("channel").size
    shape = [1, channel.size if isinstance(channel, FixedSize) else 1]
    for axis in spec.axes[2:]:
        rule = axis.size
        if isinstance(rule, FixedSize):
            shape.append(rule.size)
        elif not isinstance(rule, SteppedSize):
            return None
        elif rule.minimum > _WINDOW and rule.minimum % rule.step == 0:
            # The least size has room for a halo, which the network doesn't need.
            shape.append(math.ceil(_WINDOW / rule.step) * rule.step)
        else:
            steps = math.ceil(max(0, _WINDOW - rule.minimum) / rule.step)
            shape.append(rule.minimum + steps * rule.step)
    return tuple(shape)


def _usual(spec: TensorSpec, first: TensorSpec) -> bool:
    names = spec.axis_names
    return names[:2] == ("batch", "channel") and names[2:] == first.axis_names[2:]


def _share(model: Any, network: CroppedNetwork, shape: tuple[int, ...]) -> float:
    """Return the share of multiplications in layers that aren't cropped."""
    sized = model.clone()
    sized.reshape(list(shape))
    every = fixed = 0
    for node in sized.get_ordered_ops():
        kind = node.get_type_name()
        if "Convolution" not in kind:
            continue
        # Each weight is used once for each position of the smaller image.
        image = node.input(0) if "Backprop" in kind else node.output(0)
        pixels = math.prod(image.get_shape()[2:])
        cost = pixels * math.prod(node.input(1).get_shape())
        every += cost
        fixed += cost * (node.get_friendly_name() not in network.cropped)
    return fixed / every if every else 1.0


def _agrees(
    model: Any,
    partial: PartialNetwork,
    shape: tuple[int, ...],
    hints: Mapping[str, Any],
) -> bool:
    """Return whether the middle of the results is the same with crops."""
    pixels = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    compiled = ov.Core().compile_model(model, "CPU", dict(hints))
    whole = list(compiled([pixels]).values())
    keep = [
        [slice(size // 3, size // 3 + max(1, size // 4)) for size in result.shape[2:]]
        for result in whole
    ]
    crops, parts = partial.crops(keep)
    cropped = list(partial.compiled([pixels, *crops]).values())
    return all(
        np.abs(part[where] - result[(..., *region)]).max()
        <= _TOLERANCE * max(float(result.std()), float(np.abs(result).max()) / 10)
        for part, where, result, region in zip(cropped, parts, whole, keep, strict=True)
    )
