"""Where runs, models and downloads are kept on this computer."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

from napari_im2im.errors import ConfigError

HOME_VARIABLE = "NAPARI_IM2IM_HOME"
"""Environment variable that moves everything below one folder."""


def _home() -> Path | None:
    value = os.environ.get(HOME_VARIABLE)
    return Path(value).expanduser() if value else None


def runs_folder() -> Path:
    """Return the folder of the trainings, one sub-folder each."""
    home = _home()
    return home / "runs" if home else Path.home() / "napari-im2im" / "runs"


def find_run(run: Path) -> Path:
    """Return the folder of a training that is named by its path or its name."""
    named = runs_folder() / run
    return named if not run.exists() and named.is_dir() else run


def models_folder() -> Path:
    """Return the folder of the models that were imported or downloaded."""
    home = _home() or user_data_path("napari-im2im", appauthor=False)
    return home / "models"


def cache_folder() -> Path:
    """Return the folder of files that may be deleted at any time."""
    home = _home()
    return home / "cache" if home else user_cache_path("napari-im2im", appauthor=False)


def check_writable(folder: Path, needed: int = 0) -> None:
    """Check that a folder, which may not exist yet, will take what is to be written.

    Parameters
    ----------
    folder
        Where files will be written.
    needed
        How many bytes they will have.

    Raises
    ------
    ConfigError
        If writing there isn't allowed, or the disk has less space.
    """
    existing = folder.expanduser().absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise ConfigError(f"{existing} is a file: choose another folder.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{folder} can't be written, because {existing} doesn't allow it: choose "
            "another folder."
        )
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise ConfigError(
            f"{folder} needs {needed / 1e9:.1f} GB, but the disk has {free / 1e9:.1f} "
            "GB: free some space or choose another folder."
        )
