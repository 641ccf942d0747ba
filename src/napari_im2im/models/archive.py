"""Unpacking model packages without trusting them."""

from __future__ import annotations

import hashlib
import lzma
import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, TYPE_CHECKING

from napari_im2im.errors import ModelError
from napari_im2im.folders import cache_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 16 * 2**30
"""Most bytes that an archive may unpack to."""

MAX_FILES = 20_000
"""Most files that an archive may hold."""

MAX_RATIO = 200
"""Most bytes that a compressed byte may stand for, on average in a large file."""

_CHUNK = 1 << 20
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,  # An encrypted member.
)


def is_safe_name(name: str) -> bool:
    """Return whether a relative path stays below the folder it is relative to.

    Judged by the rules of both POSIX and Windows, so that a package is as safe on
    one as on the other.
    """
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    return bool(
        name.strip()
        and "\0" not in name
        and not posix.is_absolute()
        and not windows.drive
        and not windows.root
        and ".." not in posix.parts
        and ".." not in windows.parts
    )


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def extract_archive(archive: Path, folder: Path) -> Path:
    """Unpack a zip archive into a new folder, all of it or nothing.

    Parameters
    ----------
    archive
        A zip file.
    folder
        Folder to make; it must not exist. It appears when it is complete.

    Returns
    -------
    Path
        ``folder``.

    Raises
    ------
    ModelError
        If the file isn't a zip archive, is damaged, unpacks to more than the
        limits, or has a member that is absolute, a link, or leaves the folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder.parent))
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            check_members(archive, members)
            for member in members:
                target = unfinished / member.filename
                if member.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, target.open("wb") as file:
                    _copy(source, file, member.file_size, archive)
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    except _DAMAGED as error:
        raise ModelError(
            f"{archive} is not a readable zip archive ({error}): get it again."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def extract_to_cache(archive: Path) -> Path:
    """Unpack a zip archive into the cache, once for each content.

    Raises
    ------
    ModelError
        As `extract_archive`.
    """
    folder = cache_folder() / "packages" / sha256_of(archive)[:32]
    if folder.is_dir():
        return folder
    try:
        return extract_archive(archive, folder)
    except OSError:
        # Another process may have unpacked the same archive in the meantime.
        if folder.is_dir():
            return folder
        raise


def check_members(archive: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse an archive that would write outside its folder or fill the disk.

    Raises
    ------
    ModelError
        Naming the member or the limit.
    """
    if len(members) > MAX_FILES:
        raise ModelError(f"{archive} holds more than {MAX_FILES} files: not unpacked.")
    for member in members:
        mode = member.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ModelError(
                f"{archive} holds a link or special file, {member.filename!r}: "
                "not unpacked."
            )
        # `orig_filename` is what the archive says, before zipfile cleans it.
        if not is_safe_name(member.orig_filename) or not is_safe_name(member.filename):
            raise ModelError(
                f"{archive} holds a file that would leave its folder, "
                f"{member.orig_filename!r}: not unpacked."
            )
        large = member.file_size > 64 * _CHUNK
        if large and member.file_size > MAX_RATIO * max(member.compress_size, 1):
            raise ModelError(
                f"{archive} is suspiciously compressed ({member.filename!r} unpacks "
                f"to {member.file_size} bytes): not unpacked."
            )
    total = sum(member.file_size for member in members)
    if total > MAX_BYTES:
        raise ModelError(
            f"{archive} unpacks to {total / 2**30:.1f} GiB, more than the "
            f"{MAX_BYTES / 2**30:.0f} GiB allowed: not unpacked."
        )


def _copy(source: IO[bytes], target: IO[bytes], size: int, archive: Path) -> None:
    """Copy exactly ``size`` bytes: a member may hold more than it declares."""
    left = size
    while chunk := source.read(_CHUNK):
        left -= len(chunk)
        if left < 0:
            raise ModelError(f"{archive} lies about the size of a file: not unpacked.")
        target.write(chunk)
