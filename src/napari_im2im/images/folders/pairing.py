"""Which input image belongs to which target image."""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

from napari_im2im.errors import DataError
from napari_im2im.images.folders.collections import is_store
from napari_im2im.images.formats.suffixes import is_image_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_Key = tuple[str, ...]
_NAMED_AT_MOST = 5


def pair_files(
    inputs: Sequence[str], targets: Sequence[str]
) -> list[tuple[Path, Path]]:
    """Pair input files with target files by their names.

    Files of the same name belong together. Where none have, names are cut into
    words and numbers. Those that all inputs have in common,
    and those that all targets have in common (``brightfield``, ``gfp``), say
    what the files show and are left out; what remains says which sample it is,
    and must be equal. If no name pairs that way, files pair in their order,
    given that there are as many inputs as targets.

    Parameters
    ----------
    inputs, targets
        Paths or glob patterns (``**`` searches sub-folders). A folder stands
        for the files in it.

    Returns
    -------
    list of tuple of Path
        Input and target, ordered by the inputs' names.

    Raises
    ------
    DataError
        If there are no files, a file is on both sides, or files have no
        partner, which are named.
    """
    input_paths, target_paths = (
        expand_patterns(inputs, "input"),
        expand_patterns(targets, "target"),
    )
    both = sorted(set(input_paths) & set(target_paths))
    if both:
        raise DataError(
            f"{both[0]} is an input and a target: name files that differ on both sides."
        )
    matches = match_files(input_paths, target_paths)
    if not matches.pairs:
        raise DataError(
            f"{len(input_paths)} inputs don't pair with {len(target_paths)} targets: "
            "give partners the same number or name, or name as many of both."
        )
    refuse_lonely(matches)
    return list(matches.pairs)


@dataclass(frozen=True)
class Matches:
    """Files that belong together, and those that are alone.

    ``by_order`` says that names didn't tell, so that files pair in their order.
    """

    pairs: tuple[tuple[Path, Path], ...]
    alone: tuple[Path, ...] = ()
    by_order: bool = False


def match_files(inputs: Sequence[Path], targets: Sequence[Path]) -> Matches:
    """Match files of two sides by their names as `pair_files` does.

    Parameters
    ----------
    inputs, targets
        Files in their order.

    Returns
    -------
    Matches
        No pairs where neither names nor numbers of files agree.
    """
    if len(inputs) == len(targets) == 1:
        return Matches(((inputs[0], targets[0]),))
    for key_of in (_by_stem, _by_key):
        by_input, by_target = key_of(inputs), key_of(targets)
        unique = (len(inputs), len(targets)) == (len(by_input), len(by_target))
        shared = [key for key in by_input if key in by_target]
        if unique and shared:
            alone = [path for key, path in by_input.items() if key not in by_target]
            alone += [path for key, path in by_target.items() if key not in by_input]
            return Matches(
                tuple((by_input[key], by_target[key]) for key in shared), tuple(alone)
            )
    if len(inputs) != len(targets):
        return Matches((), (*inputs, *targets))
    return Matches(tuple(zip(inputs, targets, strict=True)), by_order=True)


def refuse_lonely(matches: Matches) -> None:
    """Raise a `DataError` that names the files without a partner, if there are."""
    if matches.alone:
        files = "file has" if len(matches.alone) == 1 else "files have"
        raise DataError(
            f"{len(matches.alone)} {files} no partner: {named(matches.alone)}; give "
            "partners the same number or name, or leave these out."
        )


def named(paths: Sequence[Path]) -> str:
    """Return the names of the first few files, and how many more there are."""
    names = ", ".join(path.name for path in paths[:_NAMED_AT_MOST])
    more = len(paths) - _NAMED_AT_MOST
    return f"{names} and {more} more" if more > 0 else names


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence has them: ``a, b and c``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def folders_and_images(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the sub-folders and the images of a folder, in natural order.

    Raises
    ------
    DataError
        If it can't be read, or holds neither.
    """
    with _refusals(folder):
        # A folder that is a Zarr store is an image, and lists nothing.
        if not is_plain_folder(folder):
            if folder.is_dir():
                return [], [folder]
            raise DataError(f"There is no folder {folder}: check its name.")
        inside = sorted(folder.iterdir(), key=natural_order)
        files = [f for f in files_in(folder) if is_image_name(f) or f.is_dir()]
        shown = [f for f in inside if not f.name.startswith(".")]
        folders = [f for f in shown if is_plain_folder(f)]
    if not folders and not files:
        raise DataError(
            f"The folder {folder} holds no images: choose the folder that does."
        )
    return folders, sorted(files, key=natural_order)


def expand_patterns(patterns: Sequence[str], side: str) -> list[Path]:
    """Return the files of all patterns, each once, in natural order.

    Parameters
    ----------
    patterns
        Paths or glob patterns; a folder stands for the files in it.
    side
        What the files are, for the sentence of an error.

    Raises
    ------
    DataError
        If a pattern matches nothing, or a folder can't be read.
    """
    paths: set[Path] = set()
    for pattern in patterns:
        expanded = os.path.expanduser(pattern)
        found = [Path(expanded)] if os.path.exists(expanded) else []
        found = found or [Path(name) for name in glob(expanded, recursive=True)]
        with _refusals(Path(expanded)):
            if not found:
                # What can't be read matches nothing, without a word.
                next(_nearest_folder(Path(expanded)).iterdir(), None)
                raise DataError(
                    f"No {side} file matches {pattern}: check the folder and the name."
                )
            for path in found:
                paths.update(files_in(path) if is_plain_folder(path) else [path])
    if not paths:
        raise DataError(f"There are no {side} files: name at least one.")
    return sorted(paths, key=natural_order)


def _nearest_folder(path: Path) -> Path:
    """Return the folder that is there, of those that a path or pattern names."""
    return next(p for p in path.absolute().parents if os.path.isdir(p))


@contextmanager
def _refusals(place: Path) -> Iterator[None]:
    """Name the folder or file below a place that the system lets nobody read.

    Raises
    ------
    DataError
        For any `OSError` inside the block.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{error.filename or place} can't be read ({error.strerror}): ask for the "
            "right to read it, or choose another."
        ) from error


def natural_order(path: Path) -> _Key:
    """Return what sorts paths by the value of the numbers in them."""
    return _words(str(path))


def is_plain_folder(path: Path) -> bool:
    """Return whether a path is a folder, but no Zarr store."""
    return path.is_dir() and not is_store(path)


def files_in(folder: Path) -> list[Path]:
    """Return the files and Zarr stores of a folder that aren't hidden."""
    return [
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and not is_plain_folder(path)
    ]


def _words(name: str) -> _Key:
    """Cut a name into words and numbers, which sort and compare by their value."""
    words = re.findall(r"[^\W\d_]+|\d+", name.lower())
    return tuple(w.lstrip("0").zfill(20) if w.isdecimal() else w for w in words)


def _by_stem(paths: Sequence[Path]) -> dict[_Key, Path]:
    return {(stem(path.name),): path for path in paths}


def _by_key(paths: Sequence[Path]) -> dict[_Key, Path]:
    """Return the files of one side by what tells them apart."""
    if len(paths) == 1:
        return {_words(stem(paths[0].name)): paths[0]}
    root = os.path.commonpath([path.parent for path in paths])
    words = [_words(stem(os.path.relpath(path, root))) for path in paths]
    if len(set(map(len, words))) == 1:
        differing = [len(set(at)) > 1 for at in zip(*words, strict=True)]
        keys = [tuple(compress(name, differing)) for name in words]
    else:
        common = Counter(words[0])
        for name in words[1:]:
            common &= Counter(name)
        keys = [_without(name, common) for name in words]
    return dict(zip(keys, paths, strict=True))


def _without(words: _Key, common: Counter[str]) -> _Key:
    left = common.copy()
    kept = []
    for word in words:
        if left[word]:
            left[word] -= 1
        else:
            kept.append(word)
    return tuple(kept)


def stem(name: str) -> str:
    """Return the name of a file without its suffix."""
    return os.path.splitext(name)[0].removesuffix(".ome")
