"""Which files a prediction reads, and where each result goes."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from napari_im2im.errors import ConfigError
from napari_im2im.images.folders.collections import image_files, images_in, is_store
from napari_im2im.inference.journal import journal_of
from napari_im2im.inference.outputs import named_paths
from napari_im2im.inference.rescaling import hidden_output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FILE_SUFFIXES = (
    ".ome.tiff",
    ".ome.tif",
    ".ome.zarr",
    ".tiff",
    ".tif",
    ".zarr",
    ".png",
)


@dataclass(frozen=True)
class PredictionTask:
    """One image for each input of a model, and where the result goes.

    Parameters
    ----------
    inputs
        The images.
    output
        What is written.
    names
        What tells the files of several outputs apart; empty for one output.
    group
        The plate, and the image in it, that the result becomes once it is
        complete; None for a file by itself. Each of several outputs becomes a
        plate, told apart by its name.
    """

    inputs: tuple[Path, ...]
    output: Path
    names: tuple[str, ...] = ()
    group: tuple[Path, str] | None = None

    @property
    def results(self) -> list[Path]:
        """Files that there are once it is complete."""
        if self.group is not None:
            return [plate / self.group[1] for plate in self.plates]
        return self.written

    @property
    def written(self) -> list[Path]:
        """Files that the prediction itself writes."""
        return named_paths(self.output, self.names or ("",))

    @property
    def plates(self) -> list[Path]:
        """Plates that its results belong to."""
        return [] if self.group is None else _plates(self.group[0], self.names)

    @property
    def begun(self) -> bool:
        """Whether it was interrupted, maybe in the pixels of the model."""
        outputs = (self.output, hidden_output(self.output))
        return any(journal_of(output).exists() for output in outputs)

    @property
    def complete(self) -> bool:
        """Whether all its results are there."""
        return not self.begun and all(path.exists() for path in self.results)


@dataclass(frozen=True)
class _Found:
    """An image, the folder that its result's place is relative to, and its plate."""

    path: Path
    root: Path
    plate: Path | None = None


def plan_predictions(
    patterns: Sequence[str],
    model_inputs: int,
    output: Path | None,
    model_name: str,
    output_names: Sequence[str] = (),
) -> list[PredictionTask]:
    """Return what is to be predicted.

    Parameters
    ----------
    patterns
        Files, glob patterns, folders (with all that is below them), or plates of
        OME-Zarr: any number for a model with one input, else one for each input,
        which match equally many images.
    model_inputs
        Number of inputs of the model.
    output
        File for one image; folder for several, whose tree mirrors that of the
        images; None for beside the images.
    model_name
        Name of the model, part of the names of the results.
    output_names
        Names of the model's outputs where it has several.

    Raises
    ------
    ConfigError
        If a pattern matches nothing, or inputs and patterns don't fit together.
    """
    groups = _grouped([_matches(pattern) for pattern in patterns], model_inputs)
    names = tuple(output_names) if len(output_names) > 1 else ()
    is_file = output is not None and output.name.lower().endswith(_FILE_SUFFIXES)
    plates = {group[0].plate for group in groups}
    if output is not None and is_file and plates == {None}:
        if len(groups) > 1:
            raise ConfigError(
                f"{len(groups)} images can't all go to {output}: name a folder."
            )
        return [PredictionTask(tuple(f.path for f in groups[0]), output, names)]
    if is_file and len(plates) > 1:
        raise ConfigError(
            f"Several plates or images can't all go to {output}: name a folder."
        )
    slug = "-".join(model_name.lower().split())
    root = Path(os.path.commonpath([group[0].root.absolute() for group in groups]))
    tasks = []
    for group in groups:
        first = group[0]
        paths = tuple(found.path for found in group)
        if first.plate is not None:
            place = output if is_file else None
            tasks.append(_in_plate(first, paths, place, output, root, slug, names))
        else:
            tasks.append(_by_itself(first, paths, output, root, slug, names))
    return _apart(_without_results(tasks))


def _matches(pattern: str) -> list[_Found]:
    """Return the images of a pattern, in order."""
    expanded = os.path.expanduser(pattern)
    if has_magic(expanded) and not Path(expanded).exists():
        parts = Path(expanded).parts
        fixed = next(i for i, part in enumerate(parts) if has_magic(part))
        root = Path(*parts[:fixed])
        paths = [Path(name) for name in sorted(glob(expanded, recursive=True))]
        # A folder in the midst of files belongs to a pattern with **.
        paths = [path for path in paths if path.is_file() or is_store(path)]
    else:
        path = Path(expanded)
        folder = path.is_dir() and not is_store(path)
        root = path if folder else path.parent
        paths = list(image_files(path)) if folder else [path]
        paths = [path for path in paths if folder or _exists(path)]
    found = [image for path in paths for image in _images(path, root)]
    if not found:
        raise ConfigError(f"No file matches {pattern}: check the folder and the name.")
    return found


def _exists(path: Path) -> bool:
    """Return whether there is a file, or one that the path goes on into."""
    return path.exists() or any(parent.is_file() for parent in path.parents)


def _images(path: Path, root: Path) -> Iterator[_Found]:
    inside = images_in(path)
    if not inside:
        yield _Found(path, root)
    for image in inside:
        yield _Found(path / image, root, path)


def _grouped(found: list[list[_Found]], model_inputs: int) -> list[tuple[_Found, ...]]:
    """Return one image for each input of the model, for each prediction."""
    if model_inputs == 1:
        columns = [[image for images in found for image in images]]
    elif len(found) == model_inputs:
        columns = found
    else:
        raise ConfigError(
            f"This model reads {model_inputs} images at once: name {model_inputs} "
            f"--inputs, not {len(found)}."
        )
    counts = [len(column) for column in columns]
    if len(set(counts)) > 1:
        raise ConfigError(
            f"The inputs match {' and '.join(map(str, counts))} files; they must match "
            "equally many."
        )
    return list(zip(*columns, strict=True))


def _by_itself(
    first: _Found,
    paths: tuple[Path, ...],
    output: Path | None,
    root: Path,
    slug: str,
    names: tuple[str, ...],
) -> PredictionTask:
    path = first.path
    folder = _mirrored(path.parent, output, root)
    suffix = ".ome.zarr" if is_store(path) else ".ome.tif"
    return PredictionTask(paths, folder / f"{_stem(path)}_{slug}{suffix}", names)


def _in_plate(
    first: _Found,
    paths: tuple[Path, ...],
    place: Path | None,
    output: Path | None,
    root: Path,
    slug: str,
    names: tuple[str, ...],
) -> PredictionTask:
    plate = first.plate
    assert plate is not None
    if place is None:
        folder = _mirrored(plate.parent, output, root)
        place = folder / f"{_stem(plate)}_{slug}.ome.zarr"
    image = first.path.relative_to(plate).as_posix()
    # A path in a plate has no suffix, which an output needs while it is written.
    folder = (_plates(place, names)[0] / image).parent
    written = folder / f"{first.path.name}.zarr"
    return PredictionTask(paths, written, names, (place, image))


def _plates(place: Path, names: tuple[str, ...]) -> list[Path]:
    """Return a plate for each of several outputs, or the only one."""
    return named_paths(place, names or ("",))


def _mirrored(folder: Path, output: Path | None, root: Path) -> Path:
    if output is None:
        return folder
    return output / os.path.relpath(folder.absolute(), root)


def _stem(path: Path) -> str:
    for suffix in _FILE_SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem


def _without_results(tasks: list[PredictionTask]) -> list[PredictionTask]:
    """Leave out what an earlier prediction wrote into the folders that are read."""
    results = {result.absolute() for task in tasks for result in task.results}
    return [task for task in tasks if task.inputs[0].absolute() not in results]


def _apart(tasks: list[PredictionTask]) -> list[PredictionTask]:
    """Name results after the whole file name where two would have one name."""
    counts = Counter(task.output for task in tasks)
    return [
        replace(task, output=_longer(task)) if counts[task.output] > 1 else task
        for task in tasks
    ]


def _longer(task: PredictionTask) -> Path:
    name = task.inputs[0].name
    rest = task.output.name.removeprefix(_stem(task.inputs[0]))
    return task.output.with_name(f"{name.replace('.', '-')}{rest}")
