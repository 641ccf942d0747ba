"""What a training will do, or what to fix first, in sentences."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.docks.advice import (
    Advice,
    Fix,
    advise_guess,
    advise_pair,
    describe_duration,
    describe_sizes,
)
from napari_im2im.docks.pixel_facts import PixelFacts, advise_pixels
from napari_im2im.docks.train.label_advice import advise_target
from napari_im2im.training.tasks.catalogue import TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.images.image import Image
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.tasks.catalogue import TaskInfo, TaskName

EFFORTS = {
    "Quick look · 2 min": 120.0,
    "Standard · 30 min": 1800.0,
    "Long · 3 h": 10800.0,
}
"""Time budgets in seconds."""


_ENDINGS: Mapping[TaskName, str] = {"noise2void": "denoised", "masked": "pretrained"}
"""What a run without a target is called by."""


def advise_layers(
    source: Image | None,
    target: Image | None,
    config: TrainConfig,
    *,
    same: bool,
    labels: Sequence[bool],
    guessed: Sequence[bool],
    pixels: Mapping[str, PixelFacts],
) -> list[Advice]:
    """Return what keeps a training on layers from starting, or what to know.

    Parameters
    ----------
    source, target
        What is chosen, None where nothing is.
    config
        The job.
    same
        Whether a layer is chosen on both sides.
    labels, guessed
        For input and target whether a Labels layer is chosen, and whether the
        axes are a guess.
    pixels
        What is known of the pixels of ``"input"`` and ``"target"`` so far.
    """
    if source is None or target is None:
        fixes = (Fix("Open the sample", "sample"),)
        return [Advice(_missing(TASKS[config.task]), "stop", fixes)]
    if same:
        text = (
            f"{source.name} is input and target: choose two different layers, "
            "or nothing is learned."
        )
        return [Advice(text, "stop")]
    if labels[0]:
        text = (
            f"{source.name} is a Labels layer, whose numbers name objects: choose an "
            "Image layer."
        )
        return [Advice(text, "stop")]
    facts = pixels["target"].labels if "target" in pixels else None
    return [
        *advise_target(target, config, is_labels=labels[1], facts=facts),
        *_advise_images(source, target, config, guessed, pixels),
    ]


def _missing(task: TaskInfo) -> str:
    """Return what to open for a task."""
    if task.target == "none":
        return "Open an image to learn from."
    if task.two_sets:
        return "Open two images: one to translate, one with the look that it gets."
    if task.target == "labels":
        return "Open an image, and a Labels layer of the same field to learn."
    return "Open two images of the same field: the input, and the target to learn."


def _advise_images(
    source: Image,
    target: Image,
    config: TrainConfig,
    guessed: Sequence[bool],
    pixels: Mapping[str, PixelFacts],
) -> list[Advice]:
    advice = []
    sides = [
        (source, "input", config.data.input_channels, guessed[0]),
        (target, "target", config.data.target_channels, guessed[1]),
    ]
    if TASKS[config.task].target == "none":
        del sides[1]  # the input is its own target
    for image, role, chosen, is_guess in sides:
        if chosen == []:
            text = f"Choose at least one channel of {image.name}."
            advice.append(Advice(text, "stop", (Fix("Choose", "edit_axes", role),)))
        if image.channel_names == ("red", "green", "blue"):
            text = f"{image.name} is RGB: its colours are read as 3 channels."
            advice.append(Advice(text))
        advice += [_for_role(one, role) for one in advise_guess(image, is_guess)]
        if role in pixels:
            advice += advise_pixels(image, pixels[role], role)
    if TASKS[config.task].two_sets:
        return advice
    intensities = TASKS[config.task].target == "image"
    advice += advise_pair(source, target, config.patch, may_enlarge=intensities)
    if "time" not in source.axes:
        advice.append(
            Advice(
                "One image only: validation uses a separate strip of the same image."
            )
        )
    return advice


def _for_role(advice: Advice, role: str) -> Advice:
    """Return the same advice with fixes that say which row they change."""
    fixes = tuple(Fix(f.label, f.action, (role, f.value)) for f in advice.fixes)
    return Advice(advice.text, advice.level, fixes)


def describe_training(source: Image, target: Image, config: TrainConfig) -> Advice:
    """Say what will be learned from what, and how long that takes."""
    limit = config.effort.time_limit
    if config.effort.steps is not None:
        effort = f"for {config.effort.steps} steps"
    elif config.effort.epochs is not None:
        effort = f"for {config.effort.epochs} epochs"
    else:
        effort = f"for {describe_duration(limit or 0)}"
    task = TASKS[config.task]
    if task.two_sets:
        sizes = [describe_sizes(image) for image in (source, target)]
        return Advice(
            f"Translates {source.name} ({sizes[0]}) into what looks like {target.name} "
            f"({sizes[1]}), which shows other fields, {effort}."
        )
    what = f"{target.name} from " if task.target != "none" else "from "
    verb = "Learns" if config.task == "image" else f"{task.title}: learns"
    return Advice(f"{verb} {what}{source.name} ({describe_sizes(source)}) {effort}.")


def advise_two_sets(config: TrainConfig) -> Advice:
    """Say what is kept of a training that has no pairs to judge by."""
    monitor = config.completed().effort.monitor
    if monitor == "step":
        return Advice(
            "Without pairs nothing tells which model is best: the newest is kept, and "
            "parts of both sets are held out to look at."
        )
    return Advice(f"What is kept is best by {monitor}, which knows no pairs.")


def advise_cost_map(cost_map: Image | None) -> list[Advice]:
    """Say how much of an image counts."""
    if cost_map is None:
        return []
    if not isinstance(cost_map.data, np.ndarray):
        return [Advice(f"Pixels count as {cost_map.name} says.")]
    part = float(np.count_nonzero(cost_map.data) / cost_map.data.size)
    if not part:
        text = (
            f"{cost_map.name} is 0 everywhere, so that no pixel counts: label what is "
            "to be learned, or let all pixels count."
        )
        return [Advice(text, "stop")]
    return [Advice(f"{part:.0%} of the pixels count, as {cost_map.name} says.")]


def suggest_name(source: str, target: str = "", *, task: TaskName = "image") -> str:
    """Return a name for a run, e.g. ``phase-to-DAPI`` or ``phase-denoised``."""
    words = [re.sub(r"[^\w]+", "-", part).strip("-_")[:24] for part in (source, target)]
    name = "-to-".join(word for word in words if word) or "model"
    return f"{name}-{_ENDINGS[task]}" if task in _ENDINGS else name
