"""Images that belong together, from files or from memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_im2im.errors import DataError
from napari_im2im.images.stacking import stack_channels
from napari_im2im.training.data.groups import find_groups
from napari_im2im.training.data.splitting import choose_test, units_of
from napari_im2im.training.tasks.catalogue import TASKS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_im2im.images.folders.tables import ImageTable, Part, TableRow
    from napari_im2im.images.image import Image
    from napari_im2im.training.config import TrainConfig

Pair = tuple["Image", "Image"] | tuple["Image", "Image", "Image | None"]
"""Input, target and perhaps a cost map."""


@dataclass(frozen=True)
class Example:
    """An input, its target and what else is known of them.

    Parameters
    ----------
    input, target
        The same image where the task needs no target.
    cost_map
        How much each pixel counts; None: all alike.
    part
        What it is for, where files or a table say so.
    group
        Examples of one group are learned or held out together.
    row
        The files that it was opened from.
    """

    input: Image
    target: Image
    cost_map: Image | None = None
    part: Part | None = None
    group: str | None = None
    row: TableRow | None = None

    @property
    def name(self) -> str:
        """Name of the input."""
        return self.input.name


@dataclass(frozen=True)
class ExampleSet:
    """What there is to learn from and to judge by.

    Parameters
    ----------
    examples
        Without those that are left alone for a test.
    test
        The files of these; they are not even opened.
    left_alone
        These, where they were open already.
    notes
        What was assumed, and what is left out, in sentences.
    """

    examples: tuple[Example, ...]
    test: tuple[TableRow, ...] = ()
    left_alone: tuple[Example, ...] = ()
    notes: tuple[str, ...] = ()


def collect(pairs: Sequence[Pair | Example], config: TrainConfig) -> ExampleSet:
    """Return examples of open images, less those that are drawn for a test.

    Raises
    ------
    DataError
        If groups can't be told, or too little is left.
    """
    examples = [p if isinstance(p, Example) else Example(*p) for p in pairs]
    if not TASKS[config.task].paired:
        examples = [replace(example, target=example.input) for example in examples]
    names = [example.name for example in examples]
    groups = _groups(names, [example.group for example in examples], config)
    test, text = choose_test(
        units_of(names, groups), config.data.test_fraction, config.seed
    )
    drawn = sorted(i for unit in test for i in unit.members)
    kept = [
        replace(example, group=groups[i])
        for i, example in enumerate(examples)
        if i not in drawn
    ]
    left_alone = tuple(examples[i] for i in drawn)
    notes = (text,) if text else ()
    return ExampleSet(tuple(kept), left_alone=left_alone, notes=notes)


def _groups(
    names: Sequence[str], known: Sequence[str | None], config: TrainConfig
) -> list[str | None]:
    pattern = config.data.group_pattern
    given = pattern is None and None not in known
    if config.data.split_by != "group" or given:
        return list(known)
    return list(find_groups(names, pattern)[1])


def find_files(config: TrainConfig) -> ImageTable:
    """Find the files that a configuration names, and what belongs together.

    Raises
    ------
    DataError
        If there are none, or they don't pair.
    """
    from napari_im2im.images.folders.layouts import recognise_folder
    from napari_im2im.images.folders.patterns import table_of_patterns
    from napari_im2im.images.folders.tables import read_table

    data, target = config.data, TASKS[config.task].target
    if data.folder is not None:
        kinds = {str(kind): pattern for kind, pattern in data.kinds.items()}
        return recognise_folder(data.folder.expanduser(), target, kinds)
    if data.table is not None:
        return read_table(data.table.expanduser())
    if not data.inputs:
        raise DataError(
            "There are no images to learn from: name the input files in data.inputs "
            "and the target files in data.targets, a folder in data.folder, or hand "
            "over open images."
        )
    return table_of_patterns(data.inputs, data.targets, data.cost_maps)


def open_examples(config: TrainConfig, table: ImageTable | None = None) -> ExampleSet:
    """Open the files of a configuration, without reading their pixels.

    Parameters
    ----------
    config
        The job.
    table
        Its files; default: those that `find_files` finds.

    Raises
    ------
    DataError
        If files don't pair, or none are named.
    ImageError
        If a file can't be opened.
    """
    table = table or find_files(config)
    rows = [row for row in table.rows if row.part != "test"]
    test = [row for row in table.rows if row.part == "test"]
    names = [row.inputs[0].as_posix() for row in rows]
    groups = _groups(names, [row.group for row in rows], config)
    rows = [replace(r, group=g) for r, g in zip(rows, groups, strict=True)]
    notes = [*table.notes, *_unmatched(table)]
    free = [row for row in rows if row.part != "val"]
    units = units_of([row.inputs[0].name for row in free], [row.group for row in free])
    drawn, text = choose_test(units, config.data.test_fraction, config.seed)
    for i in sorted(i for unit in drawn for i in unit.members):
        rows.remove(free[i])
        test.append(replace(free[i], part="test"))
    if test:
        count = f"{len(test)} image{'s' if len(test) != 1 else ''}"
        notes.append(text or f"{count} of the test part left alone.")
    opened = _Opened(config)
    return ExampleSet(tuple(map(opened.example, rows)), tuple(test), notes=tuple(notes))


def open_rows(rows: Sequence[TableRow], config: TrainConfig) -> list[Example]:
    """Open the files of some rows, without reading their pixels.

    Raises
    ------
    DataError
        If a target is missing.
    ImageError
        If a file can't be opened.
    """
    return list(map(_Opened(config).example, rows))


def _unmatched(table: ImageTable) -> list[str]:
    from napari_im2im.images.folders.pairing import named

    if not table.unmatched:
        return []
    files = "file has" if len(table.unmatched) == 1 else "files have"
    return [
        f"{len(table.unmatched)} image {files} no partner: {named(table.unmatched)}."
    ]


class _Opened:
    """Opens each file once, however many rows name it."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config.data
        self._needs_target = TASKS[config.task].paired
        self._images: dict[tuple[Path, str | None], Image] = {}

    def example(self, row: TableRow) -> Example:
        """Return the images of a row."""
        source = self._stack(row.inputs, self._config.input_axes)
        if not self._needs_target:
            target = source
        elif row.targets:
            target = self._stack(row.targets, self._config.target_axes)
        elif self._config.target_channels is not None:
            # The target is in other channels of the input.
            target = replace(source)
        else:
            raise DataError(
                f"{source.name} has no target: name target files in data.targets, or "
                "its channels in data.input_channels and data.target_channels."
            )
        cost_map = self._open(row.cost_map) if row.cost_map is not None else None
        return Example(source, target, cost_map, row.part, row.group, row)

    def _stack(self, paths: Sequence[Path], axes: str | None) -> Image:
        return stack_channels([self._open(path, axes) for path in paths])

    def _open(self, path: Path, axes: str | None = None) -> Image:
        from napari_im2im.images.reading import open_image

        key = (path, axes)
        if key not in self._images:
            self._images[key] = open_image(path, axes=axes)
        return self._images[key]
