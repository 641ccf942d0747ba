"""Whether a target and a task fit: labels, masks and images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_im2im.docks.advice import Advice, Fix
from napari_im2im.errors import DataError
from napari_im2im.training.tasks.catalogue import TASKS
from napari_im2im.training.tasks.label_images import MOST_CLASSES, check_label_image

if TYPE_CHECKING:
    from napari_im2im.docks.pixel_facts import LabelFacts
    from napari_im2im.images.image import Image
    from napari_im2im.training.config import TrainConfig

_SEGMENT = Fix("Segment", "task", "semantic")
_SEPARATE = Fix("Separate objects", "task", "instances")
_PREDICT = Fix("Predict an image", "task", "image")

_MOSTLY = 0.5
"""Part of the pixels from which on 0 may mean that nobody labelled them."""

_FEW = 4
"""Values up to which an image looks like a mask."""


def advise_target(
    target: Image, config: TrainConfig, *, is_labels: bool, facts: LabelFacts | None
) -> list[Advice]:
    """Say where target and task don't fit, with what would.

    Parameters
    ----------
    target
        What shall be learned.
    config
        The job.
    is_labels
        Whether it is a Labels layer.
    facts
        What is known of its whole numbers, None if there are none or not yet.
    """
    kind = TASKS[config.task].target
    if kind == "none":
        return []
    if kind == "image":
        return _advise_intensities(target, is_labels, facts)
    try:
        check_label_image(target, config.data.target_channels)
    except DataError as error:
        return [Advice(str(error), "stop", (_PREDICT,))]
    if facts is None:
        return []
    if facts.blended:
        return _advise_blended(target, config, facts)
    if config.task == "semantic":
        return _advise_classes(target, config, facts)
    return _advise_objects(target, facts)


def _advise_intensities(
    target: Image, is_labels: bool, facts: LabelFacts | None
) -> list[Advice]:
    if is_labels:
        objects = facts is not None and facts.count > MOST_CLASSES
        fixes = (_SEPARATE, _SEGMENT) if objects else (_SEGMENT, _SEPARATE)
        text = (
            f"{target.name} is a Labels layer, whose numbers name "
            f"{'objects' if objects else 'classes or objects'}: choose what to learn "
            "of them, or an Image layer."
        )
        return [Advice(text, "stop", fixes)]
    if facts is not None and 1 < facts.count <= _FEW:
        text = f"{target.name} has {facts.count} values only, as a mask has."
        return [Advice(text, "warning", (_SEGMENT,))]
    return []


def _advise_blended(
    target: Image, config: TrainConfig, facts: LabelFacts
) -> list[Advice]:
    if config.semantic.values and config.task == "semantic":
        return []
    text = (
        f"{target.name} has {facts.count} values, most of them in single pixels, as a "
        "picture or an anti-aliased mask has"
    )
    if config.task == "semantic" and len(facts.common) > 1:
        fix = Fix("Use them", "option", ("semantic.values", list(facts.common)))
        values = ", ".join(map(str, facts.common))
        return [Advice(f"{text}. {values} are common.", "stop", (fix, _PREDICT))]
    return [Advice(f"{text}: choose a layer of labels.", "stop", (_PREDICT,))]


def _advise_classes(
    target: Image, config: TrainConfig, facts: LabelFacts
) -> list[Advice]:
    if config.semantic.foreground:
        return []
    if facts.count <= MOST_CLASSES:
        return _advise_strokes(target, config, facts)
    fix = Fix("Foreground only", "option", ("semantic.foreground", True))
    text = f"{target.name} has {facts.count} labels, as many as objects have."
    return [Advice(text, "stop", (_SEPARATE, fix))]


def _advise_objects(target: Image, facts: LabelFacts) -> list[Advice]:
    if facts.count > 2:
        return []
    # Only the centre of a large image was looked at.
    text = (
        f"{target.name} seems to have one number for all objects, which can't be told "
        "apart then: give each its own (connected components)."
    )
    return [Advice(text, "warning", (_SEGMENT,))]


def _advise_strokes(
    target: Image, config: TrainConfig, facts: LabelFacts
) -> list[Advice]:
    """Ask what 0 means where two other labels and much of it are there."""
    if config.semantic.ignore is not None or facts.count < 3 or facts.empty < _MOSTLY:
        return []
    fix = Fix("Ignore 0", "option", ("semantic.ignore", 0))
    text = (
        f"Where {target.name} is 0 ({facts.empty:.0%}), background is learned. Was it "
        "just not labelled?"
    )
    return [Advice(text, "warning", (fix,))]
