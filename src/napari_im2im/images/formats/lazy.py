"""Arrays in files that are opened when they are read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_im2im.images.image import ArrayLike

_OPEN_FILES = 16


class DamagedPixelsError(ImageError):
    """Pixels of a file can't be read; others may be."""


@dataclass(frozen=True)
class FileArray:
    """An array in a file that is only open while it is in use.

    A folder of thousands of images can be held this way: the files used last
    stay open, `_OPEN_FILES` of them in the process. Safe to read in threads and
    to send to other processes.

    Parameters
    ----------
    opener
        Function of a module that is called with ``path`` and ``part`` and
        returns the array; whatever it holds open closes with that array.
    path
        The file.
    modified
        When the file was last changed, in ns: a changed file is opened anew.
    part
        Which array of the file.
    shape
        Size along each axis.
    dtype
        Data type of the pixels.
    chunks
        Size of the blocks that the file is read in, if it is known.
    """

    opener: Callable[[Path, Any], ArrayLike]
    path: Path
    modified: int
    part: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...] | None = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read pixels.

        Raises
        ------
        ImageError
            If the file is gone; `DamagedPixelsError` if these pixels are damaged.
        """
        try:
            opened = _opened(self)
        except (OSError, ValueError, RuntimeError) as error:
            raise ImageError(self._unreadable(error)) from error
        try:
            return np.asarray(opened[key])
        except (OSError, ValueError, RuntimeError) as error:
            raise DamagedPixelsError(self._unreadable(error)) from error

    def _unreadable(self, error: Exception) -> str:
        return (
            f"The pixels of {self.path.name} can't be read ({error}): check that the "
            "file is there and complete."
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[...], dtype=dtype)


def file_array(
    opener: Callable[[Path, Any], ArrayLike], path: Path, part: Any
) -> FileArray:
    """Return an array of a file, see `FileArray`."""
    modified = path.stat().st_mtime_ns
    array = opener(path, part)
    chunks = getattr(array, "chunks", None)
    return FileArray(
        opener, path, modified, part, tuple(array.shape), np.dtype(array.dtype), chunks
    )


_cache: OrderedDict[tuple[Any, ...], ArrayLike] = OrderedDict()
_lock = threading.Lock()


def _opened(array: FileArray) -> ArrayLike:
    key = (array.opener, array.path, array.modified, array.part)
    with _lock:
        opened = _cache.pop(key, None)
        if opened is None:
            opened = array.opener(array.path, array.part)
            if tuple(opened.shape) != array.shape:
                raise changed(array.path)
        _cache[key] = opened
        while len(_cache) > _OPEN_FILES:
            _cache.popitem(last=False)
    return opened


def changed(path: Path) -> ImageError:
    """Return the error of a file that isn't the one any more that was opened."""
    return ImageError(
        f"{path.name} was changed after it was opened: wait until nobody writes to it, "
        "then start again."
    )
