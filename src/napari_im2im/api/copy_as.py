"""A job as text: a command line, Python, or YAML."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from napari_im2im.errors import ImageError
from napari_im2im.inference.config import PredictConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

_LETTERS = {"time": "t", "channel": "c"}


@dataclass(frozen=True)
class Origin:
    """Where one image of a job comes from.

    Parameters
    ----------
    layers
        Names of the layers; the channels of several are read as one image.
    axes
        Axes of the image, by name.
    file
        The file that holds exactly this image, or None.
    """

    layers: tuple[str, ...]
    axes: tuple[str, ...]
    file: str | None = None

    @property
    def letters(self) -> str:
        """The axes as letters, e.g. ``czyx``."""
        return "".join(_LETTERS.get(axis, axis) for axis in self.axes)

    @property
    def python(self) -> str:
        """A Python expression for the image, in napari's console."""
        if self.file is not None:
            return repr(self.file)
        arrays = [f"viewer.layers[{name!r}].data" for name in self.layers]
        return arrays[0] if len(arrays) == 1 else f"np.stack([{', '.join(arrays)}])"


def as_yaml(config: BaseModel, origins: Sequence[Origin]) -> str:
    """Return a YAML file that ``--config`` reads."""
    text = str(yaml.safe_dump(_changed(config), sort_keys=False))
    return _note(origins) + text


def as_python(config: BaseModel, function: str, origins: Sequence[Origin]) -> str:
    """Return a Python call.

    Parameters
    ----------
    config
        The job.
    function
        ``"train"`` or ``"predict"``.
    origins
        For ``"predict"`` the images, for ``"train"`` the input and the target.
        Empty where the config names files.
    """
    values = _changed(config)
    if function == "train":
        arguments = _train_arguments(values, origins)
    else:
        arguments = _predict_arguments(values, origins)
    arguments |= {name: repr(value) for name, value in values.items()}
    lines = [f"    {name}={value}," for name, value in arguments.items()]
    needs_numpy = any("np." in value for value in arguments.values())
    imports = ["import numpy as np", ""] if needs_numpy else []
    head = [*imports, "import napari_im2im", "", f"napari_im2im.{function}("]
    return "\n".join([*head, *lines, ")"]) + "\n"


def as_command(config: BaseModel, command: str, origins: Sequence[Origin]) -> str:
    """Return a command line.

    Parameters
    ----------
    config
        The job.
    command
        ``"train"`` or ``"predict"``.
    origins
        The images, to name those that are not files.
    """
    words = ["napari-im2im", command]
    for name, value in _flat(_changed(config)):
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        elif isinstance(value, list):
            words += [f"--{name}", *(str(entry) for entry in value)]
        else:
            words += [f"--{name}", str(value)]
    return _note(origins) + shlex.join(words) + "\n"


def _train_arguments(
    values: dict[str, Any], origins: Sequence[Origin]
) -> dict[str, str]:
    data = values.setdefault("data", {})
    arguments = {}
    for number, role in enumerate(("input", "target")):
        files, axes = data.pop(f"{role}s", None), data.pop(f"{role}_axes", None)
        if files:
            arguments[f"{role}s"] = repr(files)
        elif origins:
            arguments[f"{role}s"] = origins[number].python
            axes = origins[number].letters
        if axes:
            arguments[f"{role}_axes"] = repr(axes)
    if not data:
        del values["data"]
    return arguments


def _predict_arguments(
    values: dict[str, Any], origins: Sequence[Origin]
) -> dict[str, str]:
    files, axes = values.pop("inputs", None), values.pop("axes", None)
    images = [repr(file) for file in files or []] or [one.python for one in origins]
    if not files and origins:
        axes = origins[0].letters
    arguments = {"model": repr(values.pop("model", ""))}
    arguments["image"] = images[0] if len(images) == 1 else f"[{', '.join(images)}]"
    if axes:
        arguments["axes"] = repr(axes)
    return arguments


def _changed(config: BaseModel) -> dict[str, Any]:
    """Return what differs from the defaults, as plain data."""
    return config.model_dump(mode="json", exclude_defaults=True)


def _note(origins: Sequence[Origin]) -> str:
    """Say which layers have to become files first."""
    names = [name for one in origins if one.file is None for name in one.layers]
    if not names:
        return ""
    return f"# Save as files first, and name them as inputs: {', '.join(names)}\n"


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the values with dotted names."""
    flat: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            flat += _flat(value, f"{prefix}{name}.")
        else:
            flat.append((prefix + name, value))
    return flat


def job_of(result: Path | str | Mapping[str, Any]) -> PredictConfig:
    """Return the prediction that a result was made by, from its own metadata.

    Parameters
    ----------
    result
        OME-Zarr or OME-TIFF that was written by a prediction, or the ``metadata`` of
        the layer or image that it made.

    Raises
    ------
    ImageError
        If the file can't be read, or no prediction made it.
    """
    from napari_im2im.images.formats.contents import PROVENANCE
    from napari_im2im.images.reading import open_image

    if isinstance(result, str | Path):
        name, metadata = str(result), open_image(result).metadata
    else:
        name, metadata = "This image", result
    said = metadata.get(PROVENANCE, {})
    if "config" not in said:
        raise ImageError(
            f"{name} doesn't say what it was made by: choose one that a prediction of "
            "napari-im2im has made."
        )
    # How it was written down isn't how it was made.
    once = {"overwrite", "resume"}
    values = {key: v for key, v in said["config"].items() if key not in once}
    return PredictConfig.model_validate(values)
