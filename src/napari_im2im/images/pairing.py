"""Which input image belongs to which target image."""

from __future__ import annotations

import os
import re
from collections import Counter
from glob import glob
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

from napari_im2im.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_Key = tuple[str, ...]
_NAMED_AT_MOST = 5


def pair_files(
    inputs: Sequence[str], targets: Sequence[str]
) -> list[tuple[Path, Path]]:
    """Pair input files with target files by their names.

    Names are cut into words and numbers. Those that all inputs have in common,
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
    input_paths, target_paths = _expand(inputs, "input"), _expand(targets, "target")
    both = sorted(set(input_paths) & set(target_paths))
    if both:
        raise DataError(
            f"{both[0]} is an input and a target: name files that differ on both sides."
        )
    if len(input_paths) == len(target_paths) == 1:
        return [(input_paths[0], target_paths[0])]
    keyed_inputs, keyed_targets = _by_key(input_paths), _by_key(target_paths)
    counts = len(input_paths), len(target_paths)
    unique = counts == (len(keyed_inputs), len(keyed_targets))
    if unique and keyed_inputs.keys() & keyed_targets.keys():
        _refuse_lonely(keyed_inputs, keyed_targets)
        return [(path, keyed_targets[key]) for key, path in keyed_inputs.items()]
    if counts[0] != counts[1]:
        raise DataError(
            f"{counts[0]} inputs don't pair with {counts[1]} targets: give partners "
            "the same number or name, or name as many of both."
        )
    return list(zip(input_paths, target_paths, strict=True))


def _refuse_lonely(inputs: Mapping[_Key, Path], targets: Mapping[_Key, Path]) -> None:
    lonely = [path.name for key, path in inputs.items() if key not in targets]
    lonely += [path.name for key, path in targets.items() if key not in inputs]
    if lonely:
        more = len(lonely) - _NAMED_AT_MOST
        raise DataError(
            f"{len(lonely)} files have no partner: {', '.join(lonely[:_NAMED_AT_MOST])}"
            f"{f' and {more} more' if more > 0 else ''}; give partners the same number "
            "or name, or leave these out."
        )


def _expand(patterns: Sequence[str], side: str) -> list[Path]:
    """Return the files of all patterns, each once, in natural order."""
    paths: set[Path] = set()
    for pattern in patterns:
        expanded = os.path.expanduser(pattern)
        found = [Path(expanded)] if Path(expanded).exists() else []
        found = found or [Path(name) for name in glob(expanded, recursive=True)]
        if not found:
            raise DataError(
                f"No {side} file matches {pattern}: check the folder and the name."
            )
        for path in found:
            paths.update(_files_in(path) if _is_plain_folder(path) else [path])
    if not paths:
        raise DataError(f"There are no {side} files: name at least one.")
    return sorted(paths, key=lambda path: _words(str(path)))


def _is_plain_folder(path: Path) -> bool:
    marks = ("zarr.json", ".zgroup", ".zarray")
    return path.is_dir() and not any((path / mark).exists() for mark in marks)


def _files_in(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and not _is_plain_folder(path)
    ]


def _words(name: str) -> _Key:
    """Cut a name into words and numbers, which sort and compare by their value."""
    words = re.findall(r"[^\W\d_]+|\d+", name.lower())
    return tuple(w.lstrip("0").zfill(20) if w.isdecimal() else w for w in words)


def _by_key(paths: Sequence[Path]) -> dict[_Key, Path]:
    """Return the files of one side by what tells them apart."""
    if len(paths) == 1:
        return {_words(_stem(paths[0].name)): paths[0]}
    root = os.path.commonpath([path.parent for path in paths])
    words = [_words(_stem(os.path.relpath(path, root))) for path in paths]
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


def _stem(name: str) -> str:
    return os.path.splitext(name)[0].removesuffix(".ome")
