"""How a folder holds two sets of images of which none belong together."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_im2im.errors import DataError
from napari_im2im.images.folders.kinds import find_kinds, role_of
from napari_im2im.images.folders.layouts import PARTS
from napari_im2im.images.folders.pairing import folders_and_images
from napari_im2im.images.folders.tables import ImageTable, TableRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_im2im.images.folders.tables import Part

_LETTERED = re.compile(
    r"(?i)(train|training|val|valid|validation|test|testing)?[ _-]?([ab])"
)
"""Names of folders as the data sets of CycleGAN have them: ``trainA``, ``testB``."""

_Sets = tuple[ImageTable, ImageTable]


def recognise_two_sets(folder: Path, kinds: Mapping[str, str] | None = None) -> _Sets:
    """Find out which images of a folder are inputs, and which are targets.

    Parameters
    ----------
    folder
        One of

        - a folder with sub-folders for both (``x``, ``y``; ``input``, ``target``;
          ``A``, ``B``; ``trainA``, ``trainB``, ``testA``, ``testB``), or with any
          two;
        - a folder with sub-folders ``train``, ``val`` and ``test`` of these;
        - a folder with files whose names say what they show.
    kinds
        Names of the `Kind` that is the ``"input"`` and the ``"target"``, among the
        files of one folder. Default: what names tell.

    Returns
    -------
    tuple of ImageTable
        Inputs and targets, each as the inputs of a table of its own.

    Raises
    ------
    DataError
        If the folder can't be read, or leaves open which are which.
    """
    folders, files = folders_and_images(folder)
    parts = {PARTS[f.name.lower()]: f for f in folders if f.name.lower() in PARTS}
    if "train" in parts:
        return _joined([(recognise_two_sets(f, kinds), p) for p, f in parts.items()])
    lettered = [(match, f) for f in folders if (match := _LETTERED.fullmatch(f.name))]
    if {match[2].lower() for match, _ in lettered} == {"a", "b"}:
        return _lettered_sets(lettered)
    if folders and not files:
        return _folder_sets(folder, folders)
    return _kind_sets(folder, files, kinds or {})


def _joined(found: Sequence[tuple[_Sets, Part]]) -> _Sets:
    """Join the sets of train, val and test."""
    first = found[0][0]
    return (_with_parts(found, 0, first[0]), _with_parts(found, 1, first[1]))


def _with_parts(
    found: Sequence[tuple[_Sets, Part]], side: int, first: ImageTable
) -> ImageTable:
    rows = [replace(row, part=part) for sets, part in found for row in sets[side].rows]
    return replace(first, rows=tuple(rows))


def _lettered_sets(lettered: Sequence[tuple[re.Match[str], Path]]) -> _Sets:
    tables = []
    for letter in "ab":
        rows: list[TableRow] = []
        mine = [(match, f) for match, f in lettered if match[2].lower() == letter]
        for match, folder in mine:
            part = PARTS.get((match[1] or "").lower())
            rows += [replace(row, part=part) for row in _table(folder).rows]
        names = ", ".join(folder.name for _, folder in mine)
        tables.append(ImageTable(tuple(rows), f"{len(rows)} images in {names}"))
    return tables[0], tables[1]


def _folder_sets(folder: Path, folders: Sequence[Path]) -> _Sets:
    roles: dict[str, Path] = {}
    for path in folders:
        role = role_of(path.name) or ""
        roles.setdefault("target" if role == "labels" else role, path)
    if {"input", "target"} <= {*roles}:
        return _table(roles["input"]), _table(roles["target"])
    if len(folders) == 1:
        return recognise_two_sets(folders[0])
    if len(folders) == 2:
        one, other = folders
        note = (
            f"The names don't say it, so {one.name} is taken for the inputs and "
            f"{other.name} for what they shall look like."
        )
        return replace(_table(one), notes=(note,)), _table(other)
    raise DataError(
        f"The sub-folders of {folder} don't say what is translated into what: call two "
        "of them A and B, or name patterns."
    )


def _table(folder: Path) -> ImageTable:
    _, files = folders_and_images(folder)
    if not files:
        raise DataError(f"The folder {folder} holds no images: add some to it.")
    count = f"{len(files)} image{'s' if len(files) != 1 else ''}"
    rows = tuple(TableRow((path,)) for path in files)
    return ImageTable(rows, f"{count} in {folder.name}")


def _kind_sets(folder: Path, files: Sequence[Path], names: Mapping[str, str]) -> _Sets:
    """Sort the files of one folder, by kinds that were chosen or what names say."""
    kinds = {kind.name: [*kind.files.values()] for kind in find_kinds(files)}
    tables = []
    for role, roles in (("input", {"input"}), ("target", {"target", "labels"})):
        name = names.get(role, role)
        paths = [path for path in files if role_of(path.stem) in roles]
        if role in names:
            paths = kinds.get(name, [])
        if not paths:
            raise DataError(
                f"The names in {folder} don't say which files are the {role}s: put "
                "them into folders A and B, or name patterns."
            )
        rows = tuple(TableRow((path,)) for path in paths)
        tables.append(ImageTable(rows, f"{len(rows)} files {name}"))
    return tables[0], tables[1]
