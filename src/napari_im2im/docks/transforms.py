"""Where a result lies in the world: the transform of its source, adapted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.layers import Layer


def carried_transform(
    layer: Layer,
    layer_axes: Sequence[str],
    axes: Sequence[str],
    *,
    zoom: Mapping[str, float] | None = None,
    offset: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return the layer arguments that put a result where its source is.

    Parameters
    ----------
    layer
        The source.
    layer_axes
        Names of the dimensions of ``layer``; colours may follow at the end.
    axes
        Names of the dimensions of the result. Dimensions of the source that
        aren't among them are dropped, new ones are not transformed.
    zoom
        Number of pixels of the result for one pixel of the source, by axis;
        default 1.
    offset
        Position in the source, in pixels, where the result starts; default 0.

    Returns
    -------
    dict
        ``scale``, ``translate``, ``rotate``, ``shear``, ``affine``, ``units`` and
        ``axis_labels``.

    Notes
    -----
    napari places pixel p at ``A (R K S p + t)`` with affine A, rotation R, shear
    K, scale S and translation t. Pixels are centred on their coordinates, so that
    pixel 0 of a result of zoom f, which starts at pixel o, lies at
    ``o + (1 / f - 1) / 2`` of the source.
    """
    zoom, offset = zoom or {}, offset or {}
    layer_axes = tuple(layer_axes)[: layer.ndim]
    shear = _shear_matrix(np.asarray(layer.shear), layer.ndim)
    linear = np.asarray(layer.rotate) @ shear @ np.diag(layer.scale)
    start = [
        offset.get(axis, 0.0) + (1 / zoom.get(axis, 1.0) - 1) / 2 for axis in layer_axes
    ]
    translate = np.asarray(layer.translate) + linear @ np.asarray(start)
    from_source = [layer_axes.index(a) if a in layer_axes else None for a in axes]
    labels = tuple(
        layer.axis_labels[i] if i is not None else axis
        for i, axis in zip(from_source, axes, strict=True)
    )
    named = not any(label.lstrip("-").isdigit() for label in layer.axis_labels)
    return {
        "scale": [
            1.0 if i is None else float(layer.scale[i]) / zoom.get(axis, 1.0)
            for i, axis in zip(from_source, axes, strict=True)
        ],
        "translate": [0.0 if i is None else float(translate[i]) for i in from_source],
        "rotate": _sub_matrix(np.asarray(layer.rotate), from_source),
        "shear": _sub_matrix(shear, from_source),
        "affine": _sub_affine(np.asarray(layer.affine.affine_matrix), from_source),
        "units": ["pixel" if i is None else layer.units[i] for i in from_source],
        "axis_labels": labels if named else None,
    }


def _shear_matrix(shear: np.ndarray, ndim: int) -> np.ndarray:
    """Return napari's shear, a matrix or its upper triangle, as a matrix."""
    if shear.ndim == 2:
        return shear
    matrix = np.eye(ndim)
    matrix[np.triu_indices(ndim, 1)] = shear
    return matrix


def _sub_matrix(matrix: np.ndarray, indices: Sequence[int | None]) -> np.ndarray:
    """Return a matrix of the chosen dimensions, identity for those that are new."""
    chosen = np.eye(len(indices))
    for row, i in enumerate(indices):
        for column, j in enumerate(indices):
            if i is not None and j is not None:
                chosen[row, column] = matrix[i, j]
    return chosen


def _sub_affine(affine: np.ndarray, indices: Sequence[int | None]) -> np.ndarray:
    chosen = np.eye(len(indices) + 1)
    chosen[:-1, :-1] = _sub_matrix(affine[:-1, :-1], indices)
    for row, i in enumerate(indices):
        if i is not None:
            chosen[row, -1] = affine[i, -1]
    return chosen
