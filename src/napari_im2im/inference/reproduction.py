"""A package's own test tensors as images, and whether a runtime reproduces them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import ModelError
from napari_im2im.events import PredictionFinished
from napari_im2im.images.image import AXES, SPATIAL_AXES, Image
from napari_im2im.inference.config import PredictConfig

if TYPE_CHECKING:
    from napari_im2im.models.package import ModelPackage
    from napari_im2im.models.runtimes import Runtime
    from napari_im2im.models.tensors import TensorSpec

_ALLOWED = 1e-2
"""Largest difference from a test tensor, in its standard deviations."""

_MISMATCHED = 1e-3
"""Share of the pixels that may differ by more: a threshold flips some."""


def image_of_tensor(spec: TensorSpec, array: np.ndarray) -> Image:
    """Return a test tensor as an image; a batch becomes a time series.

    Raises
    ------
    ModelError
        If it has axes that no image has.
    """
    names = list(spec.axis_names)
    if "batch" in names:
        batch = names.index("batch")
        if array.shape[batch] == 1:
            array = array.squeeze(batch)
            names.remove("batch")
        elif "time" not in names:
            names[batch] = "time"
    strange = [name for name in names if name not in AXES]
    if strange:
        raise ModelError(
            f"The test tensor of {spec.id} has an axis {strange[0]!r}: it is no image "
            "and can't be tested here."
        )
    return Image(array, tuple(names), name=spec.id)


def tensor_of_image(spec: TensorSpec, image: Image) -> np.ndarray:
    """Return an output with the axes of its tensor."""
    names = list(spec.axis_names)
    if "batch" in names and "time" in image.axes and "time" not in names:
        names[names.index("batch")] = "time"
    array = image.read(axes=[name for name in names if name != "batch"])
    if "batch" in names:
        array = np.expand_dims(array, names.index("batch"))
    return array


def reproduces(package: ModelPackage, runtime: Runtime) -> bool:
    """Return whether a runtime makes the test outputs of the test inputs.

    For weights whose own framework isn't used here: a TensorFlow bundle in
    OpenVINO, Keras weights on PyTorch.

    Raises
    ------
    ModelError
        If the package brings no usable test tensors.
    """
    from napari_im2im.inference.prediction import predict_with

    pairs = zip(package.inputs, package.test_inputs(), strict=True)
    images = [image_of_tensor(spec, array) for spec, array in pairs]
    sizes = {a: size for a, size in images[0].sizes.items() if a in SPATIAL_AXES}
    config = PredictConfig(model=str(package.path), tile=sizes, device=runtime.device)
    *_, last = predict_with(package, runtime, config, images)
    assert isinstance(last, PredictionFinished)
    return all(
        _is_close(tensor_of_image(spec, image), expected)
        for spec, image, expected in zip(
            package.outputs, last.outputs, package.test_outputs(), strict=True
        )
    )


def _is_close(actual: np.ndarray, expected: np.ndarray) -> bool:
    if actual.shape != expected.shape:
        return False
    expected = expected.astype(np.float64)
    allowed = _ALLOWED * max(float(expected.std()), 1e-6)
    return bool(np.mean(np.abs(actual - expected) > allowed) <= _MISMATCHED)
