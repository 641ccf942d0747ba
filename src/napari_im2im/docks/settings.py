"""What the docks remember from one start of napari to the next."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from napari_im2im.folders import models_folder
from napari_im2im.images.atomic import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

_logger = logging.getLogger(__name__)


def settings_path() -> Path:
    """Return the file of the settings."""
    return models_folder().parent / "docks.json"


def load_settings() -> dict[str, Any]:
    """Return what was remembered, or nothing where the file can't be read."""
    try:
        settings = json.loads(settings_path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _logger.warning("The settings of the docks are not read: %s", error)
        return {}
    return settings if isinstance(settings, dict) else {}


def remember(**values: Any) -> None:
    """Add to what is remembered; None forgets a value.

    A disk that can't be written is logged, not raised: settings are never worth
    a lost job.
    """
    settings = {**load_settings(), **values}
    settings = {key: value for key, value in settings.items() if value is not None}
    path = settings_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(settings, indent=1).encode())
    except OSError as error:
        _logger.warning("The settings of the docks are not saved: %s", error)
