"""Telling whether pixels on disk are those that were read before."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from napari_im2im.images.formats.lazy import FileArray
from napari_im2im.images.view import ArrayView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_im2im.images.image import ArrayLike, Image


def identity(image: Image) -> str | None:
    """Return a text that is the same for the same part of the same unchanged file.

    Files count as unchanged while path, size and time of change stay; of a Zarr
    store all its files are looked at.

    Returns
    -------
    str or None
        64 hexadecimal digits; None for what isn't read from local files.
    """
    try:
        parts = _parts(image.data)
    except OSError:
        # Reading it will say what is wrong.
        parts = None
    if parts is None:
        return None
    text = repr((parts, image.axes, str(image.dtype)))
    return hashlib.sha256(text.encode()).hexdigest()


def _parts(data: ArrayLike) -> tuple[object, ...] | None:
    if isinstance(data, ArrayView):
        whole = _parts(data.whole)
        return None if whole is None else (whole, data.positions)
    if isinstance(data, FileArray):
        opener = f"{data.opener.__module__}.{data.opener.__qualname__}"
        path = data.path.absolute()
        return (opener, str(path), data.modified, path.stat().st_size, repr(data.part))
    root = getattr(getattr(data, "store", None), "root", None)
    if isinstance(root, Path) and root.is_dir():
        folder = root / str(getattr(data, "path", ""))
        return ("zarr", str(folder.absolute()), *_summary(folder))
    return None


def _summary(folder: Path) -> tuple[int, int, int]:
    """Return number, bytes and latest change (in ns) of the files in a folder."""
    count = size = latest = 0
    for status in _statuses(folder):
        count, size = count + 1, size + status.st_size
        latest = max(latest, status.st_mtime_ns)
    return count, size, latest


def _statuses(folder: str | Path) -> Iterator[os.stat_result]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _statuses(entry.path)
            else:
                yield entry.stat()
