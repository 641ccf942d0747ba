"""HDF5 files of images, as ilastik, PlantSeg and Python scripts write them."""

from __future__ import annotations

import json
import weakref
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from napari_im2im.errors import ImageError
from napari_im2im.images.formats.contents import (
    UNKNOWN,
    Contents,
    named_axes,
    scene_index,
)
from napari_im2im.images.formats.lazy import file_array
from napari_im2im.images.units import known_sizes

if TYPE_CHECKING:
    from pathlib import Path

    from napari_im2im.images.image import ArrayLike

_USUAL_NAMES = ("raw", "data", "image", "volume", "exported_data")


class _Dataset:
    """A dataset whose file is closed when nobody reads it any more."""

    def __init__(self, path: Path, name: str) -> None:
        file = h5py.File(path, "r")
        weakref.finalize(self, file.close)
        self._dataset = file[name]
        self.shape: tuple[int, ...] = self._dataset.shape
        self.dtype: np.dtype[Any] = self._dataset.dtype
        self.chunks: tuple[int, ...] | None = self._dataset.chunks

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.asarray(self._dataset[key])


def _open_dataset(path: Path, name: str) -> ArrayLike:
    return _Dataset(path, name)


def read_hdf5(path: Path, scene: int | str | None) -> Contents:
    """Describe a dataset of an HDF5 file.

    Without ``scene`` it is the one with a usual name (`_USUAL_NAMES`), else the
    first that could be an image: at least two axes of numbers.

    Raises
    ------
    ImageError
        If the file holds no image, or not the one asked for.
    """
    with h5py.File(path, "r") as file:
        names: list[str] = []
        file.visititems(
            lambda name, node: names.append(name) if _is_image(node) else None
        )
        if not names:
            raise ImageError(
                f"{path.name} holds no dataset of numbers with two axes or more: "
                "choose a file that holds an image."
            )
        names.sort(key=lambda name: name.rpartition("/")[2] not in _USUAL_NAMES)
        index = scene_index(scene, tuple(names))
        if index is None:
            raise ImageError(
                f"{path.name} has no dataset {scene!r}: choose one of "
                f"{', '.join(names)}."
            )
        dataset = file[names[index]]
        axes = _axes(dataset)
        sizes = dict(zip("zyx", dataset.attrs.get("element_size_um", ()), strict=False))
    scale, units = known_sizes(sizes, dict.fromkeys("zyx", "micrometer"))
    return Contents(
        file_array(_open_dataset, path, names[index]),
        axes,
        scale=scale,
        units=units,
        scene=names[index],
        scenes=tuple(names),
    )


def _is_image(node: h5py.Group | h5py.Dataset) -> bool:
    return (
        isinstance(node, h5py.Dataset) and node.ndim > 1 and node.dtype.kind in "biuf"
    )


def _axes(dataset: h5py.Dataset) -> tuple[str, ...]:
    """Return the axes that ilastik's tags or HDF5's labels name."""
    if "axistags" in dataset.attrs:
        tags = json.loads(dataset.attrs["axistags"])["axes"]
        return named_axes("".join(tag["key"] for tag in tags))
    labels = [dimension.label[:1] or UNKNOWN for dimension in dataset.dims]
    return named_axes("".join(labels))
