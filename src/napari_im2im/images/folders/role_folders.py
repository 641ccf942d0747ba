"""Sub-folders for inputs, targets and cost maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_im2im.errors import DataError
from napari_im2im.images.folders.kinds import role_of
from napari_im2im.images.folders.pairing import (
    Matches,
    folders_and_images,
    listed,
    match_files,
)
from napari_im2im.images.folders.tables import ImageTable, TableRow, with_cost_maps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_im2im.images.folders.kinds import TargetKind


def folders_by_role(
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


def folders_table(source: Path, goal: Path, cost_map: Path | None) -> ImageTable:
    """Return what pairs in folders of inputs, targets and perhaps cost maps."""
    layout = f"folders {listed([f.name for f in (source, goal, cost_map) if f])}"
    folders, files = folders_and_images(source)
    if folders and not files:
        return _samples_table(source, goal, cost_map, layout)
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
        rows, cost_notes, alone = with_cost_maps(rows, cost_files, costs)
        notes += cost_notes
        unmatched += alone
    return ImageTable(tuple(rows), layout, tuple(notes), unmatched)


def _by_order(source: Path, goal: Path) -> str:
    return (
        f"The names in {source.name} and {goal.name} don't tell what belongs together: "
        "files pair in their order."
    )


def _samples_table(
    source: Path, goal: Path, cost_map: Path | None, layout: str
) -> ImageTable:
    """Pair folders of one target and one or more inputs for each sample."""
    inputs, targets, costs = (
        {path.name: path for path in folders_and_images(side)[0]} if side else {}
        for side in (source, goal, cost_map)
    )
    alone = [path for name, path in inputs.items() if name not in targets]
    others = [*targets.items(), *costs.items()]
    alone += [path for name, path in others if name not in inputs]
    rows: list[TableRow] = []
    notes: list[str] = []
    weighted: list[tuple[Path, Path]] = []
    for name in (name for name in inputs if name in targets):
        files = folders_and_images(inputs[name])[1]
        matches = _of_sample(files, folders_and_images(targets[name])[1])
        alone += matches.alone
        notes += [_by_order(inputs[name], targets[name])] * matches.by_order
        rows += [TableRow((one,), (other,), group=name) for one, other in matches.pairs]
        if name in costs:
            found = _of_sample(files, folders_and_images(costs[name])[1])
            weighted += () if found.by_order else found.pairs
    if not rows:
        raise DataError(
            f"The folders in {source} have other names than those in {goal.name}: give "
            "the two folders of a sample the same name."
        )
    if cost_map is not None:
        rows, cost_notes, _ = with_cost_maps(rows, (), Matches(tuple(weighted)))
        notes += cost_notes
    samples = len({row.group for row in rows})
    return ImageTable(
        tuple(rows),
        f"{layout} with {samples} samples, {len(rows)} inputs",
        tuple(notes),
        tuple(alone),
    )


def _of_sample(files: Sequence[Path], others: Sequence[Path]) -> Matches:
    """Match the inputs of a sample with the one that it has, or with as many."""
    if len(others) == 1:
        return Matches(tuple((path, others[0]) for path in files))
    return match_files(files, others)
