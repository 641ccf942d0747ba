"""Saving images as OME-TIFF, OME-Zarr or PNG."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import tifffile

from napari_im2im.errors import ImageError
from napari_im2im.images.atomic import replaced_when_done
from napari_im2im.images.blocks import iterate_blocks
from napari_im2im.images.formats.contents import PROVENANCE
from napari_im2im.images.formats.ome_zarr import add_pyramid, create_ome_zarr
from napari_im2im.images.image import AXES, Image
from napari_im2im.images.units import SYMBOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

_TILE = 512
_LARGEST_PAGE = 256 * 2**20
"""Bytes of a plane above which an OME-TIFF is written in tiles."""

_IN_TIFF = {"float16": "float32", "int64": "int32", "uint64": "uint32"}
"""What takes the place of data types that OME-TIFF doesn't have."""


def save_image(image: Image, path: str | Path, *, overwrite: bool = False) -> Path:
    """Save an image with its axes, pixel size, units and channel names.

    It is read and written in parts, so it may be larger than memory (a PNG may
    not). The file appears under its name when it is complete.

    Parameters
    ----------
    image
        The image; it needs y and x axes.
    path
        ``.ome.tif``, ``.tif`` (also OME-TIFF inside), ``.ome.zarr``, ``.zarr``
        (OME-Zarr 0.5 with a pyramid) or ``.png`` (one plane of 8 or 16 bits,
        grey or with 3 or 4 channels; without pixel size).
    overwrite
        Whether a file of that name may be replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ImageError
        If the format can't hold the image, the file exists, or the disk
        refuses.
    """
    path = Path(path).expanduser()
    writers = {
        ".tif": _write_tiff,
        ".tiff": _write_tiff,
        ".zarr": _write_zarr,
        ".png": _write_png,
    }
    write = writers.get(path.suffix.lower())
    if write is None:
        raise ImageError(
            f"{path.name} says no format that can be written: end the name with "
            ".ome.tif, .ome.zarr or .png."
        )
    if not {"y", "x"} <= set(image.axes):
        raise ImageError(
            f"{image.name} has the axes {'/'.join(image.axes)}: only images with y and "
            "x can be saved."
        )
    with replaced_when_done(path, overwrite=overwrite) as temporary:
        write(image, temporary)
    return path


def _ordered_axes(image: Image) -> tuple[str, ...]:
    return tuple(axis for axis in AXES if axis in image.axes)


def _write_zarr(image: Image, path: Path) -> None:
    axes = _ordered_axes(image)
    most = {"z": 16, "y": _TILE, "x": _TILE}
    array = create_ome_zarr(
        path,
        shape=[image.sizes[a] for a in axes],
        axes=axes,
        dtype=image.dtype,
        scale=image.scale,
        units=image.units,
        channel_names=image.channel_names if "channel" in axes else (),
        chunks=[most.get(a, 1) for a in axes],
        metadata=image.metadata.get(PROVENANCE),
    )
    labels = image.metadata.get(PROVENANCE, {}).get("kind") == "labels"
    for block in iterate_blocks(array.shape, array.chunks, array.dtype):
        region = dict(zip(axes, block, strict=True))
        array[block] = image.read(region, axes)
    add_pyramid(path, method="nearest" if labels else "mean")


def check_format(image: Image, path: Path) -> None:
    """Check, without reading it, that a file of that name can hold an image.

    Raises
    ------
    ImageError
        If it is a PNG, and the image has more than a plane of 8 or 16 bits.
    """
    if path.suffix.lower() == ".png":
        _check_png(image)


def _check_png(image: Image) -> None:
    axes = tuple(a for a in image.axes if image.sizes[a] > 1 or a in ("y", "x"))
    channels = image.sizes.get("channel", 1)
    dtype = image.dtype.newbyteorder("=")
    if set(axes) - {"y", "x", "channel"} or channels not in (1, 3, 4):
        raise ImageError(
            f"A PNG holds one plane of 1, 3 or 4 channels, {image.name} is "
            f"{_describe_size(image)}: save it as .ome.tif."
        )
    if dtype not in (np.bool_, np.uint8, np.uint16):
        raise ImageError(
            f"A PNG holds whole numbers of 8 or 16 bits, {image.name} holds {dtype}: "
            "save it as .ome.tif."
        )


def _write_png(image: Image, path: Path) -> None:
    _check_png(image)
    channels = image.sizes.get("channel", 1)
    dtype = image.dtype.newbyteorder("=")
    extra = tuple(a for a in image.axes if a not in ("y", "x", "channel"))
    pixels = image.read(axes=(*extra, "y", "x", "channel"))
    pixels = pixels.reshape(pixels.shape[-3:])
    if dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    pixels = pixels[..., 0] if channels == 1 else pixels
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))


def _describe_size(image: Image) -> str:
    return " × ".join(f"{size} {axis}" for axis, size in image.sizes.items())


def _write_tiff(image: Image, path: Path) -> None:
    axes = _ordered_axes(image)
    dtype = np.dtype(_IN_TIFF.get(image.dtype.name, image.dtype.newbyteorder("=")))
    page_bytes = image.sizes["y"] * image.sizes["x"] * dtype.itemsize
    tiled = page_bytes > _LARGEST_PAGE
    shape = tuple(image.sizes[axis] for axis in axes)
    tifffile.imwrite(
        path,
        _parts(image, axes, dtype, tiled=tiled),
        shape=shape,
        dtype=dtype,
        ome=True,
        bigtiff=math.prod(shape) * dtype.itemsize > 2**31,
        photometric="minisblack",
        tile=(_TILE, _TILE) if tiled else None,
        compression="zlib",
        metadata=_ome_metadata(image, axes),
    )


def _parts(
    image: Image, axes: tuple[str, ...], dtype: np.dtype[Any], *, tiled: bool
) -> Iterator[np.ndarray]:
    """Yield the pages, or their tiles from left to right and top to bottom."""
    width = image.sizes["x"]
    height = _TILE if tiled else image.sizes["y"]
    chunks = (*(1,) * (len(axes) - 2), height, width)
    shape = [image.sizes[axis] for axis in axes]
    for block in iterate_blocks(shape, chunks, dtype, most_bytes=0):
        pixels = image.read(dict(zip(axes, block, strict=True)), axes)
        band = _cast(pixels, dtype, image.name)[(0,) * (len(axes) - 2)]
        if not tiled:
            yield band
            continue
        band = np.pad(band, [(0, -n % _TILE) for n in band.shape])
        yield from np.split(band, band.shape[1] // _TILE, axis=1)


def _cast(pixels: np.ndarray, dtype: np.dtype[Any], name: str) -> np.ndarray:
    """Change the data type of pixels, if that changes none of their values.

    Raises
    ------
    ImageError
        If a value is too large.
    """
    if dtype.kind in "iu" and pixels.dtype.itemsize > dtype.itemsize:
        limits = np.iinfo(dtype)
        if pixels.min() < limits.min or pixels.max() > limits.max:
            raise ImageError(
                f"{name} holds values too large for OME-TIFF (above {limits.max}): "
                "save it as .ome.zarr."
            )
    return pixels.astype(dtype, copy=False)


def _ome_metadata(image: Image, axes: tuple[str, ...]) -> dict[str, Any]:
    """Return what tifffile writes as OME-XML."""
    metadata: dict[str, Any] = {
        "axes": "".join(axis[0].upper() for axis in axes),
        "Name": image.name,
    }
    names = {a: f"PhysicalSize{a.upper()}" for a in "zyx"} | {"time": "TimeIncrement"}
    for axis, name in names.items():
        if axis in image.scale:
            metadata[name] = image.scale[axis]
            unit = image.units.get(axis, "pixel" if axis in "zyx" else "second")
            metadata[f"{name}Unit"] = SYMBOLS.get(unit, unit)
    if image.channel_names:
        metadata["Channel"] = {"Name": list(image.channel_names)}
    if PROVENANCE in image.metadata:
        provenance = json.dumps(image.metadata[PROVENANCE])
        metadata["MapAnnotation"] = {PROVENANCE: provenance}
    return metadata
