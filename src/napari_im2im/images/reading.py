"""Opening images, whatever file they are in, without reading their pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_im2im.errors import ImageError
from napari_im2im.images.formats.contents import SAMPLES, UNKNOWN, Contents
from napari_im2im.images.formats.suffixes import HDF5, MICROSCOPES, PICTURES, TIFF
from napari_im2im.images.image import Image, parse_axes
from napari_im2im.images.view import Positions, part_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_HDF5 = (*HDF5, ".ilp")
"""HDF5 that images can be in, projects of ilastik among it."""

_SAMPLE_NAMES = {
    2: ("gray", "alpha"),
    3: ("red", "green", "blue"),
    4: ("red", "green", "blue", "alpha"),
}
_MOST_CHANNELS = 4
"""An unnamed axis of at most so many positions is taken for channels."""


def open_image(
    path: str | Path, *, axes: str | None = None, scene: int | str | None = None
) -> Image:
    """Open an image file lazily, at its full resolution.

    Parameters
    ----------
    path
        A TIFF or OME-TIFF file, an OME-Zarr 0.4 or 0.5 folder, PNG or JPEG;
        with the extra ``formats`` HDF5, CZI, LIF and ND2. Inside an OME-Zarr
        plate or an HDF5 file the path goes on: ``plate.zarr/B/03/0``,
        ``file.h5/raw``.
    axes
        What the axes are, if the file doesn't say or is wrong: one of the
        letters ``t c z y x`` for each axis (axes of size 1 may be left out).
    scene
        Which image of a file that holds several: its position or its name. The
        first by default; ``metadata["scenes"]`` of the result lists them.

    Returns
    -------
    Image
        The image with its pixel size, units and channel names, as far as the
        file knows them. Red, green and blue are channels. Axes are those of the
        file; where its format always names time, channel and z (OME-TIFF,
        ImageJ, CZI, LIF, ND2), those of size 1 are left out. Where the axes had
        to be guessed, ``metadata["axes_guessed"]`` is True.

    Raises
    ------
    ImageError
        If the file doesn't exist, isn't an image, or needs a reader that isn't
        installed.
    """
    path = Path(path).expanduser()
    try:
        contents = _read_contents(path, scene)
    except (OSError, ValueError, KeyError, IndexError, RuntimeError) as error:
        forbidden = isinstance(error, PermissionError)
        fix = "ask for the right to read it"
        raise ImageError(
            f"{path.name} can't be read as an image ({_reason(error)}): "
            f"{fix if forbidden else 'check that the file is complete'}."
        ) from error
    if axes is not None:
        contents = _with_axes(contents, parse_axes(axes), path.name)
    elif contents.padded:
        contents = _without_padding(contents)
    return _as_image(contents, path)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).partition("\n")[0].rstrip(".") or type(error).__name__


def _read_contents(path: Path, scene: int | str | None) -> Contents:
    """Choose the reader by the name, and import only that one."""
    file, inside = _split(path)
    suffix = file.suffix.lower()
    if file.is_dir():
        from napari_im2im.images.formats.ome_zarr_reading import read_ome_zarr

        return read_ome_zarr(path, scene)
    if suffix in TIFF:
        from napari_im2im.images.formats.tiff import read_tiff

        return read_tiff(file, scene)
    if suffix in _HDF5:
        try:
            from napari_im2im.images.formats.hdf5 import read_hdf5
        except ImportError as error:
            raise ImageError(missing_reader(file)) from error
        return read_hdf5(file, inside or scene)
    if suffix == ".lif":
        try:
            from napari_im2im.images.formats.lif import read_lif
        except ImportError as error:
            raise ImageError(missing_reader(file)) from error
        return read_lif(file, scene)
    if suffix in PICTURES:
        from napari_im2im.images.formats.raster import read_picture

        return read_picture(file)
    try:
        from napari_im2im.images.formats.vendor import read_vendor
    except ImportError as error:
        raise ImageError(missing_reader(file)) from error
    contents = read_vendor(file, scene)
    if contents is None:
        raise ImageError(missing_reader(file))
    return contents


def missing_reader(path: Path) -> str:
    """Return the sentence that names the extra which reads such a file."""
    known = (*_HDF5, *MICROSCOPES)
    extra = "formats" if path.suffix.lower() in known else "bioformats"
    return (
        f"{path.name} needs a reader for {path.suffix or 'its format'} that isn't "
        f"installed: run pip install 'napari-im2im[{extra}]', or save the image as "
        "OME-TIFF."
    )


def _split(path: Path) -> tuple[Path, str]:
    """Return what exists on disk, and the path inside that file."""
    if path.exists():
        return path, ""
    for parent in path.parents:
        if parent.is_file() and parent.suffix.lower() in _HDF5:
            return parent, path.relative_to(parent).as_posix()
    raise ImageError(f"There is no file {path}: check its name and folder.")


def _keep(contents: Contents, kept: Sequence[bool]) -> Contents:
    """Drop the axes of size 1 that aren't kept."""
    positions: list[Positions] = [
        range(size) if keep else 0
        for size, keep in zip(contents.data.shape, kept, strict=True)
    ]
    return replace(
        contents,
        data=part_of(contents.data, positions) if not all(kept) else contents.data,
        axes=tuple(a for a, keep in zip(contents.axes, kept, strict=True) if keep),
    )


def _without_padding(contents: Contents) -> Contents:
    return _keep(
        contents,
        [
            size > 1 or axis in ("y", "x")
            for axis, size in zip(contents.axes, contents.data.shape, strict=True)
        ],
    )


def _with_axes(contents: Contents, axes: tuple[str, ...], name: str) -> Contents:
    shape = contents.data.shape
    if len(axes) != len(shape):
        contents = _keep(contents, [size > 1 for size in shape])
    if len(axes) != len(contents.data.shape):
        raise ImageError(
            f"{name} has the shape {' × '.join(map(str, shape))}, but {len(axes)} "
            f"axes are named ({'/'.join(axes)}): name one for each of its axes."
        )
    return replace(contents, axes=axes)


def _as_image(contents: Contents, path: Path) -> Image:
    metadata: dict[str, Any] = dict(contents.metadata)
    if len(contents.scenes) > 1:
        metadata |= {"scene": contents.scene, "scenes": contents.scenes}
    if UNKNOWN in contents.axes:
        contents = replace(
            contents, axes=guess_axes(contents.axes, contents.data.shape)
        )
        metadata["axes_guessed"] = True
    contents = _samples_as_channels(contents, path.name)
    sizes = dict(zip(contents.axes, contents.data.shape, strict=True))
    names = contents.channel_names
    return Image(
        contents.data,
        contents.axes,
        scale={a: size for a, size in contents.scale.items() if a in sizes},
        units={a: unit for a, unit in contents.units.items() if a in sizes},
        channel_names=names if len(names) == sizes.get("channel", 1) else (),
        name=_name(contents, path),
        source=path.absolute(),
        metadata=metadata,
    )


def _name(contents: Contents, path: Path) -> str:
    """Return the name of the file, and what tells its image from others in it."""
    containers = [p for p in path.parents if p.suffix.lower() in (".zarr", *_HDF5)]
    name = (containers[0] if containers else path).stem.removesuffix(".ome")
    if containers:
        return f"{name}/{path.relative_to(containers[0]).as_posix()}"
    return f"{name} {contents.scene}" if len(contents.scenes) > 1 else name


def guess_axes(axes: Sequence[str], shape: Sequence[int]) -> tuple[str, ...]:
    """Name the axes that a file doesn't name.

    A trailing axis of at most 4 positions behind larger ones is the channel
    axis of a file without any named axes; the last two that remain are y and x.
    Of the others the smallest is the channel axis if it has at most 4
    positions; what is left is z, then time, from the last to the first.

    Parameters
    ----------
    axes
        Names, `UNKNOWN` for the axes to name.
    shape
        Size of each axis.

    Raises
    ------
    ImageError
        If there are more axes than names.
    """
    named = list(axes)
    unknown = [i for i, axis in enumerate(named) if axis == UNKNOWN]

    def name(position: int, axis: str) -> None:
        named[position] = axis
        unknown.remove(position)

    if len(unknown) == len(named) > 2 and shape[-1] <= _MOST_CHANNELS < min(
        shape[-3:-1]
    ):
        name(unknown[-1], "channel")
    for axis in ("x", "y"):
        if unknown and axis not in named:
            name(unknown[-1], axis)
    if unknown and not {"channel", SAMPLES} & set(named):
        smallest = min(unknown, key=lambda i: shape[i])
        if shape[smallest] <= _MOST_CHANNELS:
            name(smallest, "channel")
    for axis in ("z", "time", "channel"):
        if unknown and axis not in named:
            name(unknown[-1], axis)
    if unknown:
        raise ImageError(
            f"The image has {len(named)} axes ({' × '.join(map(str, shape))}), more "
            "than time, channel, z, y and x: save a part of it first."
        )
    return tuple(named)


def _samples_as_channels(contents: Contents, name: str) -> Contents:
    """Make red, green and blue channels."""
    if SAMPLES not in contents.axes:
        return contents
    at = contents.axes.index(SAMPLES)
    count = contents.data.shape[at]
    if count == 1:
        return _keep(contents, [i != at for i in range(len(contents.axes))])
    if "channel" in contents.axes:
        raise ImageError(
            f"{name} has colours within several channels: save it as one image per "
            "channel first."
        )
    return replace(
        contents,
        axes=tuple("channel" if axis == SAMPLES else axis for axis in contents.axes),
        channel_names=_SAMPLE_NAMES.get(count, ()),
    )
