"""From bioimageio.spec's tensor descriptions to the plain ones of `tensors`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_im2im.images.image import AXES
from napari_im2im.models.tensors import (
    AxisSpec,
    FixedSize,
    ReferencedSize,
    Size,
    Step,
    SteppedSize,
    TensorSpec,
    UnknownSize,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bioimageio.spec.model.v0_5 import ModelDescr

_NAMES_BY_TYPE = {
    "batch": "batch",
    "channel": "channel",
    "index": "index",
    "time": "time",
}

_MAKING_LABELS = ("cellpose_flow_dynamics", "stardist_postprocessing")


def tensor_specs(
    description: ModelDescr,
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Return the inputs and the outputs of a description."""
    tensors: list[Any] = [*description.inputs, *description.outputs]
    axes = {
        str(tensor.id): {str(axis.id): axis for axis in tensor.axes}
        for tensor in tensors
    }
    names = {str(tensor.id): _axis_names(tensor.axes) for tensor in tensors}
    inputs = tuple(
        _tensor(tensor, tensor.preprocessing, axes, names)
        for tensor in description.inputs
    )
    outputs = tuple(
        _tensor(tensor, tensor.postprocessing, axes, names)
        for tensor in description.outputs
    )
    return inputs, outputs


def _axis_names(axes: Sequence[Any]) -> dict[str, str]:
    """Return our name of each axis id; an id stays where names would collide."""
    names: dict[str, str] = {}
    for axis in axes:
        name = _NAMES_BY_TYPE.get(axis.type, str(axis.id))
        names[str(axis.id)] = str(axis.id) if name in names.values() else name
    other = _further_axis(axes, names)
    return names | {other: "channel"} if other else names


def _further_axis(axes: Sequence[Any], names: Mapping[str, str]) -> str:
    """Return the one axis of an image that is none of ours: a channel by nature."""
    found = set(names.values())
    others = [axis for axis in axes if names[str(axis.id)] not in ("batch", *AXES)]
    is_image = {"y", "x"} <= found and "channel" not in found
    if is_image and len(others) == 1 and isinstance(others[0].size, int):
        return str(others[0].id)
    return ""


def _tensor(
    tensor: Any,
    steps: Iterable[Any],
    axes: Mapping[str, Mapping[str, Any]],
    names: Mapping[str, Mapping[str, str]],
) -> TensorSpec:
    own = names[str(tensor.id)]
    data = tensor.data if isinstance(tensor.data, list | tuple) else [tensor.data]
    nominal = all(hasattr(entry, "values") for entry in data)
    classes = data[0].values if nominal else ()
    steps = tuple(_step(step, own) for step in steps)
    labels = nominal or any(step.id in _MAKING_LABELS for step in steps)
    return TensorSpec(
        id=str(tensor.id),
        axes=tuple(_axis(axis, own[str(axis.id)], axes, names) for axis in tensor.axes),
        dtype=str(tensor.dtype),
        steps=steps,
        optional=bool(getattr(tensor, "optional", False)),
        description=str(tensor.description),
        kind="labels" if labels else "intensity",
        class_names=tuple(name for name in classes if isinstance(name, str)),
    )


def _axis(
    axis: Any,
    name: str,
    axes: Mapping[str, Mapping[str, Any]],
    names: Mapping[str, Mapping[str, str]],
) -> AxisSpec:
    unit = None if axis.unit is None else str(axis.unit)
    return AxisSpec(
        name=name,
        size=_size(axis, axes, names),
        halo=int(getattr(axis, "halo", 0)),
        # Without a unit the scale is the default, or only relates two tensors.
        pixel_size=None if unit is None else float(axis.scale),
        unit=unit,
        channel_names=tuple(map(str, getattr(axis, "channel_names", ()))),
    )


def _size(
    axis: Any,
    axes: Mapping[str, Mapping[str, Any]],
    names: Mapping[str, Mapping[str, str]],
) -> Size:
    size = axis.size
    if axis.type == "batch":
        return SteppedSize(1, 1) if size is None else FixedSize(1)
    if isinstance(size, int):
        return FixedSize(size)
    if hasattr(size, "tensor_id"):
        tensor, reference = str(size.tensor_id), str(size.axis_id)
        return ReferencedSize(
            tensor=tensor,
            axis=names[tensor][reference],
            scale=float(axes[tensor][reference].scale) / float(axis.scale),
            offset=int(size.offset),
        )
    if hasattr(size, "step"):
        return SteppedSize(int(size.min), int(size.step))
    return UnknownSize()


def _step(step: Any, names: Mapping[str, str]) -> Step:
    if step.id == "custom":
        return Step(
            "custom",
            {
                "source": str(step.source),
                "sha256": None if step.sha256 is None else str(step.sha256),
                "callable": str(step.callable),
                "kwargs": dict(step.kwargs),
            },
        )
    kwargs: dict[str, Any] = {}
    for key, value in step.kwargs.model_dump(mode="json").items():
        if key == "axis" and value is not None:
            value = names.get(value, value)
        elif key == "axes" and value is not None:
            value = tuple(names.get(axis, axis) for axis in value)
        elif isinstance(value, list):
            value = tuple(value)
        kwargs[key] = value
    return Step(str(step.id), kwargs)
