"""Several images in one place: folders, plates and other groups of OME-Zarr."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_im2im.images.formats.suffixes import is_image_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MARKS = ("zarr.json", ".zgroup", ".zarray")
_KEPT = ("plate", "well", "bioformats2raw.layout", "series")
"""What OME-Zarr says about a group of images, rather than about one."""


def is_store(path: Path) -> bool:
    """Return whether a folder is a Zarr store."""
    # Unlike those of a Path, these call what can't be looked into missing.
    return path.is_dir() and any(os.path.exists(path / mark) for mark in _MARKS)


def image_files(folder: Path) -> Iterator[Path]:
    """Yield the images below a folder by their names, sub-folders included.

    Hidden files are left out; a Zarr store counts as one image.
    """
    for place, folders, files in os.walk(folder):
        here = Path(place)
        stores = [name for name in folders if is_store(here / name)]
        folders[:] = sorted(
            name for name in folders if name not in stores and name[0] != "."
        )
        known = [name for name in files if is_image_name(here / name)]
        yield from (here / name for name in sorted([*stores, *known]) if name[0] != ".")


def images_in(path: Path) -> tuple[str, ...]:
    """Return the paths of the images in a plate or another group of OME-Zarr.

    Empty for anything that is itself one image.
    """
    if not is_store(path):
        return ()
    import zarr

    from napari_im2im.images.formats.ome_zarr_reading import image_paths, ome_attributes

    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array) or "multiscales" in ome_attributes(node):
        return ()
    return tuple(image_paths(node))


def copy_structure(source: Path, target: Path, images: Sequence[str]) -> None:
    """Make the groups of a plate anew, without its images, as OME-Zarr 0.5.

    Parameters
    ----------
    source
        Plate, or another group of images, of any version.
    target
        Store to write; what is there already stays.
    images
        Paths of the images that are to come, e.g. ``A/1/0``.

    Raises
    ------
    ImageError
        If the disk refuses.
    """
    import zarr

    from napari_im2im.images.atomic import write_errors
    from napari_im2im.images.formats.ome_zarr_reading import ome_attributes

    groups = {parent for image in images for parent in Path(image).parents}
    with write_errors(target):
        for group in sorted(groups, key=lambda path: len(path.parts)):
            if (target / group / "zarr.json").exists():
                continue
            said = ome_attributes(zarr.open_group(source / group, mode="r"))
            kept = {key: _updated(said[key]) for key in _KEPT if key in said}
            ome = {"ome": {"version": "0.5", **kept}} if kept else {}
            zarr.create_group(target / group, zarr_format=3, attributes=ome)


def _updated(value: Any) -> Any:
    """Return what OME-Zarr says of a plate or well, as version 0.5 says it."""
    return {**value, "version": "0.5"} if isinstance(value, dict) else value
