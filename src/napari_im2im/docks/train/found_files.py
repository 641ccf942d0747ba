"""What lies under the names of files to learn from, and what to say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_im2im.docks.advice import Advice
from napari_im2im.errors import Im2ImError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from napari_im2im.images.folders.kinds import Kind
    from napari_im2im.images.folders.tables import ImageTable, TableRow
    from napari_im2im.training.data.config import DataConfig


@dataclass(frozen=True)
class Found:
    """What a look at the files found: a table, or why there is none.

    ``channels`` are those of the first input and of the first target; without target
    files, the channels to learn are among those of the input.
    """

    table: ImageTable | None
    kinds: tuple[Kind, ...] = ()
    problem: str = ""
    channels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def find(data: Mapping[str, Any], task: str) -> Generator[Found]:
    """Yield what is found under the names of a `DataConfig`."""
    # Imported here: it is only needed for files.
    from napari_im2im.images.folders.layouts import kinds_in
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.examples import find_files
    from napari_im2im.training.data.unpaired import find_sets, side_by_side
    from napari_im2im.training.tasks.catalogue import TASKS

    config = TrainConfig.model_validate({"data": data, "task": task})
    folder = config.data.folder
    kinds = () if folder is None else tuple(kinds_in(folder.expanduser()))
    try:
        if TASKS[config.task].two_sets:
            table = side_by_side(*find_sets(config))
        else:
            table = find_files(config)
        yield Found(table, kinds, channels=_channels(table.rows))
    except Im2ImError as error:
        yield Found(None, kinds, str(error))


def _channels(rows: Sequence[TableRow]) -> dict[str, tuple[str, ...]]:
    """Return the channels of the first input and target; of unreadable ones none."""
    from napari_im2im.images.reading import open_image
    from napari_im2im.images.stacking import stack_channels

    names = {}
    for row in rows[:1]:
        for role, paths in (
            ("input", row.inputs),
            ("target", row.targets or row.inputs),
        ):
            try:
                image = stack_channels([open_image(path) for path in paths])
            except Im2ImError:
                continue
            count = image.sizes.get("channel", 1)
            names[role] = image.channel_names or tuple(map(str, range(1, count + 1)))
    return names


def describe(table: ImageTable) -> list[Advice]:
    """Say what was found, and what is left out."""
    from napari_im2im.images.folders.pairing import named

    total = len(table.rows)
    samples = f"{total:,} sample{'s' if total != 1 else ''}"
    advice = [Advice(f"Learns from {samples}: {table.layout}.")]
    advice += [Advice(note) for note in table.notes]
    if table.unmatched:
        alone = len(table.unmatched)
        files = "image has" if alone == 1 else "images have"
        text = f"{alone} {files} no partner: {named(table.unmatched)}."
        advice.append(Advice(text, "warning"))
    return advice


def describe_two_sets(table: ImageTable) -> list[Advice]:
    """Say what is translated into the look of what."""
    text = f"What stands beside what says nothing: {table.layout}."
    return [Advice(text), *map(Advice, table.notes)]


def describe_split(rows: Sequence[TableRow], config: DataConfig) -> list[Advice]:
    """Say what judges while learning, and what is left for a test."""
    parts = [row.part for row in rows]
    learned = len(rows) - parts.count("test")
    test = parts.count("test") + round(config.test_fraction * learned)
    left = f"; {test:,} left for a test" * bool(test)
    if "val" in parts:
        text = f"{parts.count('val'):,} of them judge while learning, as given{left}."
    elif learned == 1:
        text = "One image only: validation uses a separate strip of the same image."
    elif not config.validation_fraction:
        text = f"None is held out: the model is judged by what it learned{left}."
    else:
        count = max(1, round(config.validation_fraction * learned))
        by = {"image": "", "group": ", as whole groups", "every_nth": ", evenly spaced"}
        text = f"About {count:,} held out for validation{by[config.split_by]}{left}."
    return [Advice(text)]
