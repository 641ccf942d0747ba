"""Which files a description refers to, and whether a model works without them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from napari_im2im.errors import ModelError
from napari_im2im.models.archive import is_safe_name
from napari_im2im.models.description import DESCRIPTION_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DECORATION = ("covers", "documentation", "icon", "attachments")
_SAMPLES = ("sample_inputs", "sample_outputs", "sample_tensor")
_TESTS = ("test_inputs", "test_outputs")
# Values of these keys are free text, or name things that aren't package files.
_SKIPPED = ("config", "kwargs", "training_data", "parent", "cite", "links")


@dataclass(frozen=True)
class FileReference:
    """A file of a package.

    ``source`` is what the description says, ``name`` the path inside the package.
    A model doesn't run or can't be tested without its ``essential`` files.
    """

    source: str
    name: str
    sha256: str | None = None
    essential: bool = True


def referenced_files(raw: Mapping[str, Any]) -> tuple[FileReference, ...]:
    """Return the files that a description refers to, each once.

    Parameters
    ----------
    raw
        The content of an ``rdf.yaml``, of format 0.4 or 0.5.

    Raises
    ------
    ModelError
        If a source is absolute, leaves the package, isn't http(s), or two
        different sources have the same name.
    """
    files: dict[str, FileReference] = {}
    for source, sha256, essential in _sources(raw):
        name = _package_name(source)
        known = files.get(name)
        if known is None:
            files[name] = FileReference(source, name, sha256, essential)
            continue
        digests = {known.sha256, sha256} - {None}
        if known.source != source or len(digests) > 1:
            raise ModelError(
                f"The description refers to two different files named {name!r}: "
                "ask its authors for a corrected version."
            )
        files[name] = FileReference(
            source, name, next(iter(digests), None), known.essential or essential
        )
    return tuple(files.values())


def _package_name(source: str) -> str:
    parts = urlsplit(source)
    if parts.scheme in ("http", "https") and parts.hostname:
        path = PurePosixPath(unquote(parts.path))
        name = path.parent.name if path.name == "content" else path.name
    else:
        name = source
    if not is_safe_name(name) or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", name):
        raise ModelError(
            f"The description refers to {source!r}, which is neither a file inside "
            "the package nor an http(s) address: refused."
        )
    plain = PurePosixPath(name.replace("\\", "/"))
    if plain.name.endswith(DESCRIPTION_NAMES):
        raise ModelError(
            f"The description refers to {source!r}, the name of another description: "
            "refused."
        )
    return plain.as_posix()


def _sources(
    node: object, essential: bool = True
) -> Iterator[tuple[str, str | None, bool]]:
    if isinstance(node, list):
        for item in node:
            yield from _sources(item, essential)
    if not isinstance(node, dict):
        return
    source = node.get("source")
    if isinstance(source, str):
        digest = node.get("sha256")
        yield source, str(digest) if digest else None, essential
    for key, value in node.items():
        if key in _SKIPPED or key == "source":
            continue
        needed = essential and key not in (*_DECORATION, *_SAMPLES)
        if key in (*_DECORATION, *_SAMPLES, *_TESTS):
            values = value.get("files", []) if isinstance(value, dict) else value
            for item in values if isinstance(values, list) else [values]:
                if isinstance(item, str) and (key != "icon" or "." in item):
                    yield item, None, needed
        elif key == "architecture" and isinstance(value, str):
            # Format 0.4: "file.py:Class" beside "architecture_sha256".
            file, colon, _ = value.rpartition(":")
            if colon and file.endswith(".py"):
                yield file, node.get("architecture_sha256"), True
        elif key == "dependencies" and isinstance(value, str):
            # Format 0.4: "conda:environment.yaml".
            yield value.partition(":")[2] or value, None, False
        yield from _sources(value, needed)
