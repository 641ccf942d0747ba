"""The postprocessing that needs a whole result at once, such as separating objects.

It is applied after the last tile, in memory. Objects are separated by the operators
of bioimageio.core, which call StarDist and Cellpose.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import ModelError
from napari_im2im.images.image import SPATIAL_AXES, Image
from napari_im2im.inference.processing.statistics import WholeTensor, bind_steps
from napari_im2im.inference.processing.steps import WHOLE, Operation, apply
from napari_im2im.inference.sources import Source
from napari_im2im.models.tensors import FixedSize, ReferencedSize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.models.tensors import AxisSpec, Step, TensorSpec

LIBRARIES = {
    "cellpose_flow_dynamics": "cellpose",
    "stardist_postprocessing": "stardist",
}
"""The library that a step needs."""

_MEMBER: Any = "tensor"


def check_libraries(steps: Sequence[Step], where: str) -> None:
    """Raise ModelError if a step needs a library that isn't installed."""
    for step in steps:
        library = LIBRARIES.get(step.id)
        if library is not None and find_spec(library) is None:
            raise ModelError(
                f"The step {step.id!r} of {where} needs {library}, which isn't "
                f"installed: pip install {library}."
            )


def network_tensor(spec: TensorSpec) -> TensorSpec:
    """Return an output as the network gives it, before objects are separated.

    The description of a model tells the axes of the labels: one channel, and the
    size of the image where the network's own result is coarser.
    """
    for step in spec.steps:
        if step.id == "cellpose_flow_dynamics":
            # Flows along y and x, and the probability of a cell.
            return _with_channels(spec, 3)
        if step.id == "stardist_postprocessing":
            spatial = SPATIAL_AXES[-len(step.kwargs["grid"]) :]
            grid = dict(zip(spatial, step.kwargs["grid"], strict=True))
            coarse = [_coarser(axis, grid.get(axis.name, 1)) for axis in spec.axes]
            spec = replace(spec, axes=tuple(coarse))
            return _with_channels(spec, int(step.kwargs["n_rays"]) + 1)
    return spec


def _with_channels(spec: TensorSpec, count: int) -> TensorSpec:
    axes = [
        replace(axis, size=FixedSize(count), channel_names=())
        if axis.name == "channel"
        else axis
        for axis in spec.axes
    ]
    return replace(spec, axes=tuple(axes))


def _coarser(axis: AxisSpec, factor: int) -> AxisSpec:
    size = axis.size
    if isinstance(size, ReferencedSize):
        size = replace(size, scale=size.scale / factor, offset=size.offset // factor)
    elif isinstance(size, FixedSize):
        size = FixedSize(-(-size.size // factor))
    return replace(axis, size=size, halo=-(-axis.halo // factor))


def apply_whole_steps(
    steps: Sequence[Step],
    source: Source,
    where: str,
    *,
    references: Mapping[str, WholeTensor] | None = None,
    as_bioimageio_core: bool = False,
) -> tuple[Source, list[Step]]:
    """Apply steps up to the last one that needs the whole result.

    Parameters
    ----------
    steps
        Postprocessing of an output.
    source
        The whole result; its positions along further axes are done one by one.
    where
        What to call it in sentences.
    references, as_bioimageio_core
        As for `bind_steps`.

    Returns
    -------
    Source
        The result after these steps, in memory; as given if there are none.
    list of Step
        The steps that are left.
    """
    left = list(steps)
    while (
        at := next((i for i, s in enumerate(left) if s.id in WHOLE), None)
    ) is not None:
        before = bind_steps(
            left[:at],
            WholeTensor(source),
            where,
            references=references,
            as_bioimageio_core=as_bioimageio_core,
        )
        operation = bind_whole(left[at], source.axes, where)
        source = _applied([*before, operation], source)
        left = left[at + 1 :]
    return source, left


def _applied(operations: Sequence[Operation], source: Source) -> Source:
    """Apply operations to each position of the axes that the tensor lacks."""
    image = source.image
    over = [axis for axis in image.axes if axis not in (*source.axes, "channel")]
    shape = [image.sizes[axis] for axis in over]
    result: Any = None
    for position in product(*map(range, shape)):
        at = {axis: slice(i, i + 1) for axis, i in zip(over, position, strict=True)}
        pixels = source.read(at)
        pixels = pixels.reshape(pixels.shape[pixels.ndim - len(source.axes) :])
        pixels = apply(operations, pixels)
        if "batch" in source.axes:
            pixels = pixels.squeeze(source.axes.index("batch"))
        if result is None:
            result = np.empty((*shape, *pixels.shape), pixels.dtype)
        result[position] = pixels
    axes = (*over, *(axis for axis in source.axes if axis != "batch"))
    whole = Image(result, axes, scale=image.scale, units=image.units, name=image.name)
    return Source(whole, None, source.axes)


def bind_whole(step: Step, axes: Sequence[str], where: str) -> Operation:
    """Turn a step into a function of a whole result.

    Raises
    ------
    ModelError
        If its library is missing, or its code wasn't loaded. The function raises it
        where the code fails.
    """
    check_libraries([step], where)
    if step.id == "custom":
        if "function" not in step.kwargs:
            raise ModelError(f"The step 'custom' of {where} wasn't loaded.")
        function, name = step.kwargs["function"], step.kwargs["callable"]
    else:
        function, name = _separation(step, tuple(axes)), step.id

    def operation(array: np.ndarray) -> np.ndarray:
        try:
            result = np.asarray(function(array))
        except Exception as error:  # Code of others may raise anything.
            raise ModelError(
                f"The step {name!r} of {where} fails ({type(error).__name__}: {error})."
            ) from error
        if step.id == "custom" and result.shape != array.shape:
            raise ModelError(
                f"The step {name!r} of {where} makes an array of {result.shape} from "
                f"{array.shape}, but must keep the shape: the model's code is wrong."
            )
        return result.astype(np.uint8) if result.dtype == np.bool_ else result

    return operation


def _separation(step: Step, axes: tuple[str, ...]) -> Any:
    """Return bioimageio.core's function that makes labels of a network's result."""
    from bioimageio.core.sample import Sample
    from bioimageio.core.tensor import Tensor

    operator = _operator(step)
    spatial = [axis for axis in SPATIAL_AXES if axis in axes]
    order: list[Any] = ["batch", "channel", *spatial]
    own: list[Any] = list(axes if "batch" in axes else ("batch", *axes))

    def function(array: np.ndarray) -> np.ndarray:
        if "batch" not in axes:
            array = array[np.newaxis]
        tensor = Tensor.from_numpy(array, dims=own).transpose(order)
        sample = Sample(members={_MEMBER: tensor}, stat={}, id=None)
        operator(sample)
        labels = sample.members[_MEMBER].transpose(own).to_numpy()
        return labels if "batch" in axes else labels[0]

    return function


def _operator(step: Step) -> Any:
    from bioimageio.core import proc_ops
    from bioimageio.spec.model import v0_5

    content = {"id": step.id, "kwargs": dict(step.kwargs)}
    if step.id == "cellpose_flow_dynamics":
        cellpose = v0_5.CellposeFlowDynamicsDescr.model_validate(content)
        operators: Any = proc_ops
        return operators.CellposeFlowDynamics.from_proc_descr(cellpose, _MEMBER)
    stardist = v0_5.StardistPostprocessingDescr.model_validate(content)
    if isinstance(stardist.kwargs, v0_5.StardistPostprocessingKwargs2D):
        return proc_ops.StardistPostprocessing2D.from_proc_descr(stardist, _MEMBER)
    return proc_ops.StardistPostprocessing3D.from_proc_descr(stardist, _MEMBER)
