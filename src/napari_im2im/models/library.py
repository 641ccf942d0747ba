"""The models on this computer: bundled, trained here, and imported."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml

from napari_im2im.errors import ModelError
from napari_im2im.folders import models_folder, runs_folder
from napari_im2im.models.description import find_description

if TYPE_CHECKING:
    from collections.abc import Iterator

BUNDLED_FOLDER = Path(__file__).parents[1] / "resources" / "models"

LibraryKind = Literal["bundled", "run", "imported"]


@dataclass(frozen=True)
class LibraryEntry:
    """A model that `models.package.load_package` can open at ``path``."""

    name: str
    path: Path
    kind: LibraryKind
    modified: datetime


def name_at(path: str | Path) -> str:
    """Return what to call a model that is not in the list: its run, or its file."""
    model = Path(path)
    return model.parent.name if model.name == "model" else model.stem


def list_models() -> list[LibraryEntry]:
    """Return the models on this computer, newest first, bundled ones last.

    Only names are read: a folder that holds no readable description is left out,
    and whether a model is valid shows when it is opened.
    """
    entries = [
        entry
        for kind, folder in _candidates()
        if (entry := _entry(kind, folder)) is not None
    ]
    return sorted(
        entries, key=lambda e: (e.kind == "bundled", -e.modified.timestamp(), e.name)
    )


def _candidates() -> Iterator[tuple[LibraryKind, Path]]:
    for folder in _children(BUNDLED_FOLDER):
        yield "bundled", folder
    for folder in _children(runs_folder()):
        yield "run", folder / "model"
    for folder in _children(models_folder()):
        yield "imported", folder


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(
            child
            for child in folder.iterdir()
            if child.is_dir() and not child.name.startswith(".")
        )
    except OSError:
        return []


def _entry(kind: LibraryKind, folder: Path) -> LibraryEntry | None:
    try:
        file = find_description(folder)
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        modified = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except (OSError, ModelError, yaml.YAMLError, UnicodeDecodeError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("name"), str):
        return None
    # A run is known by its folder's name, which its user chose.
    name = folder.parent.name if kind == "run" else content["name"]
    return LibraryEntry(name, folder, kind, modified)
