"""What a training would do and need, by a few steps that are forgotten."""

from __future__ import annotations

import copy
import math
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_im2im.errors import ConfigError
from napari_im2im.events import Event, duration
from napari_im2im.folders import check_writable, runs_folder
from napari_im2im.inference.tiling.planning import free_memory
from napari_im2im.training.devices import device_name, is_out_of_memory, open_fabric
from napari_im2im.training.preparation import check_batch, prepare
from napari_im2im.training.runs.folder import disk_bytes
from napari_im2im.training.schedule import StepPlan
from napari_im2im.training.stepping import Stepper

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from napari_im2im.images.folders.tables import TableRow
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.examples import Example, Pair

_BYTES_PER_WEIGHT = 16
"""Weight, gradient and the two moments of AdamW, in float32."""

_TIMED_SECONDS = 2.0
"""So long are steps timed, behind a first one."""

_TIMED_STEPS = 3
"""Fewest steps that are timed."""

_ROWS_SHOWN = 20
"""Samples whose files are named."""

_LONG = 20.0
"""Seconds of a first step that are enough to know the pace."""


@dataclass(frozen=True)
class TrainingForecast(Event):
    """What a training would do and need.

    ``steps`` is None where the time ends it, ``seconds`` where the steps do.
    ``memory`` and ``disk`` are bytes: of the device (estimated: weights, their
    gradients and what the layers keep for the backward pass), and at most in
    ``folder``. ``seconds_per_step`` is measured, without validations; None where
    memory is short, which ``message`` says. ``patch`` and ``batch_size`` are as large
    as memory allowed. ``rows`` are the files that belong together with what each is
    for, and ``notes`` are sentences on what was assumed and left out.
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
    seconds_per_step: float | None
    message: str
    rows: tuple[TableRow, ...] = ()
    notes: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return it in sentences."""
        patch = " × ".join(f"{axis} {size}" for axis, size in self.patch.items())
        limits = [f"{self.steps:,} steps"] if self.steps is not None else []
        if self.seconds is not None:
            limits.append(duration(self.seconds))
        more = len(self.rows) - _ROWS_SHOWN
        lines = [
            f"{self.name}: {self.network} with {self.parameters:,} parameters on "
            f"{self.device}.",
            *_row_texts(self.rows[:_ROWS_SHOWN]),
            f"  … and {more:,} more" if more > 0 else "",
            *self.notes,
            f"Images to train on: {self.training_images}, to validate on: "
            f"{self.validation_images}. {self.validation}",
            f"Patches of {patch} pixels, {self.batch_size} at a time, "
            f"{self.steps_per_epoch:,} steps an epoch; ends after "
            f"{' or '.join(limits)}.",
            self._pace(),
            f"About {self.memory / 1e9:.2g} GB of memory on {self.device}, up to "
            f"{self.disk / 1e9:.2g} GB in {self.folder}.",
            self.message,
        ]
        return "\n".join(line for line in lines if line)

    def _pace(self) -> str:
        """Return in a sentence how long it takes, or how far it comes."""
        if self.seconds_per_step is None:
            return ""
        limit, most = self.seconds or math.inf, self.steps or math.inf
        text = f"A step takes {self.seconds_per_step:.2g} s"
        if limit / self.seconds_per_step < most:
            fit = limit / self.seconds_per_step
            return f"{text}: about {fit:,.0f} steps, or fewer by what validating takes."
        needed = self.seconds_per_step * most
        return f"{text}: about {duration(needed)}, and what validating takes."


def forecast_training(
    config: TrainConfig,
    pairs: Sequence[Pair | Example] | None = None,
    *,
    trusted: Collection[str] = (),
) -> TrainingForecast:
    """Make all checks and choices of a training, and time steps; write nothing.

    A few steps are taken, and forgotten with the network that they taught.

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
    crop = preparation.validator(fabric.device).crops[0].spatial_shape
    stepper = Stepper(preparation, fabric, crop)
    plan = StepPlan(config.effort, stepper.steps_per_epoch)
    pace, message = _measured_pace(stepper)
    return TrainingForecast(
        name=config.name,
        folder=folder,
        device=device_name(fabric.device),
        network=type(preparation.network).__name__,
        parameters=_weights(preparation.network),
        training_images=preparation.split.training_images,
        validation_images=preparation.split.validation_images,
        validation=preparation.split.text,
        patch=stepper.patch,
        batch_size=stepper.patches_at_once,
        steps=plan.most,
        steps_per_epoch=plan.steps_per_epoch,
        seconds=config.effort.time_limit,
        memory=memory_bytes(stepper),
        disk=disk,
        seconds_per_step=pace,
        message=message,
        rows=preparation.rows,
        notes=preparation.notes,
    )


def _measured_pace(stepper: Stepper) -> tuple[float | None, str]:
    """Return the seconds of a step, and a sentence where memory is short."""
    free = free_memory("cpu")
    # A computer that runs out of memory ends the process without a word.
    if stepper.fabric.device.type == "cpu" and memory_bytes(stepper) > free:
        return None, (
            f"Only {free / 1e9:.2g} GB of memory are free, so no step was timed: "
            "choose a smaller patch, batch or network, or close other programs."
        )
    message = ""
    while True:
        try:
            seconds = _step_seconds(stepper, 0, 1)
            if seconds < _LONG:
                seconds = _step_seconds(stepper, 1, _TIMED_STEPS, _TIMED_SECONDS)
            stepper.learner.forget_gradients()
            return seconds, message
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            message = stepper.shrink(error)


def _step_seconds(
    stepper: Stepper, first: int, count: int, seconds: float = 0
) -> float:
    """Return what a step takes, by at least so many and for at least some seconds."""
    # Several processes would wait for each other, and they count differently.
    alone = stepper.fabric.world_size == 1
    take = stepper.learn if alone else stepper.rehearse
    begun, taken = time.monotonic(), 0
    while taken < count or time.monotonic() - begun < seconds:
        take(first + taken)
        taken += 1
    # What is computed last comes last: a device works behind the program.
    float(torch.zeros((), device=stepper.fabric.device))
    return (time.monotonic() - begun) / taken


def memory_bytes(stepper: Stepper) -> int:
    """Estimate the bytes that a step needs, in float32, by a run without values."""
    preparation = stepper.preparation
    layout, opponents = preparation.layout, preparation.opponents
    shape = (stepper.patches_at_once, *stepper.patch.values())
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


def _weights(network: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def _row_texts(rows: Sequence[TableRow]) -> list[str]:
    """Return the files of samples, below the folder of all, with what each is for."""
    if not rows:
        return []
    sides = [(row.inputs, row.targets, (row.cost_map,)) for row in rows]
    files = [p.absolute() for three in sides for side in three for p in side if p]
    folder = os.path.commonpath([path.parent for path in files])

    def names(side: Sequence[Path | None]) -> str:
        return " + ".join(os.path.relpath(path, folder) for path in side if path)

    texts = []
    for row, (inputs, targets, cost_map) in zip(rows, sides, strict=True):
        text = " → ".join(filter(None, (names(inputs), names(targets))))
        weights = f", cost map {names(cost_map)}" if row.cost_map else ""
        texts.append(f"  {row.part or 'train'}: {text}{weights}")
    return texts
