"""The pre- and postprocessing steps of the BioImage Model Zoo, for arrays.

`step_statistics` says which statistics a step needs; `bind` then turns a step
and its statistics into a function of an array, which gives the same result for a
tile as for the whole image.

References
----------
https://bioimage-io.github.io/spec-bioimage-io/ (format 0.5)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import ModelError

if TYPE_CHECKING:
    from napari_im2im.inference.processing.distributions import Distribution, Method
    from napari_im2im.models.tensors import Step

Operation = Callable[[np.ndarray], np.ndarray]
"""A step with all its numbers: an array of the tensor's axes in, another out."""

CONTINUOUS = frozenset(
    {
        "clip",
        "fixed_zero_mean_unit_variance",
        "scale_linear",
        "sigmoid",
        "softmax",
    }
)
"""Steps without statistics after which an average still means something."""

WHOLE = frozenset({"cellpose_flow_dynamics", "custom", "stardist_postprocessing"})
"""Postprocessing that needs a whole result at once; `whole_steps` applies it."""


def check_steps(steps: Sequence[Step], where: str) -> None:
    """Raise ModelError, in a sentence, if one of the steps is unknown."""
    for step in steps:
        if step.id not in _BINDERS and step.id not in WHOLE:
            raise ModelError(
                f"The processing step {step.id!r} of {where} isn't known here: update "
                "napari-im2im, or use another model."
            )


def bind(
    step: Step,
    axes: Sequence[str],
    own: Sequence[Distribution] = (),
    reference: Sequence[Distribution] = (),
) -> Operation:
    """Turn a step into a function of arrays.

    Parameters
    ----------
    step
        A step of the specification.
    axes
        Axes of the arrays; more axes may precede them.
    own
        Distribution of the whole tensor before this step: one, or one a channel.
    reference
        The same for the reference tensor.

    Returns
    -------
    Operation
        Computes in float32, or in float64 where float32 can't hold the input.

    Raises
    ------
    ModelError
        If the step is unknown.
    """
    if step.id not in _BINDERS:
        raise ModelError(
            f"The processing step {step.id!r} isn't known here: update napari-im2im."
        )
    return _BINDERS[step.id](step.kwargs, tuple(axes), own, reference)


def apply(operations: Sequence[Operation], array: np.ndarray) -> np.ndarray:
    """Apply bound steps one after the other."""
    for operation in operations:
        array = operation(array)
    return array


def _as_float(array: np.ndarray) -> np.ndarray:
    wide = array.dtype.kind in "iu" and array.dtype.itemsize > 2
    if array.dtype == np.float64 or wide:
        return array.astype(np.float64, copy=False)
    return array.astype(np.float32, copy=False)


def _along(values: Any, axis: str | None, axes: tuple[str, ...]) -> np.ndarray:
    """Shape one number for each position of an axis to broadcast over a tensor."""
    numbers: np.ndarray = np.asarray(values, np.float64)
    if numbers.size == 1 or axis is None or axis not in axes:
        return numbers.reshape(()) if numbers.size == 1 else numbers
    return numbers.reshape(-1, *[1] * (len(axes) - axes.index(axis) - 1))


def _of(
    distributions: Sequence[Distribution],
    statistic: Callable[[Distribution], float],
    axes: tuple[str, ...],
) -> np.ndarray:
    values = [statistic(distribution) for distribution in distributions]
    return _along(values if len(values) > 1 else values[0], "channel", axes)


def _affine(offset: np.ndarray, gain: np.ndarray, shift: Any = 0.0) -> Operation:
    """Return ``(x - offset) * gain + shift``."""

    def operation(array: np.ndarray) -> np.ndarray:
        array = _as_float(array)
        result: np.ndarray = array - np.asarray(offset, array.dtype)
        result *= np.asarray(gain, array.dtype)
        if np.any(shift):
            result += np.asarray(shift, array.dtype)
        return result

    return operation


_Binder = Callable[
    [Any, tuple[str, ...], Sequence["Distribution"], Sequence["Distribution"]],
    Operation,
]


def _binarize(
    kwargs: Any, axes: tuple[str, ...], own: object, reference: object
) -> Operation:
    threshold = _along(kwargs["threshold"], kwargs.get("axis"), axes)

    def operation(array: np.ndarray) -> np.ndarray:
        result: np.ndarray = array > threshold
        return result

    return operation


def _clip(
    kwargs: Any, axes: tuple[str, ...], own: Sequence[Distribution], reference: object
) -> Operation:
    method: Method = "inverted_cdf"

    def bound(side: str) -> np.ndarray | None:
        percent = kwargs.get(f"{side}_percentile")
        if percent is not None:
            return _of(own, lambda d: d.percentile(percent, method), axes)
        value = kwargs.get(side)
        return None if value is None else np.asarray(value, np.float64)

    low, high = bound("min"), bound("max")

    def operation(array: np.ndarray) -> np.ndarray:
        array = _as_float(array)
        if low is not None:
            array = np.maximum(array, low.astype(array.dtype))
        if high is not None:
            array = np.minimum(array, high.astype(array.dtype))
        return array

    return operation


def _ensure_dtype(
    kwargs: Any, axes: tuple[str, ...], own: object, reference: object
) -> Operation:
    dtype = np.dtype(kwargs["dtype"])

    def operation(array: np.ndarray) -> np.ndarray:
        if dtype.kind in "iu" and array.dtype.kind in "fiu":
            # What doesn't fit would wrap round.
            array = np.clip(array, *_limits(dtype, array.dtype))
        return array.astype(dtype, copy=False)

    return operation


def _limits(dtype: np.dtype[Any], inside: np.dtype[Any]) -> tuple[Any, Any]:
    """Return the least and the largest value that two data types share."""
    limits = np.iinfo(dtype)
    if inside.kind == "f":
        high = inside.type(limits.max)
        if int(high) > limits.max:
            high = np.nextafter(high, inside.type(0))
        return inside.type(limits.min), high
    own = np.iinfo(inside)
    return max(limits.min, own.min), min(limits.max, own.max)


def _fixed_zero_mean_unit_variance(
    kwargs: Any, axes: tuple[str, ...], own: object, reference: object
) -> Operation:
    axis = kwargs.get("axis")
    std = _along(kwargs["std"], axis, axes)
    return _affine(_along(kwargs["mean"], axis, axes), 1 / std)


def _scale_linear(
    kwargs: Any, axes: tuple[str, ...], own: object, reference: object
) -> Operation:
    axis = kwargs.get("axis")
    gain = _along(kwargs.get("gain", 1.0), axis, axes)
    return _affine(
        np.zeros(()), gain, shift=_along(kwargs.get("offset", 0.0), axis, axes)
    )


def _zero_mean_unit_variance(
    kwargs: Any, axes: tuple[str, ...], own: Sequence[Distribution], reference: object
) -> Operation:
    mean = _of(own, lambda d: d.mean, axes)
    std = _of(own, lambda d: d.std, axes)
    return _affine(mean, 1 / (std + kwargs.get("eps", 1e-6)))


def _scale_range(
    kwargs: Any,
    axes: tuple[str, ...],
    own: Sequence[Distribution],
    reference: Sequence[Distribution],
) -> Operation:
    values = reference or own
    low_percent = kwargs.get("min_percentile", 0.0)
    high_percent = kwargs.get("max_percentile", 100.0)
    low = _of(values, lambda d: d.percentile(low_percent), axes)
    high = _of(values, lambda d: d.percentile(high_percent), axes)
    return _affine(low, 1 / (high - low + kwargs.get("eps", 1e-6)))


def _scale_mean_variance(
    kwargs: Any,
    axes: tuple[str, ...],
    own: Sequence[Distribution],
    reference: Sequence[Distribution],
) -> Operation:
    eps = kwargs.get("eps", 1e-6)
    mean = _of(own, lambda d: d.mean, axes)
    std = _of(own, lambda d: d.std, axes) + eps
    target = _of(reference, lambda d: d.std, axes) + eps
    return _affine(mean, target / std, shift=_of(reference, lambda d: d.mean, axes))


def _sigmoid(
    kwargs: Any, axes: tuple[str, ...], own: object, reference: object
) -> Operation:
    from scipy.special import expit

    def operation(array: np.ndarray) -> np.ndarray:
        result: np.ndarray = expit(_as_float(array))
        return result

    return operation


def _softmax(
    kwargs: Any, axes: tuple[str, ...], own: object, reference: object
) -> Operation:
    from scipy.special import softmax

    axis = kwargs.get("axis", "channel")
    if axis not in axes:
        raise ModelError(
            f"The step 'softmax' works along {axis}, but its tensor has the axes "
            f"{'/'.join(axes)}: the model's description is wrong."
        )

    def operation(array: np.ndarray) -> np.ndarray:
        result: np.ndarray = softmax(_as_float(array), axes.index(axis) - len(axes))
        return result

    return operation


def _choose_class(
    kwargs: Any, axes: tuple[str, ...], own: object, reference: object
) -> Operation:
    """Return the label of the likeliest class; not a step of the specification."""
    values = np.asarray(kwargs["values"])
    at = axes.index("channel") - len(axes)

    def operation(array: np.ndarray) -> np.ndarray:
        if array.shape[at] == 1:
            index = (array > 0.5).astype(np.intp)
        else:
            index = array.argmax(at, keepdims=True)
        result: np.ndarray = values[index]
        return result

    return operation


_BINDERS: dict[str, _Binder] = {
    "binarize": _binarize,
    "choose_class": _choose_class,
    "clip": _clip,
    "ensure_dtype": _ensure_dtype,
    "fixed_zero_mean_unit_variance": _fixed_zero_mean_unit_variance,
    "scale_linear": _scale_linear,
    "scale_mean_variance": _scale_mean_variance,
    "scale_range": _scale_range,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "zero_mean_unit_variance": _zero_mean_unit_variance,
}


def dtype_after(steps: Sequence[Step], declared: str = "float32") -> np.dtype[Any]:
    """Return the data type that float32 pixels have after some steps.

    Parameters
    ----------
    steps
        The steps.
    declared
        What the model says of its result; nobody else knows what code makes.
    """
    dtype: np.dtype[Any] = np.dtype(np.float32)
    for step in steps:
        match step.id:
            case "ensure_dtype":
                dtype = np.dtype(step.kwargs["dtype"])
            case "binarize":
                dtype = np.dtype(np.bool_)
            case "custom":
                dtype = np.dtype(declared)
            case "stardist_postprocessing":
                dtype = np.dtype(np.int32)
            case "cellpose_flow_dynamics":
                dtype = np.dtype(step.kwargs["output_dtype"])
            case _:
                dtype = _float_after(dtype)
    return dtype


def _float_after(dtype: np.dtype[Any]) -> np.dtype[Any]:
    wide = dtype.kind in "iuf" and dtype.itemsize > 4 - 2 * (dtype.kind != "f")
    return np.dtype(np.float64 if wide else np.float32)
