"""Files named by patterns, and what they make together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_im2im.errors import DataError
from napari_im2im.images.folders.pairing import (
    expand_patterns,
    match_files,
    refuse_lonely,
)
from napari_im2im.images.folders.tables import ImageTable, TableRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_JOINED_BY = " + "
"""Between patterns whose files are read together, as channels."""


def table_of_patterns(
    inputs: Sequence[str], targets: Sequence[str], cost_maps: Sequence[str] = ()
) -> ImageTable:
    """Return what the files of patterns make together.

    Parameters
    ----------
    inputs, targets, cost_maps
        Paths or glob patterns; a folder stands for the files in it. Patterns with
        `` + `` between them (``a/*_gfp.tif + a/*_rfp.tif``) are read together, as
        channels. Without targets every row has inputs alone.

    Raises
    ------
    DataError
        If files are missing or don't pair.
    """
    notes: list[str] = []
    sources = _joined_files(inputs, "input", notes)
    if not targets:
        rows = [TableRow(files) for files in sources]
    else:
        goals = {files[0]: files for files in _joined_files(targets, "target", notes)}
        by_first = {files[0]: files for files in sources}
        both = sorted(set(by_first) & set(goals))
        if both and len(goals) > 1:
            raise DataError(
                f"{both[0]} is an input and a target: name files that differ on both "
                "sides."
            )
        pairs = _paired([*by_first], [*goals], "inputs", "targets", notes)
        rows = [TableRow(by_first[one], goals[other]) for one, other in pairs]
    if cost_maps:
        costs = expand_patterns(cost_maps, "cost map")
        costs_by_input = dict(
            _paired(
                [row.inputs[0] for row in rows], costs, "inputs", "cost maps", notes
            )
        )
        rows = [replace(r, cost_map=costs_by_input[r.inputs[0]]) for r in rows]
    return ImageTable(tuple(rows), "files matched by name", tuple(notes))


def _joined_files(
    patterns: Sequence[str], side: str, notes: list[str]
) -> list[tuple[Path, ...]]:
    """Return the files of each row on one side."""
    plain = [p for p in patterns if _JOINED_BY not in p]
    rows: list[tuple[Path, ...]] = []
    if plain:
        rows += [(path,) for path in expand_patterns(plain, side)]
    for pattern in (p for p in patterns if _JOINED_BY in p):
        first, *others = (
            expand_patterns([part.strip()], side) for part in pattern.split(_JOINED_BY)
        )
        sets: list[tuple[Path, ...]] = [(path,) for path in first]
        for files in others:
            partner = dict(_paired(first, files, f"{side}s", f"{side}s", notes))
            sets = [(*one, partner[one[0]]) for one in sets]
        rows += sets
    return rows


def _paired(
    ones: Sequence[Path],
    others: Sequence[Path],
    one: str,
    other: str,
    notes: list[str],
) -> Sequence[tuple[Path, Path]]:
    matches = match_files(ones, others)
    if not matches.pairs:
        raise DataError(
            f"{len(ones)} {one} don't pair with {len(others)} {other}: give partners "
            "the same number or name, or name as many of both."
        )
    refuse_lonely(matches)
    if matches.by_order:
        notes.append(
            f"The names of {one} and {other} don't tell what belongs together: files "
            "pair in their order."
        )
    return matches.pairs
