"""How a folder of images is laid out: what is learned from what."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_im2im.errors import DataError
from napari_im2im.images.folders.kinds import Kind, TargetKind, find_kinds
from napari_im2im.images.folders.named_files import files_table, named_table
from napari_im2im.images.folders.pairing import (
    folders_and_images,
    is_plain_folder,
    listed,
)
from napari_im2im.images.folders.role_folders import folders_by_role, folders_table
from napari_im2im.images.folders.stores import zarr_table
from napari_im2im.images.folders.tables import ImageTable, Part, targetless

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PARTS: Mapping[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Names of folders that say what their images are for."""


def recognise_folder(
    folder: Path, target: TargetKind = "image", kinds: Mapping[str, str] | None = None
) -> ImageTable:
    """Find out which files of a folder belong together.

    Parameters
    ----------
    folder
        One of

        - a folder with files whose names say what they show
          (``X1_IM.tiff``, ``X1_GT.tiff``, ``X1_CM.tiff``; ``01_phase.tif``,
          ``01_dna.tif``);
        - a folder with sub-folders for inputs, targets and perhaps cost maps
          (``IM``, ``GT``, ``CM``; ``x``, ``y``; ``images``, ``masks`` …), with
          files of equal names, or with a folder for each sample in both, that has
          one target and one or more inputs;
        - a folder with sub-folders ``train``, ``val`` and ``test`` of either;
        - an OME-Zarr image or plate, whose channels are input and target.
    target
        ``"labels"`` where masks or objects are to be learned, ``"none"`` where every
        image is one to learn from, without a target.
    kinds
        Names of the `Kind` that is the ``"input"``, the ``"target"`` and perhaps the
        ``"cost_map"``, among the files of one folder. Default: what names tell.

    Returns
    -------
    ImageTable
        What belongs together, what was assumed, and what is alone.

    Raises
    ------
    DataError
        If the folder can't be read, holds no images, or leaves open what is learned
        from what.
    """
    folders, files = folders_and_images(folder)
    parts = {PARTS[f.name.lower()]: f for f in folders if f.name.lower() in PARTS}
    if not is_plain_folder(folder):
        return zarr_table([folder], f"OME-Zarr {folder.name}", target)
    if "train" in parts:
        return _parts_table(parts, target, kinds)
    if target == "none":
        everything = files or [f for one in folders for f in folders_and_images(one)[1]]
        return targetless(everything, folder)
    by_role = folders_by_role(folders, target)
    if by_role is not None:
        return folders_table(*by_role)
    if not files and len(folders) == 1:
        return recognise_folder(folders[0], target, kinds)
    if kinds:
        return named_table(files, folder, target, kinds)
    return files_table(files, folder, target)


def kinds_in(folder: Path, target: TargetKind = "image") -> list[Kind]:
    """Return what the files in a folder, or in its ``train``, show.

    Empty where sub-folders say what is what, or the folder can't be read.
    """
    try:
        folders, files = folders_and_images(folder)
    except DataError:
        return []
    for inner in folders:
        if PARTS.get(inner.name.lower()) == "train":
            return kinds_in(inner, target)
    if not files and len(folders) == 1:
        return kinds_in(folders[0], target)
    return find_kinds(files, target)


def _parts_table(
    parts: Mapping[Part, Path], target: TargetKind, kinds: Mapping[str, str] | None
) -> ImageTable:
    """Join the tables of train, val and test."""
    tables, notes = {}, []
    for part, path in sorted(parts.items(), key=lambda p: [*PARTS].index(p[0])):
        try:
            tables[part] = recognise_folder(path, target, kinds)
        except DataError as error:
            if part != "test":
                raise
            notes.append(f"{path.name} is left alone: {error}")
        else:
            notes += [f"{path.name}: {note}" for note in tables[part].notes]
    rows = [
        replace(row, part=part) for part, table in tables.items() for row in table.rows
    ]
    return ImageTable(
        tuple(rows),
        f"folders {listed([path.name for path in parts.values()])}, each with "
        f"{tables['train'].layout}",
        tuple(notes),
        tuple(path for table in tables.values() for path in table.unmatched),
    )
