"""Which tensors of a model are images, so that they can be given or shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_im2im.images.image import AXES, SPATIAL_AXES
from napari_im2im.models.tensors import FixedSize, ReferencedSize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.models.tensors import AxisSpec, Size, TensorSpec


_LEAST = 8
"""How much smaller than the input a result without its border is at most."""


def is_image_input(tensor: TensorSpec) -> bool:
    """Return whether an image can be given as this input."""
    names = set(tensor.axis_names)
    return names <= {"batch", *AXES} and bool(names & set(SPATIAL_AXES))


def image_outputs(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> tuple[TensorSpec, ...]:
    """Return the outputs that show the same place as the inputs.

    Of the outputs with axes y and x, these do not: one of a fixed size whatever the
    size of the input, where another output follows the input (features of a
    transformer, say), and one of a much smaller size that doesn't divide the
    input's (pictures of single objects, say).
    """
    sizes = {
        axis.name: axis.size
        for tensor in reversed(inputs)
        if not tensor.optional
        for axis in tensor.axes
    }
    following = any(
        isinstance(axis.size, ReferencedSize)
        and not isinstance(sizes.get(axis.name, FixedSize(0)), FixedSize)
        for tensor in outputs
        for axis in tensor.axes
    )
    return tuple(
        tensor
        for tensor in outputs
        if {"y", "x"} <= set(tensor.axis_names) <= {"batch", *AXES}
        and not any(
            _is_detached(tensor.axis(name).size, sizes.get(name), following)
            for name in ("y", "x")
        )
    )


def _is_detached(size: Size, of_input: Size | None, following: bool) -> bool:
    if not isinstance(size, FixedSize) or of_input is None:
        return False
    if not isinstance(of_input, FixedSize):
        return following
    return _LEAST * size.size < of_input.size and of_input.size % size.size != 0


def name_tensors(tensors: Sequence[TensorSpec]) -> str:
    """Return names and axes of tensors, for a sentence."""
    return ", ".join(
        f"{tensor.id} ({', '.join(map(_axis, tensor.axes))})" for tensor in tensors
    )


def _axis(axis: AxisSpec) -> str:
    if isinstance(axis.size, FixedSize) and axis.name not in ("batch", "channel"):
        return f"{axis.name} {axis.size.size}"
    return axis.name
