"""Finding a model by its path or its name."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from napari_im2im.errors import ModelError

if TYPE_CHECKING:
    from napari_im2im.models.package import ModelPackage


def load_model(source: ModelPackage | str | Path) -> ModelPackage:
    """Return a model package.

    Parameters
    ----------
    source
        A folder, a zip, the description in it (``rdf.yaml``), the name of a model
        on this computer, or the nickname of one that was downloaded. A package is
        returned as it is.

    Raises
    ------
    ModelError
        If there is no such model, or it can't be read.
    """
    from napari_im2im.models.package import ModelPackage, load_package

    if isinstance(source, ModelPackage):
        return source
    if Path(source).exists():
        return load_package(source)
    from napari_im2im.models.library import list_models
    from napari_im2im.zoo.installed import find_installed, recognise_nickname

    downloaded = find_installed(str(source))
    if downloaded is not None:
        return load_package(downloaded.folder)
    # Newest first: where two have one name, the newest is meant.
    entries = {entry.name: entry for entry in reversed(list_models())}
    if str(source) in entries:
        return load_package(entries[str(source)].path)
    close = difflib.get_close_matches(str(source), entries, n=1)
    cure = "'napari-im2im models' lists the models on this computer."
    if not close and recognise_nickname(str(source)):
        cure = f"'napari-im2im zoo get {source}' gets it if it is one of the zoo."
    raise ModelError(
        f"There is no file and no model named {source}"
        + (f"; did you mean {close[0]}? " if close else ". ")
        + cure
    )


def find_model(source: ModelPackage | str | Path) -> Path:
    """Return where a model is; see `load_model`.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    if isinstance(source, str | Path) and Path(source).exists():
        return Path(source)
    return load_model(source).path
