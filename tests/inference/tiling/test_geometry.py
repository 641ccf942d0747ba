"""Sizes of a model's tensors follow from each other."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from inference.specs import input_spec, output_spec
from napari_im2im.errors import ModelError
from napari_im2im.inference.tiling.geometry import (
    continue_by_reflection,
    model_geometry,
    window_shape,
    without_room_for_halo,
)
from napari_im2im.models.tensors import (
    AxisSpec,
    FixedSize,
    ReferencedSize,
    SteppedSize,
    TensorSpec,
    UnknownSize,
)


def with_sizes(spec: TensorSpec, **sizes: object) -> TensorSpec:
    axes = tuple(
        AxisSpec(a.name, sizes.get(a.name, a.size))  # type: ignore[arg-type]
        for a in spec.axes
    )
    return TensorSpec(spec.id, axes, spec.dtype)


def test_scale_and_offset_of_an_output() -> None:
    geometry = model_geometry([input_spec()], [output_spec(scale=0.5, offset=-2)])
    relation = geometry.outputs[0]["x"]
    assert relation.scale == Fraction(1, 2)
    assert relation.size(20) == 8
    assert geometry.denominators == {"y": 2, "x": 2}


def test_fixed_sizes_tell_the_scale() -> None:
    source = input_spec(size=FixedSize(64))
    double = with_sizes(output_spec(), y=FixedSize(128), x=FixedSize(60))
    relations = model_geometry([source], [double]).outputs[0]
    assert relations["y"].scale == 2
    assert (relations["x"].scale, relations["x"].offset) == (1, -4)


def test_a_fixed_output_of_a_free_input_is_not_cut() -> None:
    fixed = with_sizes(output_spec(), y=FixedSize(1))
    assert model_geometry([input_spec()], [fixed]).untiled == {"y"}


def test_test_tensors_tell_what_is_left_open() -> None:
    unknown = with_sizes(output_spec(), y=UnknownSize(), x=UnknownSize())
    shapes = {"raw": (1, 1, 32, 32), "result": (1, 1, 64, 32)}
    relations = model_geometry([input_spec()], [unknown], shapes).outputs[0]
    assert relations["y"].scale == 2
    assert relations["x"].scale == 1


def test_axes_that_are_exchanged_are_refused() -> None:
    wrong = with_sizes(output_spec(), y=ReferencedSize("raw", "x"))
    with pytest.raises(ModelError, match="follows from x"):
        model_geometry([input_spec()], [wrong])


def test_our_own_packages_take_one_step() -> None:
    geometry = model_geometry([input_spec(size=SteppedSize(208, 16))], [output_spec()])
    assert without_room_for_halo(geometry).rules["y"] == SteppedSize(16, 16)


def test_a_window_is_continued_by_reflection() -> None:
    spec = input_spec(channels=2)
    geometry = model_geometry([spec], [output_spec()])
    shape = window_shape(spec, geometry.inputs[0], {"y": 4, "x": 5})
    assert shape == (1, 2, 4, 5)
    row = np.arange(3).reshape(1, 1, 1, 3)
    result = continue_by_reflection(row, spec, shape)
    assert result[0, 1, 3].tolist() == [0, 1, 2, 1, 0]
