"""What labels of objects say: which suit, how large they are, where they touch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.measure import label as connected
from skimage.measure import regionprops_table

from napari_im2im.errors import DataError
from napari_im2im.training.tasks.label_images import count_labels, is_blended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.training.data.samples import Sample

_LARGEST_LABEL = 2**24
"""Above it float32, in which patches travel, leaves out whole numbers."""

_ANISOTROPIC = 3.0
"""Spacing, in that of the finest axis, above which an axis has no boundaries to the
background: they would fill an object of few planes."""

_NEAR = 2
"""Pixels of the finest axis within which objects are neighbours."""


@dataclass(frozen=True)
class ObjectSizes:
    """How large the objects of a training are.

    Parameters
    ----------
    count
        How many there are.
    smallest, largest
        The fifth percentile and the maximum of their pixels.
    extent
        Largest bounding box, ``([z,] y, x)``.
    """

    count: int
    smallest: int
    largest: int
    extent: tuple[int, ...]

    def describe(self) -> str:
        """Return a sentence."""
        return (
            f"{self.count} objects, most of them of {self.smallest} to {self.largest} "
            "pixels."
        )


def check_objects(samples: Sequence[Sample]) -> None:
    """Refuse targets that don't number objects.

    Raises
    ------
    DataError
        In one sentence with the name of the image and the cure.
    """
    for sample in samples:
        if len(sample.target) > 1:
            raise DataError(
                f"The target of {sample.name} has {len(sample.target)} channels, but "
                "objects are numbered in one: choose it (data.target_channels)."
            )
        if int(sample.target.max()) >= _LARGEST_LABEL:
            raise DataError(
                f"The target of {sample.name} has the label {int(sample.target.max())}:"
                " number the objects from 1, e.g. with "
                "skimage.segmentation.relabel_sequential."
            )
        if is_blended(sample.target[0]):
            raise DataError(
                f"The target of {sample.name} has many values, most of them in single "
                "pixels, like a picture: save an image in which each object has its "
                "own whole number."
            )
    objects = [
        [label for label in count_labels(sample.target) if label > 0]
        for sample in samples
    ]
    if not any(objects):
        raise DataError(
            "The targets hold no object, only background: choose other targets, or "
            "label some objects, each with its own number."
        )
    if max(map(len, objects)) == 1:
        _refuse_masks(samples)


def _refuse_masks(samples: Sequence[Sample]) -> None:
    """Refuse images with one label each: masks, or too little to separate."""
    parts = [int(connected(sample.target[0] > 0).max()) for sample in samples]
    most = samples[int(np.argmax(parts))]
    if max(parts) > 1:
        raise DataError(
            f"The target of {most.name} is a mask of {max(parts)} objects with one "
            "number for all: give each its own (connected components, e.g. with "
            "skimage.measure.label), or choose the task semantic."
        )
    raise DataError(
        f"The target of {most.name} holds one object only, so there is nothing to "
        "separate: choose images with several objects, or the task semantic."
    )


def measure_objects(samples: Sequence[Sample]) -> ObjectSizes:
    """Measure the objects of training targets."""
    sizes, extents = [], []
    for sample in samples:
        labels = np.maximum(sample.target[0], 0).astype(np.int32)
        table = regionprops_table(labels, properties=("area", "bbox"))
        count = labels.ndim
        sizes.append(table["area"])
        extents.append(
            np.stack(
                [table[f"bbox-{i + count}"] - table[f"bbox-{i}"] for i in range(count)],
                axis=1,
            )
        )
    areas, boxes = np.concatenate(sizes), np.concatenate(extents)
    if not len(areas):
        raise DataError(
            "No training image shows an object: hold out other images "
            "(data.validation_fraction), or label more."
        )
    return ObjectSizes(
        count=len(areas),
        smallest=round(float(np.percentile(areas, 5))),
        largest=int(areas.max()),
        extent=tuple(int(size) for size in boxes.max(axis=0)),
    )


def boundary_pixels(labels: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return the outermost pixels of each object.

    Parameters
    ----------
    labels
        Objects ``([z,] y, x)``, 0 for the background.
    spacing
        Size of a pixel along each axis. Along an axis of more than thrice the finest
        spacing only neighbouring objects make a boundary.

    Returns
    -------
    np.ndarray
        Mask of the same shape; the border of the image is no boundary.
    """
    mask = np.zeros(labels.shape, bool)
    for axis, size in enumerate(spacing):
        along = np.moveaxis(labels, axis, 0)
        differ = along[1:] != along[:-1]
        if size > _ANISOTROPIC * min(spacing):
            differ &= (along[1:] > 0) & (along[:-1] > 0)
        view = np.moveaxis(mask, axis, 0)
        view[1:] |= differ
        view[:-1] |= differ
    return mask & (labels > 0)


def pixels_between(labels: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return the pixels that have two objects within two pixels of the finest axis.

    Parameters
    ----------
    labels
        Objects ``([z,] y, x)``, 0 for the background.
    spacing
        Size of a pixel along each axis, in any unit.
    """
    size = [2 * int(_NEAR * min(spacing) / along) + 1 for along in spacing]
    beyond = labels.max(initial=0) + 1
    largest = ndimage.maximum_filter(labels, size)
    smallest = ndimage.minimum_filter(np.where(labels > 0, labels, beyond), size)
    between: np.ndarray = (largest > 0) & (smallest < largest)
    return between


def encode_boundaries(
    labels: np.ndarray, spacing: Sequence[float], width: float, *, distance: bool
) -> np.ndarray:
    """Return foreground, boundary and, on demand, distance of one label image.

    Parameters
    ----------
    labels
        Objects ``([z,] y, x)``, 0 for the background.
    spacing
        Size of a pixel along each axis, in any unit.
    width
        Width of the boundary, in pixels of the finest axis.
    distance
        Whether to return the distance to the boundary, too: 0 outside of objects and
        1 at the innermost pixel of each.

    Returns
    -------
    np.ndarray
        ``(2 or 3, [z,] y, x)``, float32, 0 to 1.
    """
    foreground = labels > 0
    relative = [size / min(spacing) for size in spacing]
    outermost = boundary_pixels(labels, relative)
    # The transform counts from the centre of the outermost pixels.
    depth = ndimage.distance_transform_edt(~outermost, sampling=relative) + 0.5
    if not outermost.any():
        depth = np.full(labels.shape, np.inf)
    depth = np.where(foreground, depth, 0)
    maps = [foreground, foreground & (depth < width)]
    if distance:
        maps.append(_relative_depth(labels, depth))
    return np.stack(maps).astype(np.float32)


def _relative_depth(labels: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Return the depth of pixels, in that of the deepest of their object."""
    names, inverse = np.unique(labels, return_inverse=True)
    inverse = inverse.reshape(labels.shape)
    deepest = ndimage.maximum(depth, inverse, np.arange(len(names)))
    with np.errstate(invalid="ignore"):
        relative = np.asarray(depth / np.asarray(deepest)[inverse])
    # Without any boundary in sight all of it is deep inside.
    return np.where(labels > 0, np.nan_to_num(relative, nan=1.0), 0)
