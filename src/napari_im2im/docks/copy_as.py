"""A job as text: a command line, Python, or YAML."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pydantic import BaseModel


def changed_fields(config: BaseModel) -> dict[str, Any]:
    """Return what differs from the defaults, as plain data."""
    return config.model_dump(mode="json", exclude_defaults=True)


def as_yaml(config: BaseModel) -> str:
    """Return a YAML file that ``--config`` reads."""
    return str(yaml.safe_dump(changed_fields(config), sort_keys=False))


def as_python(config: BaseModel, function: str) -> str:
    """Return a Python call.

    Parameters
    ----------
    config
        The job.
    function
        ``"train"`` or ``"predict"``.
    """
    kind = type(config)
    lines = [
        "import napari_im2im",
        f"from {kind.__module__} import {kind.__name__}",
        "",
        f"config = {kind.__name__}.model_validate(",
        f"    {changed_fields(config)!r}",
        ")",
        f"napari_im2im.{function}(config)",
    ]
    return "\n".join(lines) + "\n"


def as_command(config: BaseModel, command: str) -> str:
    """Return a command line.

    Parameters
    ----------
    config
        The job.
    command
        ``"train"`` or ``"predict"``.
    """
    words = ["napari-im2im", command]
    for name, value in _flat(changed_fields(config)):
        words += [f"--{name}", value]
    return shlex.join(words) + "\n"


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return dotted names and their values as the command line takes them."""
    flat: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            flat += _flat(value, f"{prefix}{name}.")
        else:
            is_text = isinstance(value, str)
            flat.append((prefix + name, value if is_text else json.dumps(value)))
    return flat
