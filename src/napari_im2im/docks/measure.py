"""How close a result is to a layer of the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import DataError
from napari_im2im.images.image import SPATIAL_AXES

if TYPE_CHECKING:
    from napari_im2im.images.image import Image


def measure(result: Image, truth: Image) -> tuple[dict[str, float], np.ndarray]:
    """Measure PSNR (dB), SSIM, PCC and MAE, and map the error.

    Parameters
    ----------
    result, truth
        Images of the same axes and sizes; they are read whole.

    Returns
    -------
    values : dict
        ``psnr``, ``ssim``, ``pcc`` and ``mae`` over all pixels; the data range of
        PSNR and SSIM is that of the truth.
    error : np.ndarray
        Result minus truth, float32, in the shape of the result.

    Raises
    ------
    DataError
        If the sizes differ, or the truth is constant.
    """
    # Imported here: measuring needs torch, opening the dock doesn't.
    import torch

    from napari_im2im.training.metrics import image_metrics

    if result.sizes != truth.sizes:
        raise DataError(
            f"{result.name} is {_sizes(result)} and {truth.name} is {_sizes(truth)}: "
            "choose a layer of the same size."
        )
    guess = result.read().astype(np.float32)
    target = truth.read().astype(np.float32)
    span = float(target.max() - target.min())
    if not span > 0:
        raise DataError(
            f"{truth.name} has the same value everywhere: choose another layer."
        )
    leading = [size for axis, size in result.sizes.items() if axis not in SPATIAL_AXES]
    shape = (int(np.prod(leading)), 1, *_spatial_shape(result))
    order = sorted(
        range(len(result.axes)), key=lambda i: (result.axes[i] in SPATIAL_AXES, i)
    )
    values = image_metrics(
        torch.from_numpy(guess.transpose(order).reshape(shape)),
        torch.from_numpy(target.transpose(order).reshape(shape)),
        [span],
    )
    return values, guess - target


def describe_metrics(values: dict[str, float]) -> str:
    """Return the measurements in one line."""
    return (
        f"PCC {values['pcc']:.3f} · SSIM {values['ssim']:.3f} · "
        f"PSNR {values['psnr']:.1f} dB · MAE {values['mae']:.4g}"
    )


def _spatial_shape(image: Image) -> tuple[int, ...]:
    return tuple(size for axis, size in image.sizes.items() if axis in SPATIAL_AXES)


def _sizes(image: Image) -> str:
    return " × ".join(f"{axis} {size}" for axis, size in image.sizes.items())
