"""Recipes to start a training from, one YAML file each."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from napari_im2im.errors import ConfigError
from napari_im2im.training.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).parents[1] / "resources" / "presets"


class Preset(BaseModel):
    """A recipe: what it is for, where it comes from, and the keys that it sets."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="What `train --preset` calls it.")
    text: str = Field(description="A sentence: what it is for.")
    paper: str = Field(description="Where the recipe was published.")
    train: dict[str, Any] = Field(description="Keys of `TrainConfig`.")

    def config(self) -> TrainConfig:
        """Return the training that it describes, but for its images."""
        return TrainConfig.model_validate(self.train)


def list_presets() -> list[Preset]:
    """Return the presets that come with the package, by name."""
    return [_read(path) for path in sorted(FOLDER.glob("*.yaml"))]


def load_preset(name: str) -> Preset:
    """Return a preset.

    Raises
    ------
    ConfigError
        If there is none of that name; the nearest is named.
    """
    path = FOLDER / f"{name}.yaml"
    names = [each.stem for each in sorted(FOLDER.glob("*.yaml"))]
    if name in names:
        return _read(path)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(names)}."
    raise ConfigError(f"There is no preset {name}: {hint}")


def with_preset(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values for `TrainConfig`, those of a preset beneath the given ones."""
    return overlay(load_preset(name).train, values)


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested mappings laid over each other; ``above`` wins."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(value, dict) and isinstance(under, dict)
        merged[key] = overlay(under, value) if both else value  # type: ignore[arg-type]
    return merged


def _read(path: Path) -> Preset:
    content: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return Preset.model_validate({"name": path.stem, **content})
