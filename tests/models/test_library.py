from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from napari_im2im.folders import models_folder, runs_folder
from napari_im2im.models.library import list_models

if TYPE_CHECKING:
    from pathlib import Path


def imported_and_trained() -> list[tuple[str, str]]:
    return [(e.kind, e.name) for e in list_models() if e.kind != "bundled"]


def test_trained_and_imported_models_are_listed(tiny_folder: Path) -> None:
    shutil.copytree(tiny_folder, runs_folder() / "my run 2" / "model")
    shutil.copytree(tiny_folder, models_folder() / "affable-shark")

    assert sorted(imported_and_trained()) == [
        ("imported", "Tiny network"),
        ("run", "my run 2"),
    ]


def test_no_folder_at_all_is_an_empty_list() -> None:
    assert imported_and_trained() == []


def test_a_broken_folder_hides_no_other(tiny_folder: Path) -> None:
    shutil.copytree(tiny_folder, models_folder() / "good")
    (models_folder() / "empty").mkdir()
    (runs_folder() / "unfinished").mkdir(parents=True)
    for name, text in (("a", "name: [1"), ("b", "- 1"), ("c", "name: 3")):
        (models_folder() / name).mkdir()
        (models_folder() / name / "rdf.yaml").write_text(text)

    assert imported_and_trained() == [("imported", "Tiny network")]


def test_every_entry_can_be_opened(tiny_folder: Path) -> None:
    from napari_im2im.models.package import load_package

    shutil.copytree(tiny_folder, models_folder() / "good")

    for entry in list_models():
        assert load_package(entry.path).inputs
