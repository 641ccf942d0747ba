"""Which files are read together: inputs, targets, cost map and part of the split."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from napari_im2im.errors import DataError
from napari_im2im.images.folders.pairing import named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.images.folders.pairing import Matches

Part = Literal["train", "val", "test"]
"""Files to learn from, to judge by while learning, and to leave alone."""

_COLUMNS = ("input", "target", "cost_map", "split", "group")
_JOINED_BY = ";"
"""Between files in a cell whose channels are read together."""


@dataclass(frozen=True)
class TableRow:
    """The files of one sample.

    Parameters
    ----------
    inputs
        One or more files whose channels are read together. None: the targets are
        images of another set, which belong to no input.
    targets
        The same for the target. None: the target is in the input's own channels,
        or the task needs none.
    cost_map
        Weights of the pixels.
    part
        What the file is for, where its folder or table says so.
    group
        Rows of one group are learned or held out together.
    """

    inputs: tuple[Path, ...]
    targets: tuple[Path, ...] = ()
    cost_map: Path | None = None
    part: Part | None = None
    group: str | None = None


@dataclass(frozen=True)
class ImageTable:
    """The rows of a data set, and what to say of them.

    Parameters
    ----------
    rows
        The samples, in natural order of their names.
    layout
        What was recognised, e.g. ``"folders IM and GT"``.
    notes
        Sentences on what was assumed or left out.
    unmatched
        Image files without a partner.
    """

    rows: tuple[TableRow, ...]
    layout: str
    notes: tuple[str, ...] = ()
    unmatched: tuple[Path, ...] = ()


def read_table(
    path: Path, *, paired: bool = True, part: Part | None = None
) -> ImageTable:
    """Read a CSV file of paths.

    Parameters
    ----------
    path
        Its first line names columns: ``input``, and as needed ``target``,
        ``cost_map``, ``split`` (``train``, ``val`` or ``test``) and ``group``.
        Paths start at the folder of the table; several in a cell, with ``;``
        between them, are read together as channels.
    paired
        Whether each row needs an input; else it may have a target alone.
    part
        What the rows are for that are wanted; default: all.

    Raises
    ------
    DataError
        If the table can't be read, or names what isn't there.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or ()
            records = [row for row in reader if any(row.values())]
    except OSError as error:
        raise DataError(
            f"The table {path} can't be read ({error.strerror}): check its name, and "
            "whether you may read it."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"The table {path} can't be read ({error}): save it as CSV in UTF-8."
        ) from error
    unknown = [name for name in names if name not in _COLUMNS]
    if "input" not in names or unknown:
        raise DataError(
            f"The first line of {path.name} is {','.join(names) or 'empty'}: name the "
            f"columns {', '.join(_COLUMNS)}, of which input is needed."
        )
    if not records:
        raise DataError(f"{path.name} has no rows: add a line for each image.")
    rows = [
        _row(record, path, line)
        for line, record in enumerate(records, 2)
        if part is None or _part_of(record) == part
    ]
    lonely = [i for i, row in enumerate(rows, 2) if not row.inputs]
    if paired and lonely:
        raise DataError(
            f"Line {lonely[0]} of {path.name} names no input: name one, or remove the "
            "line."
        )
    return ImageTable(tuple(rows), f"table {path.name}")


def _row(record: Mapping[str, str | None], table: Path, line: int) -> TableRow:
    def files(column: str) -> tuple[Path, ...]:
        names = (record.get(column) or "").split(_JOINED_BY)
        return tuple(
            table.parent / Path(name.strip()).expanduser()
            for name in names
            if name.strip()
        )

    inputs, targets, cost_maps = (files(c) for c in ("input", "target", "cost_map"))
    missing = [p for p in (*inputs, *targets, *cost_maps) if not _exists(p)]
    part = _part_of(record)
    where = f"Line {line} of {table.name}"
    if missing:
        raise DataError(
            f"{where} names {missing[0]}, which isn't there: put it back, or "
            "correct the path."
        )
    if not inputs and not targets:
        raise DataError(f"{where} names no images: name some, or remove the line.")
    if len(cost_maps) > 1:
        raise DataError(f"{where} names {len(cost_maps)} cost maps: name one.")
    if part and part not in get_args(Part):
        raise DataError(f"{where} has the split {part!r}: write train, val or test.")
    return TableRow(
        inputs,
        targets,
        cost_maps[0] if cost_maps else None,
        part or None,  # type: ignore[arg-type]
        record.get("group") or None,
    )


def _part_of(record: Mapping[str, str | None]) -> str:
    return (record.get("split") or "").strip().lower()


def _exists(path: Path) -> bool:
    # The path of an image in an HDF5 file goes on behind the file.
    return path.exists() or any(p.is_file() for p in path.parents)


def format_table(rows: Sequence[TableRow]) -> str:
    """Return rows as CSV that `read_table` reads; paths are absolute."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for row in rows:
        cells = (row.inputs, row.targets, (row.cost_map,) if row.cost_map else ())
        joined = [_JOINED_BY.join(str(p.absolute()) for p in c) for c in cells]
        writer.writerow([*joined, row.part or "", row.group or ""])
    return text.getvalue()


def targetless(files: Sequence[Path], folder: Path) -> ImageTable:
    """Return a table of images that are learned from without a target."""
    return ImageTable(
        tuple(TableRow((path,)) for path in files),
        f"{len(files)} image{'s' if len(files) != 1 else ''} in {folder.name}",
    )


def with_cost_maps(
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
