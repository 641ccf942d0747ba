"""What a training would do and need, without a single step."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_im2im.errors import ConfigError
from napari_im2im.events import Event
from napari_im2im.folders import check_writable, runs_folder
from napari_im2im.training.data.sampling import PatchSampler
from napari_im2im.training.devices import device_name, open_fabric
from napari_im2im.training.preparation import check_batch, prepare
from napari_im2im.training.runs.folder import disk_bytes
from napari_im2im.training.schedule import StepPlan

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.examples import Example, Pair
    from napari_im2im.training.preparation import Preparation

_BYTES_PER_WEIGHT = 16
"""Weight, gradient and the two moments of AdamW, in float32."""


@dataclass(frozen=True)
class TrainingForecast(Event):
    """What a training would do and need.

    ``steps`` is None where the time ends it, ``seconds`` where the steps do.
    ``memory`` and ``disk`` are bytes: of the device (estimated: weights, their
    gradients and what the layers keep for the backward pass), and at most in
    ``folder``.
    """

    name: str
    folder: Path
    device: str
    network: str
    parameters: int
    training_images: int
    validation_images: int
    validation: str
    patch: Mapping[str, int]
    batch_size: int
    steps: int | None
    steps_per_epoch: int
    seconds: float | None
    memory: int
    disk: int

    def describe(self) -> str:
        """Return it in sentences."""
        patch = " × ".join(f"{axis} {size}" for axis, size in self.patch.items())
        limits = [f"{self.steps:,} steps"] if self.steps is not None else []
        if self.seconds is not None:
            limits.append(f"{self.seconds / 60:.3g} min")
        return (
            f"{self.name}: {self.network} with {self.parameters:,} parameters on "
            f"{self.device}.\n"
            f"Images to train on: {self.training_images}, to validate on: "
            f"{self.validation_images}. {self.validation}\n"
            f"Patches of {patch} pixels, {self.batch_size} at a time, "
            f"{self.steps_per_epoch:,} steps an epoch; ends after "
            f"{' or '.join(limits)}.\n"
            f"About {self.memory / 1e9:.2g} GB of memory on {self.device}, up to "
            f"{self.disk / 1e9:.2g} GB in {self.folder}."
        )


def forecast_training(
    config: TrainConfig,
    pairs: Sequence[Pair | Example] | None = None,
    *,
    trusted: Collection[str] = (),
) -> TrainingForecast:
    """Make all checks and choices of a training, but take no step and write nothing.

    Parameters
    ----------
    config
        Everything about the training.
    pairs
        Inputs and targets; default: the files that the config names. They are
        read.
    trusted
        sha256 of the code that the model to start from may run.

    Raises
    ------
    DataError
        If the images don't make a training set.
    ConfigError
        If the config asks for something that can't be done, or the run folder
        can't be written.
    """
    if config.resume is not None:
        raise ConfigError(
            "A dry run is of a new training: leave out resume, or the dry run."
        )
    fabric = open_fabric(config)
    on_cpu = fabric.device.type == "cpu"
    preparation = prepare(
        config.sized(on_cpu=on_cpu), pairs, on_cpu=on_cpu, trusted=trusted
    )
    check_batch(preparation)
    folder = config.output or runs_folder()
    disk = disk_bytes(*preparation.networks)
    check_writable(folder, disk)
    steps_per_epoch = _steps_per_epoch(preparation)
    plan = StepPlan(config.effort, steps_per_epoch)
    return TrainingForecast(
        name=config.name,
        folder=folder,
        device=device_name(fabric.device),
        network=type(preparation.network).__name__,
        parameters=_weights(preparation.network),
        training_images=preparation.split.training_images,
        validation_images=preparation.split.validation_images,
        validation=preparation.split.text,
        patch=preparation.patch,
        batch_size=preparation.batch_size,
        steps=plan.most,
        steps_per_epoch=steps_per_epoch,
        seconds=config.effort.time_limit,
        memory=memory_bytes(preparation),
        disk=disk,
    )


def memory_bytes(preparation: Preparation) -> int:
    """Estimate the bytes that a step needs, in float32, by a run without values."""
    layout, opponents = preparation.layout, preparation.opponents
    shape = (preparation.batch_size, *preparation.patch.values())
    inputs, outputs = len(layout.input_channels), len(preparation.task.output_names)
    kept = _kept(preparation.network, inputs, shape)
    if opponents is not None:
        if opponents.back is not None:
            # Each of both translates, brings back and leaves alone.
            kept = 3 * (kept + _kept(opponents.back, outputs, shape))
        judges = opponents.discriminators
        # They see what was made twice, and what is real.
        kept += sum(
            3 * _kept(judge, channels, shape)
            for judge, channels in zip(judges.judges, judges.channels, strict=True)
        )
    weights = sum(map(_weights, preparation.networks))
    return kept + 16 * math.prod(shape) * outputs + _BYTES_PER_WEIGHT * weights


def _kept(network: torch.nn.Module, channels: int, shape: Sequence[int]) -> int:
    """Return the bytes that layers keep of a batch ``(batch, [z,] y, x)``."""
    kept = 0

    def note(_module: object, _inputs: object, output: object) -> None:
        nonlocal kept
        if isinstance(output, torch.Tensor):
            kept += output.numel() * output.element_size()

    copied = copy.deepcopy(network).to("meta")
    for module in copied.modules():
        if not list(module.children()):
            module.register_forward_hook(note)
    with torch.no_grad():
        copied(torch.empty((shape[0], channels, *shape[1:]), device="meta"))
    return kept


def _steps_per_epoch(preparation: Preparation) -> int:
    """Return the steps in which as many pixels are seen as the larger set has."""
    splits = (preparation.split, preparation.others)
    patch = tuple(preparation.patch.values())
    return max(
        PatchSampler(s.training, patch, preparation.patches_per_step).steps_per_epoch
        for s in splits
        if s is not None
    )


def _weights(network: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())
