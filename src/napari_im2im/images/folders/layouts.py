"""How a folder of images is laid out: what is learned from what."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_im2im.errors import DataError
from napari_im2im.images.folders.collections import images_in, is_store
from napari_im2im.images.folders.kinds import (
    Choice,
    Kind,
    TargetKind,
    choose_kinds,
    find_kinds,
    match_kinds,
    role_of,
)
from napari_im2im.images.folders.pairing import (
    Matches,
    files_in,
    is_plain_folder,
    match_files,
    named,
    natural_order,
)
from napari_im2im.images.folders.tables import ImageTable, Part, TableRow
from napari_im2im.images.formats.suffixes import is_image_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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
        return _zarr_table([folder], f"OME-Zarr {folder.name}", target)
    if "train" in parts:
        return _parts_table(parts, target, kinds)
    if target == "none":
        everything = files or [f for one in folders for f in folders_and_images(one)[1]]
        return _targetless(everything, folder)
    by_role = _folders_by_role(folders, target)
    if by_role is not None:
        return _folders_table(*by_role)
    if not files and len(folders) == 1:
        return recognise_folder(folders[0], target, kinds)
    if kinds:
        return _named_table(files, folder, target, kinds)
    return _files_table(files, folder, target)


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


def folders_and_images(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the sub-folders and the images of a folder, in natural order."""
    try:
        # A folder that is a Zarr store is an image, and lists nothing.
        if not is_plain_folder(folder):
            if folder.is_dir():
                return [], [folder]
            raise DataError(f"There is no folder {folder}: check its name.")
        inside = sorted(folder.iterdir(), key=natural_order)
        files = [f for f in files_in(folder) if is_image_name(f) or f.is_dir()]
    except OSError as error:
        raise DataError(
            f"The folder {folder} can't be read ({error.strerror}): ask for the right "
            "to read it, or choose another."
        ) from error
    folders = [f for f in inside if is_plain_folder(f) and not f.name.startswith(".")]
    if not folders and not files:
        raise DataError(
            f"The folder {folder} holds no images: choose the folder that does."
        )
    return folders, sorted(files, key=natural_order)


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
        f"folders {_listed([path.name for path in parts.values()])}, each with "
        f"{tables['train'].layout}",
        tuple(notes),
        tuple(path for table in tables.values() for path in table.unmatched),
    )


def _targetless(files: Sequence[Path], folder: Path) -> ImageTable:
    return ImageTable(
        tuple(TableRow((path,)) for path in files),
        f"{len(files)} image{'s' if len(files) != 1 else ''} in {folder.name}",
    )


# -- sub-folders for inputs and targets -------------------------------------------


def _folders_by_role(
    folders: Sequence[Path], target: TargetKind
) -> tuple[Path, Path, Path | None] | None:
    """Return the folders of inputs, targets and cost maps, if there are."""
    roles: dict[str, Path] = {}
    for path in folders:
        roles.setdefault(role_of(path.name) or "", path)
    order = ("labels", "target") if target == "labels" else ("target", "labels")
    goal = next((roles[role] for role in order if role in roles), None)
    if goal is None or "input" not in roles:
        return None
    return roles["input"], goal, roles.get("cost_map")


def _folders_table(source: Path, goal: Path, cost_map: Path | None) -> ImageTable:
    layout = f"folders {_listed([f.name for f in (source, goal, cost_map) if f])}"
    folders, files = folders_and_images(source)
    if folders and not files:
        return _samples_table(source, goal, layout)
    targets = folders_and_images(goal)[1]
    matches = match_files(files, targets)
    if not matches.pairs:
        raise DataError(
            f"The {len(files)} images in {source} don't pair with the {len(targets)} "
            f"in {goal.name}: give partners the same name."
        )
    notes = [_by_order(source, goal)] if matches.by_order else []
    rows = [TableRow((one,), (other,)) for one, other in matches.pairs]
    unmatched = matches.alone
    if cost_map is not None:
        cost_files = folders_and_images(cost_map)[1]
        costs = match_files(files, cost_files)
        rows, cost_notes, alone = _with_cost_maps(rows, cost_files, costs)
        notes += cost_notes
        unmatched += alone
    return ImageTable(tuple(rows), layout, tuple(notes), unmatched)


def _by_order(source: Path, goal: Path) -> str:
    return (
        f"The names in {source.name} and {goal.name} don't tell what belongs together: "
        "files pair in their order."
    )


def _with_cost_maps(
    rows: Sequence[TableRow], cost_maps: Sequence[Path], costs: Matches
) -> tuple[list[TableRow], list[str], tuple[Path, ...]]:
    """Return rows with their cost maps, and what to say of those that have none."""
    by_input = {} if costs.by_order else dict(costs.pairs)
    found = [replace(row, cost_map=by_input.get(row.inputs[0])) for row in rows]
    without = [row.inputs[0] for row in found if row.cost_map is None]
    notes = []
    if without:
        notes.append(
            f"{len(without)} of {len(rows)} images have no cost map: in them every "
            f"pixel counts ({named(without)})."
        )
    return found, notes, tuple(path for path in costs.alone if path in cost_maps)


def _samples_table(source: Path, goal: Path, layout: str) -> ImageTable:
    """Pair folders of one target and one or more inputs for each sample."""
    inputs, targets = (
        {path.name: path for path in folders_and_images(side)[0]}
        for side in (source, goal)
    )
    alone = [path for name, path in inputs.items() if name not in targets]
    alone += [path for name, path in targets.items() if name not in inputs]
    rows, notes = [], []
    for name in (name for name in inputs if name in targets):
        sources, goals = (
            folders_and_images(inputs[name])[1],
            folders_and_images(targets[name])[1],
        )
        if len(goals) == 1:
            pairs = [(path, goals[0]) for path in sources]
        else:
            matches = match_files(sources, goals)
            pairs = [*matches.pairs]
            alone += matches.alone
            notes += [_by_order(inputs[name], targets[name])] * matches.by_order
        rows += [TableRow((one,), (other,), group=name) for one, other in pairs]
    if not rows:
        raise DataError(
            f"The folders in {source} have other names than those in {goal.name}: give "
            "the two folders of a sample the same name."
        )
    samples = len({row.group for row in rows})
    return ImageTable(
        tuple(rows),
        f"{layout} with {samples} samples, {len(rows)} inputs",
        tuple(notes),
        tuple(alone),
    )


# -- files in one folder -----------------------------------------------------------


def _files_table(files: Sequence[Path], folder: Path, target: TargetKind) -> ImageTable:
    kinds = find_kinds(files, target)
    choice = choose_kinds(kinds, target)
    if choice is not None:
        return _chosen_table(choice, kinds)
    stores = [path for path in files if path.is_dir()]
    if stores:
        table = _zarr_table(stores, f"OME-Zarr in {folder.name}", target)
        return replace(table, unmatched=tuple(f for f in files if f not in stores))
    if not files:
        raise DataError(
            f"The sub-folders of {folder} don't say what is learned from what: call "
            "them IM and GT, or name patterns."
        )
    if len(files) == 1:
        return _targetless(files, folder)
    shown = _listed([kind.name for kind in kinds[:6]])
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
        rows, cost_notes, alone = _with_cost_maps(rows, cost_files, matches)
        notes += cost_notes
        unmatched += alone
    used = (choice.input, choice.target, choice.cost_map)
    left = [kind for kind in kinds if kind not in used]
    several = [kind for kind in left if len(kind.files) > 1]
    if several:
        sizes = [f"{kind.name} ({len(kind.files)} files)" for kind in several]
        notes.append(f"Left out: {_listed(sizes)}.")
    unmatched += tuple(
        path for kind in left if kind not in several for path in kind.files.values()
    )
    used_names = [kind.name for kind in used if kind is not None]
    return ImageTable(
        tuple(rows), f"files {_listed(used_names)}", tuple(notes), unmatched
    )


def _named_table(
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


# -- OME-Zarr ----------------------------------------------------------------------


def _zarr_table(stores: Sequence[Path], layout: str, target: TargetKind) -> ImageTable:
    """Return a row for each image of the stores; labels in them may be the target."""
    rows: list[TableRow] = []
    without: list[Path] = []
    for store in stores:
        for image in [store / path for path in images_in(store)] or [store]:
            labels = _label_images(image) if target == "labels" else []
            # The fields of a well are one group.
            well = image.parent.relative_to(store.parent)
            group = well.as_posix() if image != store else None
            rows.append(TableRow((image,), tuple(labels[:1]), group=group))
            without += [image] if target == "labels" and not labels else []
    if without:
        raise DataError(
            f"{without[0]} has no labels: name files of labels as targets, or choose "
            "the task that predicts an image."
        )
    if not rows:
        raise DataError(f"{stores[0]} holds no image: choose another folder.")
    notes = []
    if target == "image":
        notes.append(
            "Input and target are channels of the same image: choose both with "
            "input_channels and target_channels."
        )
    fields = f", {len(rows)} images" if len(rows) > 1 else ""
    return ImageTable(tuple(rows), f"{layout}{fields}", tuple(notes))


def _label_images(image: Path) -> list[Path]:
    """Return the paths of the label images of an OME-Zarr image."""
    import zarr

    from napari_im2im.images.formats.ome_zarr_reading import ome_attributes

    labels = image / "labels"
    if not is_store(labels):
        return []
    group = zarr.open_group(labels, mode="r")
    return [labels / str(name) for name in ome_attributes(group).get("labels", ())]


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
