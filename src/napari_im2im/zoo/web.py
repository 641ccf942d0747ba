"""Small files from the web: http(s) only, within time limits, cached on disk."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import httpx

import napari_im2im
from napari_im2im.errors import NetworkError
from napari_im2im.images.atomic import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_im2im.zoo.settings import ZooSettings

MEBIBYTE = 2**20

_CONDITIONS = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}


def check_url(url: str) -> str:
    """Return ``url`` if it is one that may be opened.

    Raises
    ------
    NetworkError
        If it isn't an http(s) address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NetworkError(
            f"{url!r} is not a web address: only http:// and https:// are opened."
        )
    return url


def open_client(settings: ZooSettings) -> httpx.Client:
    """Return a client that follows redirects and gives up on a silent server."""
    return httpx.Client(
        follow_redirects=True,
        timeout=settings.timeout,
        headers={"User-Agent": f"napari-im2im/{napari_im2im.__version__}"},
    )


def explain(error: Exception, url: str) -> str:
    """Return in one sentence why ``url`` couldn't be read."""
    host = urlsplit(url).hostname
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        reason = (
            "there is no such file"
            if status in (404, 410)
            else "try again later"
            if status >= 500
            else "it refuses the request"
        )
        return f"{host} answered {status} for {url}: {reason}."
    if isinstance(error, httpx.TimeoutException):
        return f"{host} took too long to answer for {url}: try again later."
    if isinstance(error, httpx.ConnectError):
        return f"{host} can't be reached: check the connection, or work offline."
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return f"{host} broke off while it sent {url}: try again later."
    return f"{url} can't be read ({error}): try again later."


@dataclass(frozen=True)
class WebFile:
    """A file from the web, as it is in the cache.

    ``problem`` is empty, or the sentence that tells why the web was of no use
    and an earlier copy is returned.
    """

    content: bytes
    fetched: datetime
    problem: str = ""


class WebCache:
    """Copies of files from the web, renewed with a conditional request.

    A context manager: leaving it closes the connections.

    Parameters
    ----------
    folder
        Where the copies are kept.
    settings
        Time limits.
    """

    def __init__(self, folder: Path, settings: ZooSettings) -> None:
        self.folder = folder
        self._settings = settings
        self._client: httpx.Client | None = None
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connect(self) -> httpx.Client:
        # Opened at its first use: offline needs none, and it costs time.
        with self._lock:
            if self._client is None:
                self._client = open_client(self._settings)
            return self._client

    def cached(self, url: str, sha256: str | None = None) -> WebFile | None:
        """Return the copy of ``url`` if there is an undamaged one."""
        body, meta = self._paths(url)
        try:
            content, record = body.read_bytes(), json.loads(meta.read_text("utf-8"))
            digest, fetched = record["sha256"], datetime.fromisoformat(record["date"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        actual = hashlib.sha256(content).hexdigest()
        if actual != digest or sha256 not in (None, actual):
            return None
        return WebFile(content, fetched)

    def fetch(
        self,
        url: str,
        *,
        sha256: str | None = None,
        check: Callable[[bytes], object] | None = None,
        limit: int = 16 * MEBIBYTE,
        offline: bool = False,
    ) -> WebFile:
        """Return a file, from the web or, where that fails, from the cache.

        Parameters
        ----------
        url
            An http(s) address.
        sha256
            What the content must hash to. An undamaged copy is then final, and
            nothing is asked of the web.
        check
            Raises ValueError for content that can't be what was asked for; such
            an answer never replaces a copy.
        limit
            Largest number of bytes.
        offline
            Ask nothing of the web.

        Raises
        ------
        NetworkError
            If the web gives no usable answer and there is no copy.
        """
        copy = self.cached(url, sha256)
        if copy is not None and (sha256 or offline):
            return copy
        if offline:
            raise NetworkError(
                f"There is no copy of {url} to use offline: read it once online."
            )
        try:
            return self._renew(check_url(url), sha256, check, limit, copy)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            problem = explain(error, url)
        except NetworkError as error:
            problem = str(error)
        if copy is None:
            raise NetworkError(problem)
        return WebFile(copy.content, copy.fetched, problem)

    def _renew(
        self,
        url: str,
        sha256: str | None,
        check: Callable[[bytes], object] | None,
        limit: int,
        copy: WebFile | None,
    ) -> WebFile:
        record: dict[str, Any] = {"url": url, "date": datetime.now(UTC).isoformat()}
        headers = {}
        if copy is not None:
            record = json.loads(self._paths(url)[1].read_text("utf-8")) | record
            headers = {
                _CONDITIONS[name]: record[name]
                for name in _CONDITIONS
                if record.get(name)
            }
        with self._connect().stream("GET", url, headers=headers) as response:
            if response.status_code == httpx.codes.NOT_MODIFIED and copy is not None:
                content = copy.content
            else:
                response.raise_for_status()
                content = self._read(response, limit)
                _check_content(url, content, sha256, check)
                record |= {name: response.headers.get(name) for name in _CONDITIONS}
        record["sha256"] = hashlib.sha256(content).hexdigest()
        self._store(url, content, record)
        return WebFile(content, datetime.fromisoformat(record["date"]))

    def _read(self, response: httpx.Response, limit: int) -> bytes:
        end = time.monotonic() + self._settings.deadline
        content = bytearray()
        for piece in response.iter_bytes():
            content += piece
            if len(content) > limit:
                raise NetworkError(
                    f"{response.url} is larger than {limit // MEBIBYTE} MB, which "
                    "is too much for a file of its kind."
                )
            if time.monotonic() > end:
                raise NetworkError(
                    f"{response.url} came too slowly (more than "
                    f"{self._settings.deadline:g} s): try again later."
                )
        return bytes(content)

    def _paths(self, url: str) -> tuple[Path, Path]:
        key = hashlib.sha256(url.encode()).hexdigest()[:32]
        return self.folder / f"{key}.bin", self.folder / f"{key}.json"

    def _store(self, url: str, content: bytes, record: dict[str, Any]) -> None:
        body, meta = self._paths(url)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(body, content)
        write_atomically(meta, json.dumps(record).encode())


def _check_content(
    url: str,
    content: bytes,
    sha256: str | None,
    check: Callable[[bytes], object] | None,
) -> None:
    if sha256 not in (None, hashlib.sha256(content).hexdigest()):
        raise NetworkError(
            f"{url} is damaged or was changed: its sha256 is not the one that the "
            "zoo lists. Refresh the list and try again."
        )
    if check is None:
        return
    try:
        check(content)
    except ValueError as error:
        raise NetworkError(
            f"{url} answered with something else than expected ({error}): "
            "try again later."
        ) from error
