"""The folder of a training: its config, checkpoint, metrics and model."""

from __future__ import annotations

import csv
import io
import os
import pickle
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from napari_im2im.errors import ConfigError, ModelError
from napari_im2im.training.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from napari_im2im.training.data.sampling import Batch

_STORED_PER_WEIGHT = 56
"""Bytes: a package and two checkpoints, each beside the one that it replaces."""

_BROKEN = (
    OSError,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    pickle.UnpicklingError,
)
"""What torch raises for a file that is cut off or none of its own."""


@dataclass(frozen=True)
class RunFolder:
    """Where a training keeps what it makes.

    ``config.yaml`` defines it, ``environment.txt`` names the versions that it ran
    with and ``network.txt`` the layers, ``metrics.csv`` has a row for each
    validation, ``model/`` is the package of the best model,
    ``checkpoints/last.ckpt`` is what `TrainConfig.resume` continues from, and
    ``best.ckpt`` beside it the same of the best model. For
    people there are ``charts/``, ``previews/`` and ``tensorboard/``, and ``test/``
    where test images are named.
    """

    path: Path
    writes: bool = True
    """Whether this process writes it, of several that train together."""

    @property
    def package(self) -> Path:
        """Folder of the model package."""
        return self.path / "model"

    @property
    def checkpoint(self) -> Path:
        """File that a training continues from."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def metrics(self) -> Path:
        """Table of the validations."""
        return self.path / "metrics.csv"

    @classmethod
    def create(cls, parent: Path, config: TrainConfig) -> RunFolder:
        """Make a folder named after the run, with a number if the name is taken."""
        name = re.sub(r"[^\w.-]+", "-", config.name).strip("-.") or "model"
        number = 1
        while True:
            path = parent / (name if number == 1 else f"{name}-{number}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                number += 1
            except OSError as error:
                raise _cannot_write(path, error) from error
            else:
                break
        run = cls(path)
        # What isn't said is decided by the model to start from, also when resumed.
        started = config.start_from is not None
        stored = config if started else config.completed()
        content = stored.model_dump(mode="json", exclude_unset=started)
        text = yaml.safe_dump(content, sort_keys=False)
        _write(path / "config.yaml", text.encode())
        _write(path / "environment.txt", _environment().encode())
        return run

    @classmethod
    def open(cls, path: Path) -> tuple[RunFolder, TrainConfig]:
        """Return a folder that exists, and the config of its training."""
        if not (path / "checkpoints" / "last.ckpt").is_file():
            raise ConfigError(
                f"{path} has no checkpoint to continue from: choose the folder of a "
                "run that was interrupted, or train anew."
            )
        return cls(path), read_config(path / "config.yaml")

    def save_checkpoint(self, state: Mapping[str, Any], *, best: bool = False) -> None:
        """Replace the checkpoint; the old one stays if this fails.

        With ``best`` it is kept as ``best.ckpt`` too, until a better one comes.
        """
        if not self.writes:
            return
        import torch

        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        _write(self.checkpoint, buffer.getbuffer())
        if best:
            _write(self.checkpoint.with_name("best.ckpt"), buffer.getbuffer())

    def load_checkpoint(self) -> dict[str, Any]:
        """Read the checkpoint; nothing in it is executed."""
        import torch

        try:
            state: dict[str, Any] = torch.load(
                self.checkpoint, map_location="cpu", weights_only=True
            )
        except _BROKEN as error:
            raise ModelError(
                f"{self.checkpoint} can't be read ({error}): train anew."
            ) from error
        return state

    def write_file(self, name: str, content: bytes) -> Path:
        """Write a file of the folder whole, or not at all."""
        if self.writes:
            _write(self.path / name, content)
        return self.path / name

    def remove_unfinished(self) -> None:
        """Remove what a process that was killed had not finished writing."""
        for folder in self.path.glob(f".{self.package.name}-*"):
            shutil.rmtree(folder, ignore_errors=True)
        for file in self.path.rglob(".*.tmp"):
            file.unlink(missing_ok=True)

    def save_patch(self, step: int, patch: Batch) -> Path:
        """Write a patch of a step as it is; return the file of the input."""
        import tifffile

        folder = self.path / "diverged"
        for name in ("input", "target", "weight"):
            array = getattr(patch, name)
            if array is not None:
                buffer = io.BytesIO()
                tifffile.imwrite(buffer, array)
                _write(folder / f"step-{step + 1}-{name}.tif", buffer.getbuffer())
        return folder / f"step-{step + 1}-input.tif"

    def append_metrics(self, row: Mapping[str, float]) -> None:
        """Add a row to the table; the first row names the columns."""
        if not self.writes:
            return
        new = not self.metrics.exists()
        try:
            with self.metrics.open("a", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=list(row))
                if new:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            raise _cannot_write(self.metrics, error) from error

    def forget_metrics_after(self, step: int) -> None:
        """Drop the rows of steps that the checkpoint doesn't know."""
        if not (self.writes and self.metrics.exists()):
            return
        with self.metrics.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        self.metrics.unlink()
        for row in rows:
            self.append_metrics(row)  # type: ignore[arg-type]


def disk_bytes(*networks: torch.nn.Module) -> int:
    """Return how many bytes the run folder of networks needs at most."""
    weights = (weight for network in networks for weight in network.parameters())
    return _STORED_PER_WEIGHT * sum(weight.numel() for weight in weights)


def read_config(path: Path) -> TrainConfig:
    """Read the configuration of a training from a YAML file.

    Raises
    ------
    ConfigError
        If the file can't be read, or isn't one.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return TrainConfig.model_validate(content or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path} is no training configuration: {reason}") from error


def _write(path: Path, content: bytes | memoryview) -> None:
    """Write under a temporary name, then rename, so that no half file is left."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> ModelError:
    return ModelError(
        f"{path} can't be written ({error.strerror or error}): free some space or "
        "choose another folder; what was written before is kept."
    )


def _environment() -> str:
    # Each access of a distribution's metadata parses it anew.
    found = [distribution.metadata for distribution in distributions()]
    versions = sorted({f"{m['Name']}=={m['Version']}" for m in found}, key=str.lower)
    head = [f"# Python {sys.version.split()[0]}, {platform.platform()}"]
    return "\n".join([*head, *versions, ""])
