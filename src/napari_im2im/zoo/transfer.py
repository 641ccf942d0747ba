"""One large file from the web: resumed where it broke, checked, kept by content."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from napari_im2im.errors import NetworkError
from napari_im2im.models.archive import sha256_of
from napari_im2im.zoo.web import check_url, explain

if TYPE_CHECKING:
    import threading
    from pathlib import Path

ATTEMPTS = 4
"""How often a file is asked for before giving up."""

LARGEST_FILE = 16 * 2**30
"""Bytes after which a download is ended: no model is that large."""


class Cancelled(Exception):
    """The transfer was stopped by the user."""


@dataclass
class Transfer:
    """A file on its way.

    Parameters
    ----------
    url
        Its http(s) address.
    folder
        Where files are kept by their sha256, unfinished ones in ``unfinished``.
    sha256
        What the content must hash to, if that is known. Without it a broken
        transfer starts anew, as nothing tells whether two halves belong together.
    name
        What to call it in sentences.
    retry_delay
        Seconds before the second attempt; doubled for each further one.
    """

    url: str
    folder: Path
    sha256: str | None = None
    name: str = "file"
    retry_delay: float = 0.5
    received: int = field(default=0, init=False)
    total: int | None = field(default=None, init=False)

    def run(self, client: httpx.Client, cancel: threading.Event) -> Path:
        """Return the complete, checked file, transferring what is missing.

        Raises
        ------
        NetworkError
            If the file can't be had or is not the expected one.
        Cancelled
            If ``cancel`` was set; what has arrived stays for the next time.
        """
        check_url(self.url)
        if self.sha256 and self._is_kept(self.folder / self.sha256):
            return self.folder / self.sha256
        for attempt in range(ATTEMPTS):
            try:
                return self._attempt(client, cancel)
            except httpx.HTTPError as error:
                refused = (
                    isinstance(error, httpx.HTTPStatusError)
                    and error.response.status_code < httpx.codes.INTERNAL_SERVER_ERROR
                )
                if refused or attempt == ATTEMPTS - 1:
                    raise NetworkError(explain(error, self.url)) from error
            except OSError as error:
                raise NetworkError(
                    f"{self.name} can't be written to {self.folder} "
                    f"({error.strerror}): make room there and try again."
                ) from error
            if cancel.wait(self.retry_delay * 2**attempt):
                raise Cancelled
        raise AssertionError("the last attempt returns or raises")

    def _is_kept(self, path: Path) -> bool:
        if not path.is_file():
            return False
        if sha256_of(path) == self.sha256:
            self.received = self.total = path.stat().st_size
            return True
        path.unlink()
        return False

    def _attempt(self, client: httpx.Client, cancel: threading.Event) -> Path:
        part = self.folder / "unfinished" / (self.sha256 or self._url_key())
        part.parent.mkdir(parents=True, exist_ok=True)
        start = part.stat().st_size if self.sha256 and part.is_file() else 0
        # Compression would make the ranges count other bytes than the file's.
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        with client.stream("GET", self.url, headers=headers) as response:
            if start and response.status_code == (
                httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE
            ):
                return self._finish(part)
            response.raise_for_status()
            if response.status_code != httpx.codes.PARTIAL_CONTENT:
                start = 0
            length = response.headers.get("content-length", "")
            self.received = start
            self.total = start + int(length) if length.isdigit() else None
            self._check_room(part)
            with part.open("ab" if start else "wb") as file:
                for piece in response.iter_raw():
                    if cancel.is_set():
                        raise Cancelled
                    file.write(piece)
                    self.received += len(piece)
                    if self.received > LARGEST_FILE:
                        raise NetworkError(f"{self.name} is endless: not downloaded.")
        return self._finish(part)

    def _check_room(self, part: Path) -> None:
        free = shutil.disk_usage(part.parent).free
        needed = (self.total or 0) - self.received
        if needed > free:
            raise NetworkError(
                f"{self.name} needs {needed / 1e6:.0f} MB, but {free / 1e6:.0f} MB "
                f"are free in {self.folder}: make room and try again."
            )

    def _finish(self, part: Path) -> Path:
        digest = sha256_of(part)
        if self.sha256 not in (None, digest):
            part.unlink()
            raise NetworkError(
                f"{self.name} from {self.url} is damaged or was changed: its sha256 "
                "is not the one in the description. It was thrown away: try again."
            )
        os.replace(part, self.folder / digest)
        return self.folder / digest

    def _url_key(self) -> str:
        return f"url-{hashlib.sha256(self.url.encode()).hexdigest()[:32]}"
