"""Decoded images on disk, from which patches are read without loading the rest."""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import DataError
from napari_im2im.folders import cache_folder, check_writable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_logger = logging.getLogger(__name__)


def decoded_folder() -> Path:
    """Return the folder of decoded images, which may be deleted at any time."""
    return cache_folder() / "decoded"


@dataclass
class ArrayCache:
    """A folder of arrays by the identity of what they were decoded from.

    Several jobs may use it at once. What was not used for longest is deleted where
    space is short; on Windows only once no job reads it any more.

    Parameters
    ----------
    most_bytes
        Most space that all arrays together may take.
    folder
        Where they are.
    """

    most_bytes: int
    folder: Path = field(default_factory=decoded_folder)
    _in_use: set[str] = field(default_factory=set, init=False)

    def find(self, key: str) -> np.memmap | None:
        """Return an array, mapped from disk, or None where there is none."""
        path = self._path(key)
        try:
            array = np.load(path, mmap_mode="r")
            os.utime(path)
        except (OSError, ValueError, EOFError):
            return None
        self._in_use.add(path.name)
        found: np.memmap = array
        return found

    def make_room(self, needed: int) -> None:
        """Delete what is needed least, until so many bytes more fit.

        Raises
        ------
        DataError
            If they don't fit, because the limit or the disk is too small.
        ConfigError
            If the folder can't be written.
        """
        kept, used = 0, 0
        for path, status in sorted(
            self._entries(), key=lambda e: e[1].st_mtime, reverse=True
        ):
            used = kept + status.st_size
            if path.name not in self._in_use and used + needed > self.most_bytes:
                with contextlib.suppress(OSError):
                    path.unlink()
                    _logger.info("deleted %s from the cache", path)
                    continue
            kept = used
        if kept + needed > self.most_bytes:
            raise DataError(
                f"The decoded images take {(kept + needed) / 1e9:.3g} GB, but the "
                f"cache may take {self.most_bytes / 1e9:.3g} GB: raise "
                "data.cache_gigabytes, or train on fewer images."
            )
        check_writable(self.folder, needed)

    @contextlib.contextmanager
    def create(
        self, key: str, shape: Sequence[int], dtype: np.dtype
    ) -> Iterator[np.memmap]:
        """Give an array of zeros to fill; it is kept once it is full.

        Raises
        ------
        DataError
            If the disk refuses.
        """
        path = self._path(key)
        name = f"{path.stem}.{os.getpid()}-{threading.get_ident()}.part"
        partial = self.folder / name
        try:
            with self._refusals():
                self.folder.mkdir(parents=True, exist_ok=True)
                array = np.lib.format.open_memmap(
                    partial, mode="w+", dtype=dtype, shape=tuple(shape)
                )
                _reserve(partial)
            yield array
            with self._refusals():
                array.flush()
                release(array)
                del array
                os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(
                f"The decoded images can't be written to {self.folder} "
                f"({error.strerror or error}): free some space, or train on fewer "
                "images."
            ) from error

    def forget(self, key: str) -> None:
        """Delete an array that can't be found again; it can be read until then."""
        with contextlib.suppress(OSError):
            self._path(key).unlink()

    def _entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        if self.folder.is_dir():
            for path in self.folder.glob("*.npy"):
                with contextlib.suppress(FileNotFoundError):
                    yield path, path.stat()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npy"


def _reserve(file: Path) -> None:
    """See that the disk has room: a mapped array without it would end the process."""
    if hasattr(os, "posix_fallocate"):
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)


def release(array: np.ndarray) -> None:
    """Let the system take back the memory in which a mapped array was read.

    The pixels stay in the system's own cache of files, as long as nothing else needs
    the space. Does nothing for an array in memory, and on Windows.
    """
    mapped = getattr(array, "_mmap", None)
    advice = getattr(mmap, "MADV_DONTNEED", None)
    if mapped is not None and advice is not None:
        mapped.madvise(advice)
