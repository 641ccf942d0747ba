"""Metadata from a package, from its parent, from a file, and from last time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import yaml

from napari_im2im.errors import ConfigError, ModelError
from napari_im2im.folders import models_folder
from napari_im2im.images.atomic import write_atomically
from napari_im2im.models.content import valid_name
from napari_im2im.models.package import load_package
from napari_im2im.zoo.export.documentation import without_validation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_im2im.models.package import ModelPackage
    from napari_im2im.zoo.metadata import Metadata

_REMEMBERED = ("authors", "maintainers", "license", "git_repo")
_PERSON = ("name", "affiliation", "email", "orcid", "github_user")


def open_model(path: Path) -> ModelPackage:
    """Open a model by its run folder, package folder or zip.

    Raises
    ------
    ModelError
        If there is none.
    """
    run = path / "model"
    return load_package(run if run.is_dir() else path)


def metadata_of(package: ModelPackage) -> dict[str, Any]:
    """Return what a package says about itself, as a draft of `Metadata`."""
    content = package.description.model_dump(mode="json", exclude_none=True)
    training_data = content.get("training_data") or {}
    draft = {
        "name": valid_name(package.name),
        "description": package.text,
        "authors": [_person(author) for author in content.get("authors", ())],
        "maintainers": [_person(author) for author in content.get("maintainers", ())],
        "license": content.get("license"),
        "tags": list(content.get("tags", ())),
        "cite": [
            {key: entry[key] for key in ("text", "doi", "url") if key in entry}
            for entry in content.get("cite", ())
        ],
        "version": str(content.get("version", "0.1.0")),
        "git_repo": content.get("git_repo"),
        "training_data": _training_data(training_data),
        "parent": content.get("parent"),
        "documentation": documentation_of(package),
    }
    if not isinstance(draft["license"], str):
        del draft["license"]
    return {key: value for key, value in draft.items() if value}


def suggest_metadata(package: ModelPackage) -> dict[str, Any]:
    """Return the draft that an export of a package starts with.

    What the package doesn't say comes from the last export.
    """
    draft = metadata_of(package)
    authors = draft.get("authors", ())
    draft["authors"] = [a for a in authors if a.get("name", "unknown") != "unknown"]
    if not draft["authors"]:
        # Training knows no people, nor do some models of others.
        draft = {**draft, **remembered()}
    if package.config:
        # Made anew at the export.
        draft.pop("documentation", None)
        spatial = [axis for axis in package.inputs[0].axis_names if axis in "zyx"]
        dims = "3d" if "z" in spatial else "2d"
        draft["tags"] = list(dict.fromkeys([*draft.get("tags", ()), dims, "pytorch"]))
        parent = package.config.get("parent") or {}
        if parent.get("id"):
            draft["parent"] = {k: parent[k] for k in ("id", "version") if k in parent}
    return draft


def take_over(package: ModelPackage, parent: ModelPackage) -> dict[str, Any]:
    """Return the draft of a package with everything that its parent says.

    What must differ does: the name, the version, the parent, and the section of
    the documentation on validation.

    Parameters
    ----------
    package
        The model to export.
    parent
        The one that it was fine-tuned from.
    """
    draft = {**suggest_metadata(package), **metadata_of(parent)}
    name = valid_name(package.name)
    if name == draft["name"]:
        name = f"{name[:116]} fine-tuned"
    draft["name"], draft["version"] = name, "0.1.0"
    if "documentation" in draft:
        draft["documentation"] = without_validation(draft["documentation"])
    draft.pop("parent", None)
    if parent.id:
        draft["parent"] = {"id": parent.id}
        if parent.description.version is not None:
            draft["parent"]["version"] = str(parent.description.version)
    return draft


def documentation_of(package: ModelPackage) -> str:
    """Return the documentation of a package, empty where it has none at hand."""
    documentation = package.description.documentation
    if documentation is None:
        return ""
    try:
        return package.file(str(documentation.source)).read_text(encoding="utf-8")
    except (ModelError, UnicodeDecodeError):
        # On the web or damaged; neither keeps a model from being exported.
        return ""


def read_metadata(path: Path) -> dict[str, Any]:
    """Read a draft from a YAML file.

    A ``documentation`` that names a Markdown file beside it is replaced by the
    file's text, covers are taken relative to it.

    Raises
    ------
    ConfigError
        If it can't be read.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"The metadata {path} can't be read: {reason}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no metadata: write 'name: …' and so on.")
    documentation = content.get("documentation")
    if isinstance(documentation, str) and documentation.endswith(".md"):
        file = path.parent / documentation
        if not file.is_file():
            raise ConfigError(f"{path} names a documentation {file}: there is none.")
        content["documentation"] = file.read_text(encoding="utf-8")
    if isinstance(content.get("covers"), list):
        content["covers"] = [str(path.parent / name) for name in content["covers"]]
    return content


def save_draft(model: Path, draft: Mapping[str, Any]) -> Path:
    """Keep a draft, valid or not, until the model is exported."""
    path = _draft_path(model)
    _write(path, draft)
    return path


def load_draft(model: Path) -> dict[str, Any]:
    """Return the draft that was kept for a model, empty if there is none."""
    return _read(_draft_path(model))


def remember(metadata: Metadata) -> None:
    """Keep what is likely to be the same in the next export."""
    content = metadata.model_dump(mode="json", exclude_none=True)
    _write(
        _folder() / "remembered.yaml",
        {key: content[key] for key in _REMEMBERED if content.get(key)},
    )


def remembered() -> dict[str, Any]:
    """Return what `remember` kept."""
    return _read(_folder() / "remembered.yaml")


def _person(person: Mapping[str, Any]) -> dict[str, str]:
    return {key: person[key] for key in _PERSON if person.get(key)}


def _training_data(content: Mapping[str, Any]) -> dict[str, str] | None:
    if content.get("id"):
        return {"id": content["id"]}
    if content.get("name") and content.get("source"):
        return {"name": content["name"], "url": content["source"]}
    return None


def _folder() -> Path:
    return models_folder().parent / "exports"


def _draft_path(model: Path) -> Path:
    digest = hashlib.sha256(str(model.expanduser().resolve()).encode()).hexdigest()
    return _folder() / f"{digest[:16]}.yaml"


def _write(path: Path, content: Mapping[str, Any]) -> None:
    text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())
    except OSError as error:
        raise ModelError(
            f"The draft can't be saved to {path} ({error.strerror or error}): free "
            "some space."
        ) from error


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModelError(f"{path} is damaged ({error}): delete it.") from error
    return content if isinstance(content, dict) else {}
