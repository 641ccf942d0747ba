"""Writing that either completes or leaves nothing behind."""

from __future__ import annotations

import errno
import shutil
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_im2im.errors import ImageError
from napari_im2im.images.folders.collections import is_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses while ``path`` is written.

    Raises
    ------
    ImageError
        One sentence, for any `OSError` inside the block.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            reason = f"the disk is full: free some space for {path.parent}"
        elif error.errno in _FORBIDDEN:
            reason = f"{path.parent} doesn't allow it: choose another folder"
        else:
            reason = f"{error.strerror or error}: choose another name or folder"
        raise ImageError(f"{path.name} can't be written, {reason}.") from error


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Check that nothing is lost when ``path`` is written.

    Raises
    ------
    ImageError
        If the path exists and may not be overwritten, or is a folder that
        isn't a Zarr store.
    """
    if not path.exists():
        return
    if not overwrite:
        raise ImageError(
            f"{path} exists already: choose another name, or allow overwriting."
        )
    if path.is_dir() and not is_store(path):
        raise ImageError(f"{path} is a folder of other files: choose another name.")


@contextmanager
def replaced_when_done(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, which takes its place at the end.

    If the block fails or is interrupted, what it wrote is deleted and a file
    that was there before stays.

    Raises
    ------
    ImageError
        If the path exists and may not be overwritten, or for any `OSError`.
    """
    refuse_existing(path, overwrite=overwrite)
    temporary = path.with_name(f".{uuid.uuid4().hex[:8]}-{path.name}")
    with write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            if path.is_dir():
                old = temporary.with_name(f"{temporary.name}.old")
                path.rename(old)
                temporary.rename(path)
                shutil.rmtree(old)
            else:
                temporary.replace(path)
        except BaseException:
            _remove_unfinished(temporary)
            raise


def write_atomically(path: Path, content: bytes) -> None:
    """Write a small file under another name first, so that no half file is ever read.

    Raises
    ------
    OSError
        If the disk refuses; what was there before stays.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_unfinished(path: Path) -> None:
    """Delete a store although writes of it may still be on their way.

    Zarr writes chunks side by side: when one fails, the others go on, and
    would make the folder anew.
    """
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    quiet = 0
    for _ in range(100):
        quiet = 0 if path.exists() else quiet + 1
        if quiet > 5:
            return
        shutil.rmtree(path, ignore_errors=True)
        time.sleep(0.1)


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
