"""Where runs, models and downloads are kept on this computer."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

HOME_VARIABLE = "NAPARI_IM2IM_HOME"
"""Environment variable that moves everything below one folder."""


def _home() -> Path | None:
    value = os.environ.get(HOME_VARIABLE)
    return Path(value).expanduser() if value else None


def runs_folder() -> Path:
    """Return the folder of the trainings, one sub-folder each."""
    home = _home()
    return home / "runs" if home else Path.home() / "napari-im2im" / "runs"


def models_folder() -> Path:
    """Return the folder of the models that were imported or downloaded."""
    home = _home() or user_data_path("napari-im2im", appauthor=False)
    return home / "models"


def cache_folder() -> Path:
    """Return the folder of files that may be deleted at any time."""
    home = _home()
    return home / "cache" if home else user_cache_path("napari-im2im", appauthor=False)
