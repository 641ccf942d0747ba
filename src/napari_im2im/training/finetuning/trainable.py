"""Which models training can go on from, and why not from others; without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_im2im.errors import ConfigError
from napari_im2im.models.package import load_package
from napari_im2im.models.tensors import FixedSize, ReferencedSize

if TYPE_CHECKING:
    from napari_im2im.models.package import ModelPackage
    from napari_im2im.models.tensors import Step
    from napari_im2im.training.config import TrainConfig


def open_start(config: TrainConfig) -> tuple[ModelPackage, TrainConfig]:
    """Open the model that a training starts from, and fit the config to its axes.

    Raises
    ------
    ConfigError
        If such a model can't be trained here, with the reason.
    ModelError
        If it can't be read.
    """
    assert config.start_from is not None
    package = load_package(config.start_from)
    reason = why_not_trainable(package)
    if reason:
        raise ConfigError(f"{package.name} can't be trained: {reason}")
    axes = "".join(package.inputs[0].axis_names[2:])
    if config.spatial_axes not in (None, axes):
        raise ConfigError(
            f"{package.name} works on {axes}, not on {config.spatial_axes}: leave "
            "spatial_axes out, or start from another model."
        )
    return package, config.model_copy(update={"spatial_axes": axes})


def why_not_trainable(package: ModelPackage) -> str:
    """Return why training can't go on from a model; empty where it can."""
    if "pytorch_state_dict" not in package.weights:
        return (
            f"it has only {', '.join(package.weights)} weights, which can be run but "
            "not changed. Choose a model with a PyTorch state dict."
        )
    counts = len(package.inputs), len(package.outputs)
    if counts != (1, 1) or package.left_out:
        return (
            f"it reads {counts[0]} and returns {counts[1]} images"
            f"{' and more' if package.left_out else ''}, but training learns one from "
            "one."
        )
    source, target = package.inputs[0], package.outputs[0]
    names = source.axis_names
    usual = (("batch", "channel", "y", "x"), ("batch", "channel", "z", "y", "x"))
    if names not in usual or target.axis_names != names:
        return (
            f"its axes are {'/'.join(names)} → {'/'.join(target.axis_names)}, but "
            "training needs batch/channel/[z/]y/x on both sides."
        )
    for axis in target.axes[2:]:
        size, wanted = axis.size, source.axis(axis.name).size
        same = size == wanted if isinstance(size, FixedSize) else False
        if isinstance(size, ReferencedSize):
            same = (size.axis, size.scale, size.offset) == (axis.name, 1.0, 0)
        if not same:
            return f"its result has another size than its input along {axis.name}."
    return ""


def why_new_head(package: ModelPackage, config: TrainConfig) -> str:
    """Return why the last layer starts anew though its channels fit, else nothing."""
    if config.new_head:
        return "as asked for"
    task = (package.config.get("task") or {}).get("name")
    if task is not None and _kind(task) != _kind(config.task):
        return f"the model learned the task {task}, not {config.task}"
    last = [step.id for step in package.outputs[0].steps if not _is_affine(step)]
    if last and _kind(config.task) == "intensities":
        return (
            f"the model's result goes through {last[0]!r}, but this training learns "
            "intensities"
        )
    return ""


def _kind(task: str) -> str:
    """Return what a task's output means."""
    return "intensities" if task in ("image", "noise2void", "unpaired") else task


def _is_affine(step: Step) -> bool:
    return step.id in ("ensure_dtype", "scale_linear")
