"""What somebody means who types or drops something: a path, link, DOI, nickname."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from napari_im2im.errors import ModelError
from napari_im2im.zoo.installed import recognise_nickname

Kind = Literal["path", "link", "doi", "nickname", "words"]

_PATH_LIKE = re.compile(
    r"[/\\~.]|[A-Za-z]:[/\\]|.*[/\\]|.*\.(zip|ya?ml|onnx|pt)$", re.IGNORECASE
)


@dataclass(frozen=True)
class Source:
    """What was recognised, and its plain form (a path, an address, a name)."""

    kind: Kind
    value: str


def recognise(text: str) -> Source:
    """Say what a text names. Nothing is read and nothing is asked of the network.

    Parameters
    ----------
    text
        Path, ``file://`` or http(s) address, DOI, nickname, or words to search.

    Raises
    ------
    ModelError
        If it looks like a path, and there is no such file or folder, or like an
        address that isn't http(s).
    """
    text = text.strip().strip("'\"")
    if text and "\0" not in text and Path(text).expanduser().exists():
        return Source("path", str(Path(text).expanduser()))
    scheme, separator, rest = text.partition("://")
    if separator:
        return _recognise_address(text, scheme.lower(), rest)
    doi = re.fullmatch(r"(?:doi:\s*)?(10\.\d{4,9}/\S+)", text, re.IGNORECASE)
    if doi:
        return Source("doi", doi[1])
    if recognise_nickname(text) and (
        "/" not in text or text.startswith("bioimage-io/") or _is_versioned(text)
    ):
        return Source("nickname", text.removeprefix("bioimage-io/"))
    if " " not in text and _PATH_LIKE.match(text):
        raise ModelError(f"There is no file or folder {text}: check the path.")
    return Source("words", text)


def _recognise_address(text: str, scheme: str, rest: str) -> Source:
    if scheme == "file":
        local = Path(unquote(urlsplit(text).path))
        if not local.exists():
            raise ModelError(f"There is no file or folder {local}: check the path.")
        return Source("path", str(local))
    if scheme not in ("http", "https"):
        raise ModelError(
            f"{text!r} is not an address that can be opened: only http:// and https:// "
            "are."
        )
    host, _, path = rest.partition("/")
    if host in ("doi.org", "dx.doi.org"):
        return Source("doi", unquote(path))
    if host in ("bioimage.io", "www.bioimage.io"):
        nickname = _nickname_of_page(path)
        if nickname:
            return Source("nickname", nickname)
    return Source("link", text)


def _nickname_of_page(path: str) -> str:
    """Return the nickname in an address of the zoo's site, e.g. ``#/artifacts/…``."""
    query = parse_qs(path.rpartition("?")[2]) if "?" in path else {}
    last = (query.get("id") or [path.partition("?")[0]])[0].rstrip("/")
    for word in reversed(unquote(last).split("/")):
        if recognise_nickname(word):
            return word
    return ""


def _is_versioned(text: str) -> bool:
    return re.fullmatch(r"[a-z0-9-]+/v?[\d.]+", text) is not None
