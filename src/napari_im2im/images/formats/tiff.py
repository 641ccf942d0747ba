"""TIFF and its dialects: OME, ImageJ, MetaMorph, MetaSeries, LSM, tifffile's own."""

from __future__ import annotations

import json
import math
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import tifffile
import zarr

from napari_im2im.errors import ImageError
from napari_im2im.images.formats.contents import (
    PROVENANCE,
    Contents,
    named_axes,
    scene_index,
)
from napari_im2im.images.formats.lazy import FileArray, changed
from napari_im2im.images.units import known_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_im2im.images.image import ArrayLike

_Sizes = tuple[dict[str, float], dict[str, str]]


class _Pages:
    """A series of a TIFF file, which is closed when nobody reads it any more."""

    def __init__(self, path: Path, series: int) -> None:
        file = tifffile.TiffFile(path)
        weakref.finalize(self, file.close)
        store = file.series[series].aszarr(level=0, squeeze=False)
        array: Any = zarr.open_array(store, mode="r")
        self._array = array
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = array.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.asarray(self._array[key])


class _Mapping(NamedTuple):
    """Where the pixels of a series lie in its file, uncompressed and in order."""

    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    file_size: int


def _map_pixels(path: Path, part: _Mapping) -> ArrayLike:
    # In another file there may be anything at that place.
    if path.stat().st_size != part.file_size:
        raise changed(path)
    return np.memmap(path, part.dtype, "r", part.offset, part.shape)


def _lazy_pixels(path: Path, file: tifffile.TiffFile, index: int) -> FileArray:
    series = file.series[index]
    dtype = np.dtype(series.dtype).newbyteorder(file.byteorder)
    shape = series.get_shape(squeeze=False)
    status = path.stat()
    modified = status.st_mtime_ns
    # Of a file that was cut off, the pages that are there can still be read.
    cut_off = series.dataoffset is not None and (
        series.dataoffset + math.prod(shape) * dtype.itemsize > status.st_size
    )
    if series.dataoffset is None or cut_off:
        dtype = dtype.newbyteorder("=")
        chunks = _chunks(series, shape)
        return FileArray(_Pages, path, modified, index, shape, dtype, chunks)
    part = _Mapping(series.dataoffset, dtype, shape, status.st_size)
    return FileArray(_map_pixels, path, modified, part, shape, dtype)


def _chunks(
    series: tifffile.TiffPageSeries, shape: tuple[int, ...]
) -> tuple[int, ...] | None:
    """Return the tiles or strips of a series, None where its axes hide them."""
    page = series.keyframe
    strip = page.chunks
    if len(strip) != len(page.shape) or shape[-len(strip) :] != page.shape:
        return None
    cut = (min(part, size) for part, size in zip(strip, page.shape, strict=True))
    return (*(1,) * (len(shape) - len(strip)), *cut)


def read_tiff(path: Path, scene: int | str | None) -> Contents:
    """Describe a series of a TIFF file, at its full resolution.

    Values are those in the file: the indices of a palette, and miniswhite
    without inversion.

    Raises
    ------
    ImageError
        If the file holds no image, or not the one asked for.
    """
    with tifffile.TiffFile(path) as file:
        scenes = tuple(s.name or str(i) for i, s in enumerate(file.series))
        index = scene_index(scene, scenes)
        if not scenes or index is None:
            raise ImageError(
                f"{path.name} has no image {scene!r}: choose {', '.join(scenes)}."
                if scenes
                else f"{path.name} is a TIFF file without an image: check that it is "
                "complete."
            )
        series = file.series[index]
        axes = named_axes(series.get_axes(squeeze=False))
        scale, units = _pixel_size(file, index)
        channel_names, metadata = _ome_details(file, index)
        data = _lazy_pixels(path, file, index)
    return Contents(
        data,
        axes,
        scale=scale,
        units=units,
        channel_names=channel_names,
        padded=series.kind not in ("shaped", "uniform", "generic"),
        scene=scenes[index],
        scenes=scenes,
        metadata=metadata,
    )


def _pixel_size(file: tifffile.TiffFile, series: int) -> _Sizes:
    if file.is_ome:
        return _ome_pixel_size(_ome_images(file), series)
    page = file.series[series].keyframe
    if file.is_imagej:
        return _imagej_pixel_size(file.imagej_metadata or {}, page)
    if file.is_stk:
        return _stk_pixel_size(file.stk_metadata or {})
    if file.is_metaseries:
        return _metaseries_pixel_size(file.metaseries_metadata or {})
    if file.is_lsm:
        return _lsm_pixel_size(file.lsm_metadata or {})
    if file.is_shaped:
        described = dict(enumerate(file.shaped_metadata or ()))
        return _imagej_pixel_size(described.get(series, {}), page)
    return {}, {}


def _imagej_pixel_size(described: Mapping[str, Any], page: tifffile.TiffPage) -> _Sizes:
    """Resolution tags count only where the description gives their unit.

    ImageJ leaves out a spacing of 1.
    """
    unit = described.get("unit")
    if not unit or unit in ("pixel", "pixels", "inch"):
        return {}, {}
    sizes: dict[str, float | None] = {"z": described.get("spacing", 1.0)}
    for axis, tag in (("x", "XResolution"), ("y", "YResolution")):
        pixels, length = page.tags[tag].value if tag in page.tags else (0, 1)
        sizes[axis] = length / pixels if pixels else None
    sizes["time"] = described.get("finterval")
    units = {
        "x": unit,
        "y": described.get("yunit", unit),
        "z": described.get("zunit", unit),
        "time": described.get("tunit", "second"),
    }
    return known_sizes(sizes, units)


def _stk_pixel_size(described: Mapping[str, Any]) -> _Sizes:
    if not described.get("SpatialCalibration"):
        return {}, {}
    unit = described.get("CalibrationUnits")
    distances = np.atleast_1d(described.get("ZDistance", 0))
    return known_sizes(
        {
            "x": described.get("XCalibration"),
            "y": described.get("YCalibration"),
            "z": float(distances[-1]),
        },
        {"x": unit, "y": unit, "z": "micrometer"},
    )


def _metaseries_pixel_size(described: Mapping[str, Any]) -> _Sizes:
    plane = described.get("PlaneInfo", {})
    if not plane.get("spatial-calibration-state"):
        return {}, {}
    unit = plane.get("spatial-calibration-units")
    return known_sizes(
        {a: plane.get(f"spatial-calibration-{a}") for a in "xy"}, {"x": unit, "y": unit}
    )


def _lsm_pixel_size(described: Mapping[str, Any]) -> _Sizes:
    """LSM counts in meters and seconds."""
    sizes = {a: described.get(f"VoxelSize{a.upper()}", 0.0) * 1e6 for a in "zyx"}
    return known_sizes(
        sizes | {"time": described.get("TimeInterval")},
        dict.fromkeys("zyx", "micrometer") | {"time": "second"},
    )


def _ome_images(file: tifffile.TiffFile) -> list[ElementTree.Element]:
    return _ome_xml(file).findall("{*}Image")


def _ome_xml(file: tifffile.TiffFile) -> ElementTree.Element:
    """Return the description, empty where it isn't valid XML."""
    try:
        return ElementTree.fromstring(file.ome_metadata or "<OME/>")
    except ElementTree.ParseError:
        return ElementTree.Element("OME")


def _ome_pixel_size(images: list[ElementTree.Element], series: int) -> _Sizes:
    pixels = images[series].find("{*}Pixels") if series < len(images) else None
    if pixels is None:
        return {}, {}
    names = {a: f"PhysicalSize{a.upper()}" for a in "zyx"} | {"time": "TimeIncrement"}
    default = dict.fromkeys("zyx", "micrometer") | {"time": "second"}
    return known_sizes(
        {axis: float(pixels.get(name, 0)) for axis, name in names.items()},
        {a: pixels.get(f"{name}Unit", default[a]) for a, name in names.items()},
    )


def _ome_details(
    file: tifffile.TiffFile, series: int
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return channel names, and the provenance that this package writes."""
    if not file.is_ome or series >= len(images := _ome_images(file)):
        return (), {}
    names = [c.get("Name") for c in images[series].iterfind(".//{*}Channel")]
    if any(names):
        names = [name or f"channel {i}" for i, name in enumerate(names)]
    entry = _ome_xml(file).find(f".//{{*}}M[@K='{PROVENANCE}']")
    metadata = {} if entry is None else {PROVENANCE: json.loads(entry.text or "{}")}
    return tuple(name for name in names if name), metadata
