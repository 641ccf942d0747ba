"""How the axes of a model's tensors depend on each other, and which can be tiled."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import ModelError
from napari_im2im.inference.tiling.scales import AxisScale
from napari_im2im.inference.tiling.tiles import reflected_positions
from napari_im2im.models.tensors import (
    FixedSize,
    ReferencedSize,
    SteppedSize,
    UnknownSize,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.models.tensors import AxisSpec, TensorSpec

TILED_AXES = ("time", "z", "y", "x")
"""Axes of a tensor along which an image may be of any size."""


@dataclass(frozen=True)
class ModelGeometry:
    """The sizes of all tensors as functions of one size for each axis.

    Parameters
    ----------
    rules
        Sizes that the model takes by axis, in pixels of the first input with it.
    inputs, outputs
        For each tensor how its axes follow from those.
    denominators
        Tiles start on multiples of these, or other tensors have no whole pixel
        there.
    untiled
        Axes that outputs lose or whose size only the data tell: they can't be cut.
    """

    rules: Mapping[str, FixedSize | SteppedSize]
    inputs: tuple[Mapping[str, AxisScale], ...]
    outputs: tuple[Mapping[str, AxisScale], ...]
    denominators: Mapping[str, int]
    untiled: frozenset[str]

    @property
    def axes(self) -> tuple[str, ...]:
        """Axes along which sizes vary."""
        return tuple(self.rules)

    def smallest(self, axis: str, size: int) -> int:
        """Return the smallest valid size of at least ``size``; a fixed size is that."""
        rule = self.rules[axis]
        if isinstance(rule, FixedSize):
            return rule.size
        steps = max(0, math.ceil((size - rule.minimum) / rule.step))
        return rule.minimum + steps * rule.step


def model_geometry(
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    test_shapes: Mapping[str, Sequence[int]] | None = None,
) -> ModelGeometry:
    """Work out how the tensors of a model depend on each other.

    Parameters
    ----------
    inputs, outputs
        The model's tensors.
    test_shapes
        Shapes of the test tensors by tensor id; they tell the sizes that the
        description leaves open.

    Raises
    ------
    ModelError
        If an output's axis follows from another axis of the input.
    """
    shapes = test_shapes or {}
    rules: dict[str, FixedSize | SteppedSize] = {}
    sizes: dict[tuple[str, str], AxisScale] = {}
    input_scales = []
    for spec in inputs:
        scales = {}
        for axis in spec.axes:
            if axis.name not in TILED_AXES:
                continue
            if axis.name not in rules:
                rules[axis.name] = _rule(axis, spec, inputs)
                scale = AxisScale()
            else:
                scale = _scale(axis, spec, rules, sizes, shapes, inputs)
            scales[axis.name] = sizes[spec.id, axis.name] = scale
        input_scales.append(scales)
    output_scales, untiled = [], set()
    for spec in outputs:
        scales = {}
        for axis in spec.axes:
            if axis.name in TILED_AXES and axis.name in rules:
                scale = _scale(axis, spec, rules, sizes, shapes, inputs)
                scales[axis.name] = sizes[spec.id, axis.name] = scale
                if isinstance(axis.size, FixedSize) and not isinstance(
                    rules[axis.name], FixedSize
                ):
                    untiled.add(axis.name)
        untiled |= set(rules) - set(scales)
        output_scales.append(scales)
    denominators = {
        axis: math.lcm(
            1,
            *(
                scales[axis].scale.denominator
                for scales in (*input_scales, *output_scales)
                if axis in scales
            ),
        )
        for axis in rules
    }
    return ModelGeometry(
        rules,
        tuple(input_scales),
        tuple(output_scales),
        denominators,
        frozenset(untiled),
    )


def without_room_for_halo(geometry: ModelGeometry) -> ModelGeometry:
    """Return the sizes that a network of our own packages takes.

    The format demands that something is left of the smallest size after cropping
    the halo, so that these packages declare more than their network needs: that is
    one step.
    """
    rules: dict[str, FixedSize | SteppedSize] = {
        axis: rule if isinstance(rule, FixedSize) else SteppedSize(rule.step, rule.step)
        for axis, rule in geometry.rules.items()
    }
    return replace(geometry, rules=rules)


def _rule(
    axis: AxisSpec, spec: TensorSpec, inputs: Sequence[TensorSpec]
) -> FixedSize | SteppedSize:
    size = axis.size
    if isinstance(size, ReferencedSize):
        other = next((tensor for tensor in inputs if tensor.id == size.tensor), spec)
        size = other.axis(size.axis).size
    if isinstance(size, FixedSize | SteppedSize):
        return size
    return SteppedSize(1, 1)


def _scale(
    axis: AxisSpec,
    spec: TensorSpec,
    rules: Mapping[str, FixedSize | SteppedSize],
    sizes: Mapping[tuple[str, str], AxisScale],
    shapes: Mapping[str, Sequence[int]],
    inputs: Sequence[TensorSpec],
) -> AxisScale:
    size = axis.size
    if isinstance(size, ReferencedSize):
        if size.axis != axis.name or (size.tensor, size.axis) not in sizes:
            raise ModelError(
                f"The size of {axis.name} of {spec.id!r} follows from {size.axis} of "
                f"{size.tensor!r}: such a model can't be applied to images of any size."
            )
        scale = Fraction(size.scale).limit_denominator(1024)
        return sizes[size.tensor, size.axis].then(AxisScale(scale, size.offset))
    rule = rules[axis.name]
    if isinstance(size, FixedSize) and isinstance(rule, FixedSize):
        return _between(rule.size, size.size)
    if isinstance(size, UnknownSize):
        first = next(s for s in inputs if axis.name in s.axis_names)
        if first.id in shapes and spec.id in shapes:
            return _between(
                shapes[first.id][first.axis_names.index(axis.name)],
                shapes[spec.id][spec.axis_names.index(axis.name)],
            )
    return AxisScale()


def _between(reference: int, size: int) -> AxisScale:
    """Return the scale, else the offset, that makes a size from another."""
    scale = Fraction(size, reference)
    if 1 in (scale.numerator, scale.denominator):
        return AxisScale(scale)
    return AxisScale(Fraction(1), size - reference)


def window_shape(
    spec: TensorSpec, scales: Mapping[str, AxisScale], sizes: Mapping[str, int]
) -> tuple[int, ...]:
    """Return the shape of a tensor where the axes have these sizes."""
    shape = []
    for axis in spec.axes:
        if axis.name in scales:
            shape.append(scales[axis.name].size(sizes[axis.name]))
        elif isinstance(axis.size, FixedSize):
            shape.append(axis.size.size)
        elif isinstance(axis.size, SteppedSize):
            shape.append(axis.size.minimum)
        else:
            shape.append(1)
    return tuple(shape)


def continue_by_reflection(
    array: np.ndarray, spec: TensorSpec, shape: Sequence[int]
) -> np.ndarray:
    """Crop an array, or continue it by reflection, to a shape."""
    for axis, (name, size) in enumerate(zip(spec.axis_names, shape, strict=True)):
        if array.shape[axis] == size:
            continue
        if name in TILED_AXES:
            positions = reflected_positions(0, size, array.shape[axis])
        else:
            positions = np.arange(size) % array.shape[axis]
        array = np.take(array, positions, axis)
    return array
