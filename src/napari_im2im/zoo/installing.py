"""Putting a downloaded model in its place: complete and valid, or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import yaml

from napari_im2im import folders
from napari_im2im.errors import ModelError
from napari_im2im.models.archive import extract_archive, sha256_of
from napari_im2im.models.description import find_description
from napari_im2im.models.package import load_package
from napari_im2im.zoo.index import ZooModel, parse_description_text
from napari_im2im.zoo.installed import Installed
from napari_im2im.zoo.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_im2im.zoo.references import FileReference


def install_zip(archive: Path, source: str) -> Installed:
    """Unpack a zipped package into the folder of models, if it is a valid one.

    Parameters
    ----------
    archive
        A zip file.
    source
        Where it came from.

    Raises
    ------
    ModelError
        If it isn't a safe and valid package.
    """
    incoming = _incoming()
    try:
        extract_archive(archive, incoming)
        description = find_description(incoming).read_bytes()
        try:
            summary = summarize(parse_description_text(description))
        except ValueError as error:
            raise ModelError(f"{source} holds no model: it is {error}.") from error
        digest = hashlib.sha256(description).hexdigest()
        model = ZooModel("", digest[:8], source, digest, "", summary=summary)
        names = (path for path in incoming.rglob("*") if path.is_file())
        return _install(model, incoming, sorted(names))
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def assemble(
    model: ZooModel,
    description: bytes,
    raw: Mapping[str, Any],
    references: Sequence[FileReference],
    files: Mapping[str, Path],
) -> Installed:
    """Put the files of a package together under a temporary name, then in place.

    Parameters
    ----------
    model
        Where it comes from, and what it is called.
    description, raw
        Its description, as bytes and as content.
    references
        The files that the description refers to.
    files
        Those that are there, by their name in the package.

    Raises
    ------
    ModelError
        If it isn't a valid package.
    """
    incoming = _incoming()
    try:
        for name, kept in files.items():
            target = incoming / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(kept, target)
            except OSError:
                # Another disk, or one without hard links.
                shutil.copyfile(kept, target)
        names = {ref.source: ref.name for ref in references if ref.source != ref.name}
        if names:
            description = yaml.safe_dump(_renamed(raw, names), sort_keys=False).encode()
        incoming.mkdir(parents=True, exist_ok=True)
        (incoming / "rdf.yaml").write_bytes(description)
        return _install(
            model, incoming, [incoming / name for name in ("rdf.yaml", *files)]
        )
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _install(model: ZooModel, incoming: Path, paths: Sequence[Path]) -> Installed:
    """Check a complete package and move it to its place, replacing a damaged one."""
    package = load_package(incoming)
    files = {path.relative_to(incoming).as_posix(): sha256_of(path) for path in paths}
    identifier = model.id or _slug(package.id or package.name)
    version = model.version or model.sha256[:8]
    target = folders.models_folder() / f"{identifier}-{_slug(version)}"
    installed = Installed(
        folder=incoming,
        id=identifier,
        version=version,
        source=model.source,
        sha256=model.sha256,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        names=tuple(sorted({identifier, *model.names} - {""})),
        files=files,
    )
    installed.write()
    if target.exists():
        old = _incoming()
        target.rename(old)
        incoming.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        incoming.rename(target)
    return replace(installed, folder=target)


def _incoming() -> Path:
    """Return a name, not yet in use, that nothing takes for a model."""
    folder = folders.models_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f".incoming-{uuid4().hex[:12]}"


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _renamed(value, names) for key, value in node.items()}
    if isinstance(node, list):
        return [_renamed(value, names) for value in node]
    return names.get(node, node) if isinstance(node, str) else node


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.").lower() or "model"
