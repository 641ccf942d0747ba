"""Metadata come from the package, its parent, a file, and the last export."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from napari_im2im.errors import ConfigError
from napari_im2im.models.package import ModelPackage, load_package
from napari_im2im.models.writing import write_package
from napari_im2im.zoo.export.drafts import (
    load_draft,
    metadata_of,
    read_metadata,
    remember,
    save_draft,
    suggest_metadata,
    take_over,
)
from napari_im2im.zoo.metadata import Metadata, field_errors
from packages import tiny_content

if TYPE_CHECKING:
    from pathlib import Path

AUTHOR = {"name": "Ada Lovelace", "github_user": "ada"}
README = "# Parent\n\nReads phase.\n\n## Validation\n\nPCC 0.9\n\n## Use\n\nOften.\n"


def package(folder: Path, **changes: Any) -> ModelPackage:
    return load_package(write_package(folder, replace(tiny_content(), **changes)))


def test_a_package_describes_itself(tmp_path: Path) -> None:
    draft = metadata_of(package(tmp_path / "a", authors=(AUTHOR,), tags=("2d",)))
    assert draft["name"] == "Tiny network"
    assert draft["authors"] == [AUTHOR]
    assert draft["license"] == "CC-BY-4.0"
    assert field_errors(draft) == {}


def test_a_trained_model_gets_its_people_from_the_last_export(tmp_path: Path) -> None:
    remember(Metadata.model_validate({"name": "Other", "authors": [AUTHOR]}))
    draft = suggest_metadata(package(tmp_path / "a", config={"steps": 3}))
    assert draft["authors"] == [AUTHOR]
    assert {"2d", "pytorch", "image-to-image"} <= set(draft["tags"])


@pytest.mark.parametrize("config", [{}, {"steps": 3}], ids=["foreign", "ours"])
def test_somebody_unknown_is_asked_for(tmp_path: Path, config: dict[str, int]) -> None:
    draft = suggest_metadata(package(tmp_path / "a", config=config))
    assert set(field_errors(draft)) == {"authors"}


def test_everything_is_taken_over_but_what_must_change(tmp_path: Path) -> None:
    package(
        tmp_path / "parent",
        name="Affable network",
        authors=(AUTHOR,),
        tags=("nuclei",),
    )
    described = tmp_path / "parent" / "rdf.yaml"
    content = yaml.safe_load(described.read_text())
    content |= {"license": "MIT", "version": "2.1.0"}
    described.write_text(yaml.safe_dump(content))
    (tmp_path / "parent" / "README.md").write_text(README)
    parent = load_package(tmp_path / "parent")
    object.__setattr__(parent, "id", "affable-shark")
    draft = take_over(package(tmp_path / "child", config={"steps": 3}), parent)
    assert (draft["authors"], draft["license"]) == ([AUTHOR], "MIT")
    assert (draft["name"], draft["version"]) == ("Tiny network", "0.1.0")
    assert draft["parent"] == {"id": "affable-shark", "version": "2.1.0"}
    assert "PCC 0.9" not in draft["documentation"]
    assert "## Use" in draft["documentation"]
    assert field_errors(draft) == {}


def test_a_draft_is_kept_valid_or_not(tmp_path: Path) -> None:
    draft = {"name": "µ", "authors": []}
    save_draft(tmp_path / "model", draft)
    assert load_draft(tmp_path / "model") == draft
    assert load_draft(tmp_path / "another") == {}


def test_a_file_may_name_its_documentation(tmp_path: Path) -> None:
    (tmp_path / "about.md").write_text("# About")
    path = tmp_path / "meta.yaml"
    path.write_text(yaml.safe_dump({"name": "N", "documentation": "about.md"}))
    assert read_metadata(path)["documentation"] == "# About"


@pytest.mark.parametrize("content", ["[1", "- a", "documentation: missing.md"])
def test_a_file_that_cant_be_read_says_so(tmp_path: Path, content: str) -> None:
    path = tmp_path / "meta.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"meta.yaml"):
        read_metadata(path)
