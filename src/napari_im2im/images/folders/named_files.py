"""Files in one folder, whose names say what they show."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_im2im.errors import DataError
from napari_im2im.images.folders.kinds import (
    Choice,
    Kind,
    TargetKind,
    choose_kinds,
    find_kinds,
    match_kinds,
)
from napari_im2im.images.folders.pairing import listed
from napari_im2im.images.folders.stores import zarr_table
from napari_im2im.images.folders.tables import (
    ImageTable,
    TableRow,
    targetless,
    with_cost_maps,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def files_table(files: Sequence[Path], folder: Path, target: TargetKind) -> ImageTable:
    """Return what the names of files in one folder say."""
    kinds = find_kinds(files, target)
    choice = choose_kinds(kinds, target)
    if choice is not None:
        return _chosen_table(choice, kinds)
    stores = [path for path in files if path.is_dir()]
    if stores:
        table = zarr_table(stores, f"OME-Zarr in {folder.name}", target)
        return replace(table, unmatched=tuple(f for f in files if f not in stores))
    if not files:
        raise DataError(
            f"The sub-folders of {folder} don't say what is learned from what: call "
            "them IM and GT, or name patterns."
        )
    if len(files) == 1:
        return targetless(files, folder)
    shown = listed([kind.name for kind in kinds[:6]])
    raise DataError(
        f"The names in {folder} don't say what is learned from what"
        f"{f' (there are {shown})' if len(kinds) > 1 else ''}: name patterns for "
        "inputs and targets, e.g. *_phase.tif and *_dna.tif."
    )


def _chosen_table(choice: Choice, kinds: Sequence[Kind]) -> ImageTable:
    rows = [TableRow((one,), (other,)) for one, other in choice.matches.pairs]
    notes, unmatched = [], choice.matches.alone
    if choice.guessed:
        notes.append(
            f"The names don't say it, so {choice.input.name} is taken for the input "
            f"and {choice.target.name} for the target."
        )
    if choice.cost_map is not None:
        matches = match_kinds(choice.input, choice.cost_map)
        cost_files = list(choice.cost_map.files.values())
        rows, cost_notes, alone = with_cost_maps(rows, cost_files, matches)
        notes += cost_notes
        unmatched += alone
    used = (choice.input, choice.target, choice.cost_map)
    left = [kind for kind in kinds if kind not in used]
    several = [kind for kind in left if len(kind.files) > 1]
    if several:
        sizes = [f"{kind.name} ({len(kind.files)} files)" for kind in several]
        notes.append(f"Left out: {listed(sizes)}.")
    unmatched += tuple(
        path for kind in left if kind not in several for path in kind.files.values()
    )
    used_names = [kind.name for kind in used if kind is not None]
    return ImageTable(
        tuple(rows), f"files {listed(used_names)}", tuple(notes), unmatched
    )


def named_table(
    files: Sequence[Path],
    folder: Path,
    target: TargetKind,
    names: Mapping[str, str],
) -> ImageTable:
    """Return the table of the kinds that a user chose by their names."""
    kinds = find_kinds(files, target)
    by_name = {kind.name: kind for kind in kinds}
    unknown = [name for name in names.values() if name not in by_name]
    if unknown:
        raise DataError(
            f"No files in {folder} show {unknown[0]!r}: choose from "
            f"{', '.join(by_name) or 'other folders'}."
        )
    source, goal = by_name[names["input"]], by_name[names["target"]]
    matches = match_kinds(source, goal)
    if not matches.pairs:
        raise DataError(
            f"The files of {source.name} don't pair with those of {goal.name}: give "
            "partners the same number or name."
        )
    cost_map = by_name[names["cost_map"]] if "cost_map" in names else None
    return _chosen_table(Choice(source, goal, matches, cost_map), kinds)
